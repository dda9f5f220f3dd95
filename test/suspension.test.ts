/**
 * Effect lets a fiber yield after 2048 steps, between any two of them, and it may be interrupted there: in the middle of a read, or between the
 * registration of what it waits for and the waiting. So each is interrupted after every number of steps around that.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, type Scope, Stream } from "effect"
import { type Connection, FramedServer, Framing, Net, type Network } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const pair = (options: Net.ConnectOptions & Net.ListenOptions = {}) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ port: 0 }, options)
    const client = yield* Net.connect(listener.address, options)
    return { client, server: yield* listener.accept }
  })

const steps = (count: number) =>
  Effect.suspend(() => {
    let done = 0
    return Effect.whileLoop({ while: () => done < count, body: () => Effect.void, step: () => void done++ })
  })

/** Interrupts the effect where it yields or waits first, for each number of steps before it. */
const interrupted = <E, R>(
  attempt: (interrupt: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<void, never, R>) => Effect.Effect<
    void,
    E,
    R
  >,
  limit = 2048
) =>
  Effect.forEach(
    Array.from({ length: Math.min(60, limit + 10) }, (_, i) => Math.max(0, limit - 50) + i),
    (count) =>
      attempt((effect) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(Effect.withMaxOpsBeforeYield(Effect.zipRight(steps(count), effect), limit))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
        })
      ),
    { discard: true }
  )

const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

describe("an interruption after any number of steps", () => {
  onMemory(
    "of a write that has to wait withdraws its message",
    () =>
      interrupted((interrupt) =>
        Effect.gen(function* () {
          const { client, server } = yield* pair({ writeBuffer: 1000, readBuffer: 1000 })
          yield* Effect.fork(client.write(new Uint8Array(100_000)))
          yield* turn
          yield* interrupt(client.write("withdrawn"))
          yield* Effect.fork(client.write("!"))
          const received = yield* server.readExactly(100_001)
          expect(received.at(-1)).toBe("!".charCodeAt(0))
        })
      )
  )

  onMemory("of a relay stops it", () =>
    interrupted((interrupt) =>
      Effect.gen(function* () {
        const [a, b] = [yield* pair(), yield* pair()]
        yield* interrupt(Net.relay(a.server, b.server))
        yield* a.client.write("for the next reader")
        yield* turn
        expect((yield* b.server.stats).bytesWritten).toBe(0)
      })
    ))

  onMemory("of an accept leaves the connection to the next", () =>
    interrupted((interrupt) =>
      Effect.gen(function* () {
        const listener = yield* Net.listen({ port: 0 })
        yield* interrupt(Effect.scoped(listener.accept))
        const accepting = yield* Effect.fork(listener.accept)
        yield* Effect.yieldNow()
        yield* Net.connect(listener.address)
        yield* turn
        expect(Option.isSome(yield* Fiber.poll(accepting))).toBe(true)
      })
    ))

  const readers = {
    readExactly: (connection: Connection.Connection) => connection.readExactly(5),
    readUntil: (connection: Connection.Connection) => connection.readUntil("e"),
    "readExactly, some steps on,": (connection: Connection.Connection) =>
      Effect.zipRight(steps(3), connection.readExactly(5))
  }

  for (const [name, read] of Object.entries(readers)) {
    onMemory(`of ${name} loses no byte, however few steps are allowed`, () =>
      Effect.gen(function* () {
        const { client, server } = yield* pair()
        yield* server.write("first")
        yield* client.read
        const limits = [100, ...Array.from({ length: 29 }, (_, i) => i + 12)]
        yield* Effect.forEach(limits, (limit) =>
          interrupted((interrupt) =>
            Effect.gen(function* () {
              yield* server.write("abcde")
              yield* turn
              let taken = 0
              const reading = Effect.flatMap(read(client), (bytes) => {
                taken += bytes.length
                return Effect.void
              })
              yield* interrupt(reading)
              expect(taken + (yield* client.stats).unread).toBe(5)
              if (taken === 0) yield* client.read
            }), limit))
      }))
  }

  onMemory("of a message handler keeps no reply to a message that was handled, however few steps are allowed", () => {
    const limits = Array.from({ length: 29 }, (_, i) => i + 12)
    return Effect.forEach(limits, (limit) =>
      interrupted((interrupt) =>
        Effect.scoped(Effect.gen(function* () {
          const { client, server } = yield* pair()
          yield* client.write("one\ntwo\nwait\n")
          yield* server.readExactly(3).pipe(Effect.tap(server.unread))
          let handled = 0
          const serving = FramedServer.handler({
            codec: Framing.lines().pipe(Framing.text()),
            handler: () => (line) => line === "wait" ? Effect.never : (handled++, line)
          })(server)
          yield* interrupt(serving)
          yield* server.shutdown
          const replies = yield* client.stream.pipe(Stream.runFold(0, (sum, bytes) => sum + bytes.length))
          expect(replies).toBe(handled * 4)
        })), limit))
  })
})
