/**
 * Unix domain sockets: the file at the path from its beginning to its end, abstract names, and paths that are too long; on the runtime
 * that this runs in, with Python's sockets and processes that were killed on the other side.
 */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { afterAll, describe, expect, it } from "vitest"
import { MemoryNetwork } from "../adapters/memory/index.ts"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import { listenWithFile } from "../adapters/socketFile.ts"
import * as Net from "../src/Net.ts"
import * as NetError from "../src/NetError.ts"
import { Network } from "../src/Network.ts"
import * as Server from "../src/Server.ts"
import * as SocketAddress from "../src/SocketAddress.ts"
import type { Transport } from "../src/Transport.ts"
import { echo, readAll, text } from "./conformance/support.ts"
import { noPython, python } from "./support/python.ts"
import { reportOf } from "./support/report.ts"

const folder = fs.mkdtempSync(join(tmpdir(), "netkit-"))
let paths = 0
const newPath = () => join(folder, `${paths++}.sock`)
afterAll(() => fs.rmSync(folder, { recursive: true }))

const run = <A, E>(self: Effect.Effect<A, E, Network | Scope.Scope>, layer = RuntimeNetwork.layer) =>
  Effect.runPromise(Effect.scoped(self).pipe(Effect.provide(layer)))

type Attempt = (
  address: SocketAddress.AddressInput
) => Effect.Effect<unknown, NetError.NetError, Network | Scope.Scope>

const attempts: ReadonlyArray<Attempt> = [Net.connect, Net.listen]

const modeOf = (path: string) => fs.lstatSync(path).mode & 0o777

/** Nothing but these files is in the folder: what was moved aside is gone again. */
const left = (path: string) => fs.readdirSync(folder).filter((name) => join(folder, name).startsWith(path))

/** A path on which a process was killed while it listened. */
const stale = (path: string) =>
  Effect.scoped(Effect.gen(function* () {
    const peer = yield* python(`
sock = socket.socket(socket.AF_UNIX)
sock.bind("${path}")
sock.listen()
say("ready")
os.kill(os.getpid(), 9)
`)
    yield* peer.line
    yield* Effect.exit(Effect.sandbox(peer.ended))
  }))

/** What comes back from a server at the path. */
const answer = (address: SocketAddress.AddressInput) =>
  Effect.scoped(Effect.gen(function* () {
    const connection = yield* Net.connect(address)
    yield* connection.write("hello")
    yield* connection.shutdown
    return text(yield* readAll(connection))
  }))

const server = (path: string) =>
  Server.serve(Server.make({ listen: { path }, handler: echo, drainTimeout: "1 second" }))

const inUse = {
  tag: "AddressInUse",
  operation: "listen",
  message: expect.stringMatching(/already in use.*another path/)
}

