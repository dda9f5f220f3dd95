/**
 * Pools of connections on a network: what a peer that ends, says too much or too late does to them.
 */
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { ConnectionPool, Framed, Framing, Net, Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { idOf, type Pool, settle, Thing, Things } from "./support/connectionPool.ts"

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const lines = Framing.lines().pipe(Framing.text())

/** Answers each line with itself; `bye` ends it, `twice` answers twice, `later` is answered when told. */
const echo = (later: Effect.Effect<void> = Effect.void) =>
  Effect.map(
    Server.serve(Server.make({
      listen: { port: 0 },
      handler: (connection) =>
        Effect.gen(function* () {
          const framed = Framed.make(connection, lines)
          for (let line = yield* framed.receive; Option.isSome(line); line = yield* framed.receive) {
            if (line.value === "bye") return
            if (line.value === "later") yield* later
            yield* framed.send(line.value)
            if (line.value === "twice") yield* framed.send(line.value)
          }
        })
    })),
    ({ address }) => address
  )

describe("ConnectionPool of connections", () => {
  onMemory(
    "one that the peer ended while it was idle is not lent again, and is closed at once",
    () =>
      Effect.gen(function* () {
        const address = yield* echo()
        const pool = yield* ConnectionPool.connect(address)
        yield* pool.use((connection) => connection.write("bye\n"))
        yield* settle
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { closed: 1 } })
      })
  )

  onMemory("one that nobody has read from is watched too", () =>
    Effect.gen(function* () {
      const listener = yield* Net.listen({ port: 0 })
      const pool = yield* ConnectionPool.connect(listener.address, { minConnections: 1 })
      const accepted = yield* listener.accept
      yield* settle
      yield* accepted.write("220 welcome\n")
      yield* settle
      // A greeting is for the first borrower.
      expect((yield* pool.status).idle).toBe(1)
      expect(yield* pool.use((connection) => connection.readUntil("\n"))).toHaveLength(12)
      yield* accepted.write("421 bye\n")
      yield* settle
      expect(yield* pool.status).toMatchObject({ discarded: { unexpectedBytes: 1 }, created: 2 })
    }))

  onMemory(
    "one that its borrower has closed, shut down, or left bytes in is not lent again",
    () =>
      Effect.gen(function* () {
        const address = yield* echo()
        const pool = yield* ConnectionPool.connect(address)
        yield* pool.use((connection) => connection.close)
        yield* pool.use((connection) => connection.shutdown)
        yield* pool.use((connection) =>
          Effect.gen(function* () {
            yield* connection.write("twice\n")
            yield* connection.readExactly(3)
          })
        )
        yield* settle
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { closed: 2, unexpectedBytes: 1 } })
      })
  )

  onMemory(
    "a framed one is watched, and not lent while an answer or a part of one is left",
    () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const address = yield* echo(Deferred.await(gate))
        const pool = yield* ConnectionPool.make({ acquire: Framed.connect(address, lines) })
        expect(yield* pool.use((framed) => framed.request("a"))).toBe("a")
        expect((yield* pool.status).idle).toBe(1)
        yield* pool.use((framed) => framed.request("twice"))
        yield* settle
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { unexpectedBytes: 1 } })
        // The use succeeds, though the answer is still to come.
        const use = yield* Effect.fork(pool.use((framed) => Effect.timeoutOption(framed.request("later"), "1 second")))
        yield* settle
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(use)).toEqual(Option.none())
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { unexpectedBytes: 2 } })
        yield* Deferred.succeed(gate, undefined)
        expect(yield* pool.use((framed) => framed.request("b"))).toBe("b")
      })
  )

  const short = Framing.lines({ maxFrameLength: 5 }).pipe(Framing.text())
  const refused = "longer than that"
  const refusals: ReadonlyArray<
    readonly [string, (framed: Framed.Framed<string>) => Effect.Effect<unknown, unknown>, "kept" | "closed"]
  > = [
    ["a request", (framed) => framed.request(refused), "kept"],
    [
      "one that is told in the caller's words",
      (framed) => Effect.mapError(framed.send(refused), (cause) => new Error("no such key", { cause })),
      "kept"
    ],
    ["one of many", (framed) => framed.sendAll(["a", refused]), "kept"],
    [
      "one behind another, whose answer is to come",
      (framed) => Effect.zipRight(framed.send("a"), framed.send(refused)),
      "closed"
    ],
    [
      "one beside an error of the connection",
      (framed) =>
        Effect.zip(Effect.flip(framed.request(refused)), framed.connection.close).pipe(
          Effect.zipRight(framed.request("a"))
        ),
      "closed"
    ]
  ]
  for (const [name, use, fate] of refusals) {
    onMemory(`a message that the codec refuses, ${name}: ${fate}`, () =>
      Effect.gen(function* () {
        const pool = yield* ConnectionPool.make({ acquire: Framed.connect(yield* echo(), short) })
        expect(yield* pool.use((framed) => framed.request("first"))).toBe("first")
        yield* Effect.flip(pool.use(use))
        expect(yield* pool.use((framed) => framed.request("next"))).toBe("next")
        expect((yield* pool.status).created).toBe(fate === "kept" ? 1 : 2)
      }))
  }

  onMemory("`invalidateOn` is asked about refused messages too", () =>
    Effect.gen(function* () {
      const acquire = Framed.connect(yield* echo(), short)
      const pool = yield* ConnectionPool.make({ acquire, invalidateOn: ConnectionPool.isConnectionError })
      yield* Effect.flip(Effect.scoped(Effect.flatMap(pool.get, (framed) => framed.request(refused))))
      expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { failed: 1 } })
    }))

  onMemory("a session tells its connection", () =>
    Effect.gen(function* () {
      const address = yield* echo()
      const login = Effect.map(Framed.connect(address, lines), (framed) => ({ framed }))
      const pool = yield* ConnectionPool.make({ acquire: login, connection: ({ framed }) => framed })
      yield* pool.use(({ framed }) => framed.send("bye"))
      yield* settle
      expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { closed: 1 } })
      // Nor is a reader that has given up in the way of seeing what comes late.
      yield* pool.use(({ framed }) => Effect.interruptible(Effect.raceFirst(framed.receive, Effect.void)))
      yield* pool.use(({ framed }) => framed.send("unasked"))
      yield* settle
      expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { unexpectedBytes: 1 } })
    }))

  onMemory("a peer that hangs up on every new connection is not dialled in a loop", () =>
    Effect.gen(function* () {
      let accepted = 0
      const { address } = yield* Server.serve(Server.make({
        listen: { port: 0 },
        handler: () => Effect.sync(() => accepted++)
      }))
      yield* ConnectionPool.connect(address, { minConnections: 1 })
      for (let i = 0; i < 20; i++) yield* settle
      expect(accepted).toBe(1)
    }))

  onMemory("a peer that is not there is told with its address", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.connect("127.0.0.1:9")
      expect(yield* Effect.flip(pool.use((connection) => connection.read))).toMatchObject({ _tag: "ConnectionRefused" })
    }))

  it.scoped("is a layer", () => {
    class Backend extends Context.Tag("Backend")<Backend, Pool<Thing>>() {}
    const things = new Things()
    const layer = ConnectionPool.layer(Backend, ConnectionPool.make({ acquire: things.acquire, minConnections: 1 }))
    return Effect.gen(function* () {
      expect(yield* Effect.provide(Effect.flatMap(Backend, idOf), layer)).toBe(1)
      expect(things.open.size).toBe(0)
      expect(Layer.isLayer(layer)).toBe(true)
    })
  })
})
