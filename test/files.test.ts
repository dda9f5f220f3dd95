/**
 * Files over connections: what arrives is what was to be sent, memory stays bounded, nothing is left half done or open.
 */
import { execFileSync } from "node:child_process"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Runtime, type Scope, Stream } from "effect"
import { type Connection, Net, type NetError, type Network } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { RuntimeNetwork } from "effect-netkit/runtime"
import * as fc from "fast-check"
import { context } from "../examples/lib/Platform.ts"
import { connected } from "./support/peers.ts"
import { noPython } from "./support/python.ts"

const pair = (options: Net.ConnectOptions & Net.ListenOptions = {}) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ host: "127.0.0.1", port: 0 }, options)
    const client = yield* Net.connect(listener.address, options)
    return { client, server: yield* listener.accept }
  })

const folder = Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())

const received = (connection: Connection.Connection) =>
  Effect.map(Stream.runCollect(connection.stream), (chunks) => Uint8Array.from(Buffer.concat([...chunks])))

/** Bytes that say where they stand, so that a buffer used too early is seen. */
const numbered = (size: number) =>
  Uint8Array.from({ length: size }, (_, index) => index * 31 + (index >> 8) + (index >> 16))

type Needs = Scope.Scope | Network.Network | Effect.Effect.Context<ReturnType<typeof Net.receiveFile>>

const live = <A, E>(
  name: string,
  effect: () => Effect.Effect<A, E, Needs>,
  network = RuntimeNetwork.layer,
  skipped = false
) =>
  it.scopedLive.skipIf(skipped)(
    name,
    () => effect().pipe(Effect.provide(network), Effect.provide(context)),
    30_000
  )

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Needs>) =>
  live(`${name}, in memory`, effect, MemoryNetwork.layer)

const onBoth = <A, E>(name: string, effect: () => Effect.Effect<A, E, Needs>) => {
  live(name, effect)
  onMemory(name, effect)
}

/** Waits until the kernel takes no more, and gives the bytes accepted so far. */
const stalled = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    let accepted = -1
    while (accepted < (yield* connection.stats).bytesWritten) {
      accepted = (yield* connection.stats).bytesWritten
      yield* Effect.sleep("100 millis")
    }
    return accepted
  })

/** Counts the files that are open, through the service that opens them. */
const counting = Effect.map(FileSystem.FileSystem, (files) => {
  const count = { open: 0 }
  const open: FileSystem.FileSystem["open"] = (path, options) =>
    Effect.zipRight(
      Effect.acquireRelease(Effect.sync(() => count.open++), () => Effect.sync(() => count.open--)),
      files.open(path, options)
    )
  return { count, files: { ...files, open } }
})

const tag = <A, E extends { readonly _tag: string }>(exit: Exit.Exit<A, E>) =>
  Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error._tag : "no failure"

