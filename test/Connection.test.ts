import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Exit, Fiber, Option, type Scope, Stream, TestClock } from "effect"
import { Connection, Net, type NetError, type Network } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Both ends of one connection, each in a scope of its own within the present one. */
const pair = (options: Net.ConnectOptions & Net.ListenOptions = {}) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ port: 0 }, options)
    const client = yield* Net.connect(listener.address, options)
    return { client, server: yield* listener.accept, listener }
  })

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

/** Lets the network deliver what it has under way, before virtual time goes on. */
const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

const tag = <A, E extends NetError.NetError>(exit: Exit.Exit<A, E>) =>
  Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error._tag : "no failure"

describe("Connection", () => {
  onMemory("listeners and connections are told from other values", () =>
    Effect.gen(function* () {
      const { client, listener, server } = yield* pair()
      const values = [client, server, listener, {}, undefined]
      expect(values.map(Connection.isConnection)).toEqual([true, true, false, false, false])
      expect(values.map(Net.isListener)).toEqual([false, false, true, false, false])
    }))

  onMemory("answers to what came together leave together, and before a FIN or a close", () =>
    Effect.gen(function* () {
      for (const end of ["shutdown", "close"] as const) {
        const { client, server } = yield* pair()
        yield* client.write("a\nb\nc\n")
        for (const line of ["a\n", "b\n"]) {
          expect(text(yield* server.readUntil("\n"))).toBe(line)
          yield* server.writeAll(["re ", line])
        }
        expect(text(Option.getOrThrow(yield* client.read))).toBe("re a\nre b\n")
        yield* server.write("last")
        yield* end === "close" ? Effect.fork(server.close) : server.shutdown
        expect(text(Option.getOrThrow(yield* client.read))).toBe("last")
        expect(Option.isNone(yield* client.read)).toBe(true)
      }
    }))

  onMemory("a read fails with ReadTimeout at its time, and the next read goes on", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ readTimeout: "10 seconds" })
      const waiting = yield* Effect.fork(client.read)
      yield* TestClock.adjust("9 seconds")
      expect(Option.isNone(yield* Fiber.poll(waiting))).toBe(true)
      yield* TestClock.adjust("1 second")
      expect(tag(yield* Fiber.await(waiting))).toBe("ReadTimeout")
      yield* server.write("late")
      expect(text(Option.getOrThrow(yield* client.read))).toBe("late")
    }))

  onMemory("an interrupted read does not time out the one after it", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ readTimeout: "10 seconds" })
      yield* Fiber.interrupt(yield* Effect.fork(client.read))
      yield* TestClock.adjust("10 seconds")
      const waiting = yield* Effect.fork(client.read)
      yield* TestClock.adjust("5 seconds")
      yield* server.write("in time")
      expect(text(Option.getOrThrow(yield* Fiber.join(waiting)))).toBe("in time")
    }))

  onMemory(
    "who waits for a delimiter finds it after another reader has taken what came before",
    () =>
      Effect.gen(function* () {
        const { client, server } = yield* pair()
        const waiting = yield* Effect.fork(client.readUntil("\n"))
        yield* server.write("a long beginning")
        yield* turn
        expect(text(Option.getOrThrow(yield* client.read))).toBe("a long beginning")
        yield* server.write("end\n")
        yield* turn
        expect(Option.map(yield* Fiber.poll(waiting), Exit.map(text))).toEqual(Option.some(Exit.succeed("end\n")))
      })
  )

  onMemory("the end of stream stays the end when the peer resets afterwards", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair()
      yield* server.shutdown
      expect(yield* client.read).toEqual(Option.none())
      yield* server.reset
      yield* client.closed
      expect(yield* client.read).toEqual(Option.none())
      expect(tag(yield* Effect.exit(client.write("to nobody")))).toBe("BrokenPipe")
    }))

  onMemory("a stream fails with ReadTimeout too", () =>
    Effect.gen(function* () {
      const { client } = yield* pair({ readTimeout: "10 seconds" })
      const running = yield* Effect.fork(Stream.runDrain(client.stream))
      yield* TestClock.adjust("10 seconds")
      expect(tag(yield* Fiber.await(running))).toBe("ReadTimeout")
    }))

  onMemory("a write fails with WriteTimeout only while the peer takes nothing", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ writeTimeout: "10 seconds", readBuffer: 1024, writeBuffer: 1024 })
      const writing = yield* Effect.fork(client.write(new Uint8Array(2_000_000)))
      yield* TestClock.adjust("9 seconds")
      for (let i = 0; i < 3; i++) {
        for (let got = 0; got < 270_000;) got += Option.getOrThrow(yield* server.read).length
        yield* turn
        yield* TestClock.adjust("9 seconds")
      }
      expect(Option.isNone(yield* Fiber.poll(writing))).toBe(true)
      // What the kernel has taken after the last word of the runtime counts as well.
      yield* TestClock.adjust("10 seconds")
      yield* TestClock.adjust("10 seconds")
      expect(tag(yield* Fiber.await(writing))).toBe("WriteTimeout")
    }))

  onMemory("connectTimeout ends an attempt that nobody answers", () =>
    Effect.gen(function* () {
      const listener = yield* Net.listen({ port: 0 }, { backlog: 1 })
      for (let i = 0; i < 2; i++) yield* Net.connect(listener.address)
      const dialling = yield* Effect.fork(Effect.scoped(Net.connect(listener.address, { connectTimeout: "3 seconds" })))
      yield* TestClock.adjust("3 seconds")
      expect(tag(yield* Fiber.await(dialling))).toBe("ConnectTimeout")
    }))

  onMemory("a close whose bytes nobody takes is cut off after closeTimeout", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ closeTimeout: "5 seconds", writeBuffer: 1_000_000 })
      yield* client.write(new Uint8Array(900_000))
      const closing = yield* Effect.fork(client.close)
      yield* TestClock.adjust("4 seconds")
      expect(Option.isNone(yield* Fiber.poll(closing))).toBe(true)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      expect(tag(yield* Effect.exit(Stream.runDrain(server.stream)))).toBe("ConnectionReset")
    }))

  onMemory("two ends in one scope close without waiting, unread bytes or not", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.gen(function* () {
        const { client, server } = yield* pair()
        yield* client.write("nobody reads this")
        yield* server.write("nor this")
      }))
    }))

  onMemory("readExactly, readUntil and unread share one queue", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair()
      yield* server.write("HEAD 5\r\nhelloREST")
      yield* server.shutdown
      expect(text(yield* client.readUntil("\r\n"))).toBe("HEAD 5\r\n")
      expect(text(yield* client.readExactly(5))).toBe("hello")
      yield* client.unread(new TextEncoder().encode("> "))
      expect(text(yield* client.readExactly(4))).toBe("> RE")
      const short = yield* Effect.flip(client.readExactly(3))
      expect(short).toMatchObject({ _tag: "UnexpectedEnd", received: 2, expected: 3 })
      expect(text(yield* Stream.runFold(client.stream, new Uint8Array(0) as Uint8Array, (_, bytes) => bytes))).toBe(
        "ST"
      )
      expect(Option.isNone(yield* client.read)).toBe(true)
    }))

  onMemory("readExactly asks for more than readBuffer holds", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ readBuffer: 100 })
      yield* Effect.fork(server.write(new Uint8Array(50_000).fill(7)))
      expect((yield* client.readExactly(50_000)).every((byte) => byte === 7)).toBe(true)
    }))

  onMemory("readBuffer holds again after a larger readExactly, interrupted or done", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ readBuffer: 100, writeBuffer: 100 })
      const unread = Effect.zipRight(Effect.repeatN(turn, 10), Effect.map(client.stats, ({ unread }) => unread))
      const larger = yield* Effect.fork(client.readExactly(1 << 20))
      yield* turn
      yield* Fiber.interrupt(larger)
      yield* Effect.fork(server.write(new Uint8Array(3 << 20)))
      const interrupted = yield* unread
      yield* client.readExactly(1 << 20)
      const done = yield* unread
      yield* client.readExactly(2 << 20)
      expect(Math.max(interrupted, done)).toBeLessThan(1 << 19)
    }))

  onMemory("readUntil stops at its limit and leaves the bytes", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair()
      yield* server.write("x".repeat(100))
      const error = yield* Effect.flip(client.readUntil("\n", { maxLength: 64 }))
      expect(error).toMatchObject({ _tag: "MessageTooLarge", limit: 64 })
      expect((yield* client.readExactly(100)).length).toBe(100)
      for (const maxLength of [Number.NaN, 0, -1]) {
        const exit = yield* Effect.exit(client.readUntil("\n", { maxLength }))
        expect(exit).toMatchObject({ cause: { _tag: "Die", defect: { _tag: "InvalidOption", option: "maxLength" } } })
      }
    }))

  onMemory("small writes of one turn leave as one, in order", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair()
      yield* client.read.pipe(Effect.timeoutOption(0))
      yield* Effect.forEach(Array.from({ length: 50 }, (_, i) => `${i};`), client.write)
      yield* client.shutdown
      const chunks = yield* Stream.runCollect(server.stream)
      expect(Array.from(chunks, text).join("")).toBe(Array.from({ length: 50 }, (_, i) => `${i};`).join(""))
      expect(Chunk.size(chunks)).toBeLessThan(5)
    }))

  onMemory("an interrupted write is sent whole or not at all", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ readBuffer: 1024, writeBuffer: 1024 })
      const first = yield* Effect.fork(client.write(new Uint8Array(400_000).fill(1)))
      const second = yield* Effect.fork(client.write(new Uint8Array(1000).fill(2)))
      const third = yield* Effect.fork(client.write(new Uint8Array(1000).fill(3)))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      const counts = [0, 0, 0, 0]
      yield* Effect.fork(Effect.zipRight(Fiber.join(third), client.shutdown))
      yield* Stream.runForEach(server.stream, (bytes) => Effect.sync(() => bytes.forEach((byte) => counts[byte]!++)))
      expect(counts).toEqual([0, 400_000, 0, 1000])
    }))

  onMemory(
    "a message is written whenever its effect is run, and not before; read is one effect that is run for every chunk",
    () =>
      Effect.gen(function* () {
        const { client, server } = yield* pair()
        const write = client.write("é✓")
        yield* Effect.zipRight(write, write)
        expect(text(yield* server.readExactly(10))).toBe("é✓é✓")
        const [first, second] = yield* Effect.all([client.write("1"), server.read, client.write("2"), server.read])
          .pipe(
            Effect.map(([, first, , second]) => [first, second].map(Option.getOrThrow).map(text))
          )
        expect([first, second]).toEqual(["1", "2"])
        yield* client.write(new Uint8Array(0))
        yield* client.write("")
        yield* client.shutdown
        expect(Option.isNone(yield* server.read)).toBe(true)
      })
  )

  it("read and write run in a runtime of their own, too", () =>
    Effect.runPromise(
      Effect.scoped(Effect.gen(function* () {
        const { client, server } = yield* pair()
        yield* Effect.promise(() => Effect.runPromise(client.write("alone")))
        const chunk = yield* Effect.promise(() => Effect.runPromise(server.read))
        expect(text(Option.getOrThrow(chunk))).toBe("alone")
      })).pipe(Effect.provide(MemoryNetwork.layer))
    ))

  onMemory("what is no message dies where it is written, and the connection goes on", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair()
      for (const wrong of [undefined, null, 7, {}]) {
        expect(Exit.isFailure(yield* Effect.exit(client.write(wrong as unknown as string)))).toBe(true)
      }
      yield* client.write("well")
      expect(text(yield* server.readExactly(4))).toBe("well")
    }))

  onMemory("stats count bytes and age", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair()
      yield* client.write("12345")
      yield* server.readExactly(3)
      yield* TestClock.adjust("7 seconds")
      expect(yield* server.stats).toMatchObject({ bytesRead: 5, bytesWritten: 0, unread: 2 })
      expect((yield* client.stats).bytesWritten).toBe(5)
      expect(Duration.toSeconds((yield* client.stats).age)).toBe(7)
    }))

  onMemory("is told apart from other values", () =>
    Effect.gen(function* () {
      const { client } = yield* pair()
      expect(Connection.isConnection(client)).toBe(true)
      expect(Connection.isConnection({})).toBe(false)
      yield* client.write("12345")
      expect(JSON.parse(JSON.stringify(client))).toMatchObject({
        _id: "Connection",
        remoteAddress: String(client.remoteAddress),
        bytesWritten: 5
      })
      expect(String(client)).toContain(String(client.localAddress))
    }))
})