describe.skipIf(process.platform === "win32")("the file of a Unix socket", () => {
  it("is its owner's alone, has the mode asked for, and goes with the listener", () =>
    run(Effect.gen(function* () {
      for (const [mode, expected] of [[undefined, 0o600], [0o660, 0o660], [0o777, 0o777]] as const) {
        const path = newPath()
        yield* Effect.scoped(Effect.gen(function* () {
          const listener = yield* Net.listen({ path }, { mode })
          expect(String(listener.address)).toBe(path)
          expect(modeOf(path)).toBe(expected)
        }))
        expect(left(path)).toEqual([])
      }
    })))

  it("is the one that was bound, wherever the process has gone since", () =>
    run(Effect.gen(function* () {
      const start = process.cwd()
      const elsewhere = fs.mkdtempSync(join(folder, "elsewhere-"))
      const path = newPath()
      const name = path.slice(folder.length + 1)
      fs.writeFileSync(join(elsewhere, name), "another's")
      process.chdir(folder)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.chdir(start)))
      yield* Effect.scoped(Effect.gen(function* () {
        const { address } = yield* server(name)
        expect(String(address)).toBe(`unix:${name}`)
        process.chdir(elsewhere)
        expect(yield* answer({ path })).toBe("hello")
      }))
      expect(left(path)).toEqual([])
      expect(fs.readFileSync(name, "utf8")).toBe("another's")
    })))

  it.skipIf(noPython)("is taken over from a process that was killed", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      yield* stale(path)
      expect(fs.existsSync(path)).toBe(true)
      yield* Effect.scoped(Effect.gen(function* () {
        yield* server(path)
        expect(yield* answer(path)).toBe("hello")
        expect(modeOf(path)).toBe(0o600)
        expect(left(path)).toEqual([path.slice(folder.length + 1)])
      }))
      expect(left(path)).toEqual([])
    })))

  it.skipIf(noPython)("goes to one of several servers that start together", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      yield* stale(path)
      const starts = yield* Effect.forEach([1, 2, 3, 4], () => Effect.either(server(path)), {
        concurrency: "unbounded"
      })
      expect(starts.map(({ _tag }) => _tag).sort()).toEqual(["Left", "Left", "Left", "Right"])
      expect(yield* answer(path)).toBe("hello")
      expect(left(path).length).toBe(1)
    })))

  it("is not taken from a server that lives", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      yield* server(path)
      expect(yield* reportOf(Effect.scoped(Net.listen({ path })))).toMatchObject({ ...inUse, address: path })
      expect(yield* answer(path)).toBe("hello")
    })))

  // Elsewhere a full queue refuses, and is no different from a dead socket.
  it.skipIf(noPython || process.platform !== "linux").each([
    ["whose queue is full", "sock = socket.socket(socket.AF_UNIX)", "sock.listen(0)"],
    ["for datagrams", "sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)", "pass"]
  ])("is not taken from a socket %s", (_, open, listen) =>
    run(Effect.gen(function* () {
      const path = newPath()
      const peer = yield* python(`
${open}
sock.bind("${path}")
${listen}
if sock.type == socket.SOCK_STREAM:
    clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for client in clients: client.setblocking(False)
    for client in clients:
        try: client.connect("${path}")
        except BlockingIOError: pass
say("ready")
wait()
`)
      yield* peer.line
      const { ino } = fs.lstatSync(path)
      expect(yield* reportOf(Effect.scoped(Net.listen({ path })))).toMatchObject(inUse)
      expect(fs.lstatSync(path).ino).toBe(ino)
    })))

  it.each([
    ["a file", (path: string) => fs.writeFileSync(path, "mine")],
    ["a folder", (path: string) => fs.mkdirSync(path)],
    ["a link that leads nowhere", (path: string) => fs.symlinkSync("nowhere", path)]
  ])("does not replace %s", (_, make) =>
    run(Effect.gen(function* () {
      const path = newPath()
      make(path)
      const { ino } = fs.lstatSync(path)
      expect(yield* reportOf(Effect.scoped(Net.listen({ path })))).toMatchObject({
        tag: "AddressInUse",
        message: expect.stringContaining("what lies there is no socket")
      })
      expect(fs.lstatSync(path).ino).toBe(ino)
      fs.rmSync(path, { recursive: true })
    })))

  it("stays when it is another server's by the time of the close", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      const first = yield* Scope.make()
      yield* Scope.extend(server(path), first)
      fs.unlinkSync(path)
      yield* Effect.scoped(Effect.gen(function* () {
        yield* server(path)
        yield* Scope.close(first, Exit.void)
        expect(yield* answer(path)).toBe("hello")
        expect(left(path).length).toBe(1)
      }))
      expect(left(path)).toEqual([])
    })))

  it("may be gone by the time of the close", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      yield* Effect.scoped(Effect.andThen(server(path), Effect.sync(() => fs.unlinkSync(path))))
      expect(left(path)).toEqual([])
    })))

  it.skipIf(noPython)("gets its place back when it turns out to be a new server's", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      yield* stale(path)
      const transport = yield* Network
      const another = yield* Effect.runtime<Network | Scope.Scope>()
      let probes = 0
      const late: Transport = {
        ...transport,
        listen: listenWithFile({
          listen(request, events) {
            const taken = Object.assign(new Error("listen"), { code: "EADDRINUSE" })
            if (!fs.existsSync(path)) return transport.listen(request, events)
            queueMicrotask(() => events.onFail(taken))
            return () => {}
          },
          connect(request, events) {
            if (++probes > 2) return transport.connect(request, events)
            const refuse = () => events.onFail(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }))
            if (probes === 1) queueMicrotask(refuse)
            else Runtime.runFork(another)(Effect.andThen(server(path), Effect.sync(refuse)))
            return () => {}
          }
        })
      }
      const report = yield* reportOf(Effect.scoped(Net.listen({ path }))).pipe(Effect.provideService(Network, late))
      expect(report).toMatchObject(inUse)
      expect(probes).toBeGreaterThan(2)
      expect(yield* answer(path)).toBe("hello")
      expect(left(path).length).toBe(1)
    })))

  it.skipIf(noPython)("keeps its place when the start is interrupted early", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      yield* stale(path)
      const { ino } = fs.lstatSync(path)
      const starting = yield* Effect.fork(Effect.scoped(Net.listen({ path })))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(starting)
      expect(fs.lstatSync(path).ino).toBe(ino)
      yield* Net.listen({ path })
    })))

  it.skipIf(noPython)("is a plain one to other programs, both ways", () =>
    run(Effect.gen(function* () {
      const path = newPath()
      yield* server(path)
      const client = yield* python(`
sock = socket.socket(socket.AF_UNIX)
sock.connect("${path}")
sock.sendall(b"half-closed")
sock.shutdown(socket.SHUT_WR)
say(receive(sock).decode())
`)
      expect(yield* client.ended).toBe("half-closed\n")
      const theirs = newPath()
      const peer = yield* python(`
listener = socket.socket(socket.AF_UNIX)
listener.bind("${theirs}")
listener.listen()
say("ready")
sock, _ = listener.accept()
sock.sendall(receive(sock).upper())
`)
      yield* peer.line
      expect(yield* answer(theirs)).toBe("HELLO")
    })))
})

