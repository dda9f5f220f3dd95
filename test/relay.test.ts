import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, type Scope, TestClock } from "effect"
import { type Connection, Net, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { RuntimeNetwork } from "effect-netkit/runtime"

type Body = () => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>

const onMemory = (name: string, body: Body) =>
  it.scoped(`${name} (memory)`, () => Effect.provide(body(), MemoryNetwork.layer))

/** In memory, and on the sockets of this runtime. */
const everywhere = (name: string, body: Body) => {
  onMemory(name, body)
  it.scopedLive(name, () => Effect.provide(body(), RuntimeNetwork.layer))
}

const listen = { host: "127.0.0.1", port: 0 }
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const pattern = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255)

/** Waits for what the network and other fibers have under way. */
const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))

/** Two connected ends. */
const pair = (options: Net.ConnectOptions & Net.ListenOptions = {}) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen(listen, options)
    const near = yield* Net.connect(listener.address, options)
    return { near, far: yield* listener.accept }
  })

const rest = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const all: Array<number> = []
    for (let chunk = yield* connection.read; Option.isSome(chunk); chunk = yield* connection.read) {
      for (const byte of chunk.value) all.push(byte)
    }
    return Uint8Array.from(all)
  })

const writeIn = (connection: Connection.Connection, bytes: Uint8Array, size: number) =>
  Effect.gen(function* () {
    for (let at = 0; at < bytes.length; at += size) yield* connection.write(bytes.slice(at, at + size))
  })

/** `a` - `left` = relay = `right` - `b`. */
const relayed = (options: Net.ConnectOptions & Net.ListenOptions = {}) =>
  Effect.gen(function* () {
    const one = yield* pair(options)
    const two = yield* pair(options)
    return { a: one.near, left: one.far, right: two.near, b: two.far }
  })