describe("sendFile", () => {
  onMemory("sends exactly the part that was asked for", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* folder}/part`
      const part = fc.record({
        size: fc.nat(200_000),
        offset: fc.nat(210_000),
        length: fc.option(fc.nat(200_000), { nil: undefined }),
        chunkSize: fc.integer({ min: 100, max: 100_000 }),
        readBuffer: fc.integer({ min: 1, max: 50_000 }),
        writeBuffer: fc.integer({ min: 1, max: 50_000 })
      })
      const run = Runtime.runPromise(yield* Effect.runtime<Needs>())
      const holds = fc.asyncProperty(part, ({ chunkSize, length, offset, readBuffer, size, writeBuffer }) =>
        run(Effect.scoped(Effect.gen(function* () {
          const content = numbered(size)
          yield* files.writeFile(path, content)
          const { client, server } = yield* pair({ readBuffer, writeBuffer })
          const sending = Net.sendFile(client, path, { offset, length, chunkSize })
          const [exit, arrived] = yield* Effect.all(
            [Effect.zipLeft(Effect.exit(sending), client.shutdown), received(server)],
            { concurrency: 2 }
          )
          const expected = content.subarray(offset, length === undefined ? size : offset + length)
          expect(Buffer.compare(arrived, expected)).toBe(0)
          if (length !== undefined && expected.length < length) {
            expect(tag(exit)).toBe("FileTruncated")
          } else expect(exit).toEqual(Exit.succeed(expected.length))
        }))))
      yield* Effect.promise(() =>
        fc.assert(holds, { numRuns: 40 })
      )
    }))

  onBoth(
    "sends whole and in order to a peer that reads late, with many chunks under way",
    () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const path = `${yield* folder}/whole`
        const content = numbered(20_000_000)
        yield* files.writeFile(path, content)
        const { client, server } = yield* pair({ writeBuffer: 1_000_000 })
        const sending = yield* Effect.fork(Effect.zipLeft(Net.sendFile(client, path), client.shutdown))
        yield* stalled(client)
        expect(Buffer.compare(yield* received(server), content)).toBe(0)
        expect(yield* Fiber.join(sending)).toBe(content.length)
      })
  )

  // The reader is another process: how much of what it has read lies about uncollected is not the sender's doing.
  live(
    "takes no more memory for a large file and a peer that does not read",
    () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const path = `${yield* folder}/sparse`
        const size = 256 * 1024 * 1024
        yield* files.writeFile(path, new Uint8Array(0))
        yield* files.truncate(path, size)
        const { connection, peer } = yield* connected(`
wait()
arrived = 0
while arrived < ${size}: arrived += len(sock.recv(1 << 20))
say(arrived)`)
        const before = process.memoryUsage().rss
        const sending = yield* Effect.fork(Net.sendFile(connection, path))
        expect(yield* stalled(connection)).toBeLessThan(size / 4)
        expect((yield* connection.stats).unsent).toBeLessThan(1_000_000)
        yield* peer.go
        expect(yield* Fiber.join(sending)).toBe(size)
        expect(yield* peer.line).toBe(String(size))
        expect(process.memoryUsage().rss - before).toBeLessThan(size / 2)
      }),
    RuntimeNetwork.layer,
    noPython !== undefined
  )

  onBoth("closes the file when it ends, fails or is interrupted", () =>
    Effect.gen(function* () {
      const { count, files } = yield* counting
      const path = `${yield* folder}/closed`
      yield* files.writeFile(path, new Uint8Array(50_000_000))
      const { client, server } = yield* pair()
      const send = (options?: Net.SendFileOptions) =>
        Effect.provideService(Net.sendFile(client, path, options), FileSystem.FileSystem, files)
      yield* send({ length: 10 })
      expect(count.open).toBe(0)
      expect(tag(yield* Effect.exit(send({ offset: 49_999_999, length: 2 })))).toBe("FileTruncated")
      expect(count.open).toBe(0)

      const waiting = yield* Effect.fork(send())
      yield* server.readExactly(100_000)
      expect(count.open).toBe(1)
      yield* Fiber.interrupt(waiting)
      expect(count.open).toBe(0)
    }))

  onBoth("fails if the file becomes shorter than was promised", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* folder}/shrinking`
      const length = 50_000_000
      yield* files.writeFile(path, new Uint8Array(length))
      const { client, server } = yield* pair()
      const sending = yield* Effect.fork(Effect.flip(Net.sendFile(client, path, { length })))
      yield* server.readExactly(100_000)
      yield* files.truncate(path, 1000)
      yield* Effect.fork(Stream.runDrain(server.stream))
      const error = yield* Fiber.join(sending)
      expect(error).toMatchObject({ _tag: "FileTruncated", path, expected: length })
      expect(error.message).toMatch(/^send .*shrinking: the file ended after \d+ of 50000000 bytes$/)
    }))

  onMemory("refuses what is no regular file, and options that cannot be meant", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = yield* folder
      yield* files.writeFile(`${path}/file`, new Uint8Array(1))
      const { client } = yield* pair()
      const failure = (name: string, options?: Net.SendFileOptions) =>
        Effect.flip(Net.sendFile(client, `${path}/${name}`, options))
      expect(yield* failure("")).toMatchObject({ _tag: "InvalidOption", option: "path", expected: "a regular file" })
      expect(yield* failure("none")).toMatchObject({ _tag: "SystemError", reason: "NotFound" })
      for (const option of ["offset", "length", "chunkSize"]) {
        for (const value of [-1, 0.5, NaN]) {
          expect(yield* failure("file", { [option]: value })).toMatchObject({ _tag: "InvalidOption", option })
        }
      }
      expect(yield* failure("file", { chunkSize: 0 })).toMatchObject({ _tag: "InvalidOption" })
      if (process.platform !== "win32") {
        execFileSync("mkfifo", [`${path}/pipe`])
        expect(yield* failure("pipe")).toMatchObject({ _tag: "InvalidOption", option: "path" })
      }
      expect((yield* client.stats).bytesWritten).toBe(0)
    }))
})