describe("the option `mode`", () => {
  it.each([
    [{ host: "127.0.0.1", port: 0 }, 0o600, "mode 0o600: not an option of 127.0.0.1:0, which is no file"],
    [{ path: "/x" }, 0o1777, "mode 1023: not permissions from 0 to 0o777"],
    [{ path: "/x" }, -1, "mode -1: not permissions from 0 to 0o777"],
    [{ path: "/x" }, 1.5, "mode 1.5: not permissions from 0 to 0o777"]
  ])("%j, %d", (address, mode, message) =>
    run(Effect.gen(function* () {
      expect(yield* reportOf(Net.listen(address, { mode }))).toMatchObject({ tag: "InvalidOption", message })
    })))
})

describe("a path that is too long", () => {
  // 107 bytes in 56 characters.
  const longest = `/tmp/${"é".repeat(51)}`

  it("is refused with its length and the limit, before anything is opened", () =>
    run(Effect.gen(function* () {
      for (const attempt of attempts) {
        expect(yield* reportOf(attempt({ path: `${longest}é` }))).toMatchObject({
          tag: "InvalidOption",
          message: `path ${longest}é: not a Unix socket path of 1-107 bytes, but of 109 bytes`
        })
        expect(yield* reportOf(attempt(new SocketAddress.UnixAddress(`${longest}é`)))).toMatchObject({
          tag: "InvalidOption",
          message: expect.stringContaining("of 109 bytes")
        })
      }
    })))

  it("is one that this system has no room for", () =>
    Effect.gen(function* () {
      const transport = yield* Network
      const elsewhere: Transport = { ...transport, maxPathBytes: 103 }
      for (const attempt of attempts) {
        expect(yield* reportOf(attempt({ path: longest })).pipe(Effect.provideService(Network, elsewhere)))
          .toMatchObject({
            tag: "InvalidOption",
            message: `path ${longest}: not a Unix socket path of 1-103 bytes, but of 107 bytes`
          })
      }
    }).pipe(Effect.scoped, Effect.provide(RuntimeNetwork.layer), Effect.runPromise))

  it.skipIf(process.platform !== "linux")("is none of the full length", () =>
    run(Effect.gen(function* () {
      const path = `${folder}/${"x".repeat(106 - folder.length)}`
      yield* server(path)
      expect(left(path)).toEqual([path.slice(folder.length + 1)])
      expect(yield* answer(path)).toBe("hello")
    })))
})

describe("an abstract name", () => {
  const name = `@netkit-${process.pid}-${Math.random()}`

  it.each([["here", RuntimeNetwork.layer], ["in memory", MemoryNetwork.layer]] as const)(
    "needs no file, %s, or is refused",
    (_, layer) =>
      run(
        Effect.gen(function* () {
          const { capabilities, runtime } = yield* Network
          if (!capabilities.unixAbstract) {
            for (const attempt of attempts) {
              const error = yield* Effect.flip(attempt({ path: name }))
              expect(error).toMatchObject({ _tag: "Unsupported", capability: "unixAbstract", runtime })
            }
            return
          }
          yield* Effect.scoped(Effect.gen(function* () {
            const { address } = yield* server(name)
            expect(String(address)).toBe(`unix:${name}`)
            expect(fs.existsSync(name)).toBe(false)
            expect(yield* answer(`unix:${name}`)).toBe("hello")
            expect(yield* reportOf(Effect.scoped(Net.listen({ path: name })))).toMatchObject(inUse)
          }))
          expect(yield* reportOf(Net.connect({ path: name }))).toMatchObject({ tag: "ConnectionRefused" })
          const error = yield* Effect.flip(Net.listen({ path: name }, { mode: 0o600 }))
          expect(error).toBeInstanceOf(NetError.InvalidOption)
        }),
        layer
      )
  )

  it.skipIf(noPython)("is the same to other programs", ({ skip }) =>
    run(Effect.gen(function* () {
      const { capabilities } = yield* Network
      if (!capabilities.unixAbstract) return skip("unsupported: unixAbstract")
      yield* server(name)
      const client = yield* python(`
sock = socket.socket(socket.AF_UNIX)
sock.connect("\\0${name.slice(1)}")
sock.sendall(b"hello")
sock.shutdown(socket.SHUT_WR)
say(receive(sock).decode())
`)
      expect(yield* client.ended).toBe("hello\n")
    })))
})