describe("Net.relay", () => {
  for (const size of [100, 4096, 65536, 300_000]) {
    everywhere(`copies both ways what is written in pieces of ${size} bytes`, () =>
      Effect.gen(function* () {
        const { a, b, left, right } = yield* relayed({ writeBuffer: 10_000, readBuffer: 20_000 })
        const relaying = yield* Effect.fork(Net.relay(left, right))
        const there = pattern(1_000_000)
        const back = pattern(700_000).reverse()
        const [atB, atA] = yield* Effect.all([
          rest(b),
          rest(a),
          Effect.zipRight(writeIn(a, there, size), a.shutdown),
          Effect.zipRight(writeIn(b, back, size), b.shutdown)
        ], { concurrency: "unbounded" })
        expect(Buffer.compare(atB, there)).toBe(0)
        expect(Buffer.compare(atA, back)).toBe(0)
        expect(yield* Fiber.join(relaying)).toEqual({ forward: there.length, backward: back.length })
        expect((yield* right.stats).bytesWritten).toBe(there.length)
      }))
  }

  everywhere(
    "stopped at any moment, leaves what it has not passed on to the next reader",
    () =>
      Effect.gen(function* () {
        const { a, b, left, right } = yield* relayed({ writeBuffer: 1000, readBuffer: 5000 })
        const sent = pattern(2_000_000)
        yield* Effect.fork(Effect.zipRight(writeIn(a, sent, 1777), a.shutdown))
        const reading = yield* Effect.fork(rest(b))
        for (let round = 0; round < 40; round++) {
          const relaying = yield* Effect.fork(Net.relay(left, right))
          yield* Effect.repeatN(Effect.yieldNow(), round)
          if (round % 8 === 0) yield* settle
          yield* Fiber.interrupt(relaying)
          yield* Effect.flatMap(
            left.read,
            Option.match({ onNone: () => right.shutdown, onSome: (chunk) => right.write(chunk) })
          )
        }
        yield* b.shutdown
        yield* Net.relay(left, right)
        expect(Buffer.compare(yield* Fiber.join(reading), sent)).toBe(0)
      })
  )

  everywhere("fails with a write, and leaves what could not be written", () =>
    Effect.gen(function* () {
      const { a, left, right } = yield* relayed()
      yield* right.shutdown
      const relaying = yield* Effect.fork(Net.relay(left, right))
      yield* settle
      yield* a.write("hello")
      expect(yield* Effect.flip(Fiber.join(relaying))).toMatchObject({ _tag: "ConnectionClosed", operation: "write" })
      expect(text(yield* left.readExactly(5))).toBe("hello")
    }))

  everywhere(
    "passes on what was put back first, and leaves a chunk that was read to its reader",
    () =>
      Effect.gen(function* () {
        const { a, b, left, right } = yield* relayed()
        const sent = pattern(600_000)
        yield* Effect.fork(writeIn(a, sent, 65536))
        yield* left.readExactly(200_000)
        const kept = Option.getOrThrow(yield* left.read)
        const copy = kept.slice()
        yield* left.unread(kept.subarray(kept.length >> 1))
        yield* Effect.fork(Net.relay(left, right))
        const received = yield* b.readExactly(600_000 - 200_000 - (kept.length >> 1))
        expect(Buffer.compare(received, sent.subarray(200_000 + (kept.length >> 1)))).toBe(0)
        for (let round = 0; round < 20; round++) {
          const message = new Uint8Array(65536).fill(round)
          yield* a.write(message.slice())
          expect(Buffer.compare(yield* b.readExactly(65536), message)).toBe(0)
        }
        expect(Buffer.compare(kept, copy)).toBe(0)
      })
  )

  everywhere("keeps what the other side has not sent yet as it came", () =>
    Effect.gen(function* () {
      const { a, b, left, right } = yield* relayed({ writeBuffer: 1 << 24 })
      yield* Effect.fork(Net.relay(left, right))
      const pieces = Array.from({ length: 200 }, (_, n) => new Uint8Array(65536).fill(n))
      for (const piece of pieces) yield* a.write(piece.slice())
      for (let round = 0; (yield* right.stats).bytesWritten < 200 * 65536; round++) {
        expect(round).toBeLessThan(300)
        yield* settle
      }
      for (const piece of pieces) expect(Buffer.compare(yield* b.readExactly(65536), piece)).toBe(0)
    }))

  everywhere("takes turns with another writer", () =>
    Effect.gen(function* () {
      const { a, b, left, right } = yield* relayed({ writeBuffer: 1000 })
      yield* Effect.fork(Net.relay(left, right))
      const size = 400_000
      yield* Effect.fork(writeIn(a, new Uint8Array(size).fill(1), 5000))
      yield* Effect.fork(writeIn(right, new Uint8Array(size).fill(2), 5000))
      const received = yield* b.readExactly(2 * size)
      expect(received.reduce((sum, byte) => sum + byte, 0)).toBe(3 * size)
    }))

  onMemory(
    "takes nothing that it could still withdraw, though what was held back took the last of the room",
    () =>
      Effect.gen(function* () {
        const { b, left, right } = yield* relayed({ writeBuffer: 10_000 })
        yield* left.unread(pattern(300_000))
        const relaying = yield* Effect.fork(Effect.gen(function* () {
          yield* right.write(pattern(60_000))
          for (let i = 0; i < 30; i++) yield* right.write(pattern(900))
          yield* Net.relay(left, right)
        }))
        yield* settle
        yield* Fiber.interrupt(relaying)
        yield* right.shutdown
        const passed = (yield* rest(b)).length - 87_000
        expect(passed + (yield* left.stats).unread).toBe(300_000)
      })
  )

  onMemory("keeps the time of reads, which begins anew with every chunk", () =>
    Effect.gen(function* () {
      const { a, b, left, right } = yield* relayed({ readTimeout: "10 seconds" })
      const relaying = yield* Effect.fork(Net.relay(left, right))
      yield* settle
      for (let round = 0; round < 3; round++) {
        yield* TestClock.adjust("9 seconds")
        yield* a.write("x")
        yield* b.write("x")
        yield* settle
      }
      yield* TestClock.adjust("9999 millis")
      expect(Option.isNone(yield* Fiber.poll(relaying))).toBe(true)
      yield* TestClock.adjust("1 millis")
      expect(yield* Effect.flip(Fiber.join(relaying))).toMatchObject({ _tag: "ReadTimeout" })
    }))

  onMemory("keeps the time of writes that the peer does not take", () =>
    Effect.gen(function* () {
      const { a, left, right } = yield* relayed({ writeTimeout: "10 seconds", writeBuffer: 10, readBuffer: 10 })
      const relaying = yield* Effect.fork(Net.relay(left, right))
      yield* Effect.fork(Effect.ignore(writeIn(a, new Uint8Array(10_000_000), 100_000)))
      yield* settle
      for (let round = 0; round < 3; round++) {
        yield* TestClock.adjust("10 seconds")
        yield* settle
      }
      expect(yield* Effect.flip(Fiber.join(relaying))).toMatchObject({ _tag: "WriteTimeout" })
    }))

  for (const [name, say] of [["firstByteTimeout", false], ["idleTimeout", true]] as const) {
    onMemory(`is under the server's ${name}`, () =>
      Effect.gen(function* () {
        const origin = yield* Net.listen(listen)
        const failure = yield* Deferred.make<string>()
        const server = yield* Server.serve(Server.make({
          listen,
          firstByteTimeout: "3 seconds",
          idleTimeout: "5 seconds",
          handler: (connection) =>
            Effect.flatMap(Net.connect(origin.address), (other) => Net.relay(connection, other)).pipe(
              Effect.catchAll((error) => Deferred.succeed(failure, error._tag))
            )
        }))
        const client = yield* Net.connect(server.address)
        const behind = yield* origin.accept
        yield* settle
        if (say) yield* client.write("x")
        yield* behind.write("y")
        yield* settle
        yield* TestClock.adjust(say ? "4999 millis" : "2999 millis")
        yield* settle
        expect(yield* Deferred.isDone(failure)).toBe(false)
        yield* TestClock.adjust("1 millis")
        expect(yield* Deferred.await(failure)).toBe(say ? "IdleTimeout" : "FirstByteTimeout")
      }))
  }
})