describe("receiveFile", () => {
  onBoth("takes the length that was said and leaves the rest", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* folder}/file`
      const content = numbered(300_000)
      const { client, server } = yield* pair()
      yield* Effect.fork(Effect.zipRight(client.write(content), client.shutdown))
      let from = 0
      for (const length of [0, 1, 100_000, 65_536]) {
        expect(yield* Net.receiveFile(server, path, { length })).toBe(length)
        expect(Buffer.compare(yield* files.readFile(path), content.subarray(from, from + length))).toBe(0)
        from += length
      }
      expect(yield* Net.receiveFile(server, path)).toBe(content.length - from)
      expect(Buffer.compare(yield* files.readFile(path), content.subarray(from))).toBe(0)
      expect(yield* Net.receiveFile(server, path)).toBe(0)
    }))

  onBoth("leaves what was there, and nothing else, where the file does not come whole", () =>
    Effect.gen(function* () {
      const { count, files } = yield* counting
      const path = yield* folder
      yield* files.writeFileString(`${path}/file`, "older")
      const receive = (connection: Connection.Connection, options?: Net.ReceiveFileOptions) =>
        Effect.provideService(Net.receiveFile(connection, `${path}/file`, options), FileSystem.FileSystem, files)
      const untouched = Effect.gen(function* () {
        expect(yield* files.readDirectory(path)).toEqual(["file"])
        expect(yield* files.readFileString(`${path}/file`)).toBe("older")
        expect(count.open).toBe(0)
      })

      const short = yield* pair()
      yield* short.client.write("half")
      yield* short.client.shutdown
      const error = yield* Effect.flip(receive(short.server, { length: 8 }))
      expect(error).toMatchObject({ _tag: "UnexpectedEnd", received: 4, expected: 8 })
      yield* untouched

      const reset = yield* pair({ resettable: true })
      const failing = yield* Effect.fork(Effect.flip(receive(reset.server)))
      yield* reset.client.write("half")
      while ((yield* reset.server.stats).bytesRead < 4) yield* Effect.sleep("5 millis")
      yield* reset.client.reset
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "ConnectionReset" })
      yield* untouched

      const silent = yield* pair()
      const waiting = yield* Effect.fork(receive(silent.server))
      yield* silent.client.write("half")
      while ((yield* silent.server.stats).bytesRead < 4) yield* Effect.sleep("5 millis")
      expect(count.open).toBe(1)
      yield* Fiber.interrupt(waiting)
      yield* untouched
    }))

  onMemory("gives the file its permissions, and refuses what are none", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* folder}/file`
      const { client, server } = yield* pair()
      yield* client.write("content")
      if (process.platform !== "win32") {
        yield* Net.receiveFile(server, path, { length: 3, mode: 0o666 })
        expect((yield* files.stat(path)).mode & 0o777).toBe(0o666)
        yield* Net.receiveFile(server, path, { length: 4, mode: 0o400 })
        expect((yield* files.stat(path)).mode & 0o777).toBe(0o400)
      }
      for (const options of [{ mode: -1 }, { mode: 0o10000 }, { length: -1 }]) {
        const error: { readonly _tag: string } = yield* Effect.flip(Net.receiveFile(server, path, options))
        expect(error._tag).toBe("InvalidOption" satisfies NetError.NetError["_tag"])
      }
    }))

  onMemory("fails before anything is read where there is no such folder", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair()
      yield* client.write("kept")
      const error = yield* Effect.flip(Net.receiveFile(server, `${yield* folder}/none/file`))
      expect(error).toMatchObject({ _tag: "SystemError", reason: "NotFound" })
      expect(Buffer.from(yield* server.readExactly(4)).toString()).toBe("kept")
    }))
})
