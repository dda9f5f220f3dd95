/**
 * Many connections: rounds of them, bursts of them, failures and interruptions of them leave no descriptor behind.
 * Descriptors are counted where the host of the suite gives a gauge; without one the properties still hold every
 * connection to its end.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Net from "../../src/Net.ts"
import { equal, fail } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { drain, echo, Gauges, listen, pause, serve, text } from "./support.ts"

/** Runs it once to open what stays open (an event loop, a resolver), then for the record. */
const leavesNone = <E, R>(round: (count: number) => Effect.Effect<void, E, R>, count: number) =>
  Effect.gen(function* () {
    const { descriptors = Effect.succeed(0) } = yield* Gauges
    yield* round(20)
    // The last of the warm-up's sockets close at the far end without anybody waiting for it.
    yield* pause(100)
    const before = yield* descriptors
    yield* round(count)
    for (let i = 0; (yield* descriptors) > before; i++) {
      if (i === 100) return yield* fail(`${(yield* descriptors) - before} descriptors more than the ${before} before`)
      yield* pause(20)
    }
  })

/** So often in all, by 20 fibers that repeat it. */
const often = <E, R>(round: Effect.Effect<unknown, E, R>) => (count: number): Effect.Effect<void, E, R> =>
  Effect.replicateEffect(Effect.repeatN(round, count / 20 - 1), 20, { concurrency: "unbounded", discard: true })

const rounds: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(echo)
  const round = Effect.scoped(Net.connect(server.address))
  yield* leavesNone(often(round), 10_000)
  const { accepted } = yield* server.status
  yield* equal(accepted, 10_020, "connections that the server saw")
})

const exchanges: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve((connection) => Effect.flatMap(connection.read, () => connection.write("pong")))
  const round = Effect.scoped(Effect.gen(function* () {
    const client = yield* Net.connect(server.address)
    yield* client.write("ping")
    yield* equal(text(yield* client.readExactly(4)), "pong", "the reply")
  }))
  yield* leavesNone(often(round), 2000)
})

const burst: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(echo)
  const burst = (count: number) =>
    Effect.scoped(Effect.gen(function* () {
      // All at once, and all open together.
      const clients = yield* Effect.replicateEffect(Net.connect(server.address), count, { concurrency: "unbounded" })
      yield* Effect.forEach(clients, (client) => client.write("x"), { discard: true })
      yield* Effect.forEach(clients, (client) => client.readExactly(1), { discard: true })
      yield* Effect.forEach(clients, (client) => client.close, { concurrency: "unbounded", discard: true })
    }))
  yield* leavesNone(burst, 1000)
})

const refusals: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* Effect.scoped(listen())
  const attempt = Effect.scoped(Effect.flip(Net.connect(address)))
  yield* leavesNone(often(attempt), 1000)
})

const interruptions: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(echo)
  const attempt = Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.scoped(Effect.flatMap(Net.connect(server.address), drain)))
    yield* Effect.repeatN(Effect.yieldNow(), Math.floor(Math.random() * 30))
    yield* Fiber.interrupt(fiber)
  })
  yield* leavesNone(often(attempt), 1000)
})

const listeners: Draft["run"] = Effect.gen(function* () {
  const round = Effect.scoped(Effect.gen(function* () {
    const listener = yield* listen()
    // Dials that race with the end of the listener, some accepted and some not.
    yield* Effect.replicateEffect(Effect.forkScoped(Effect.ignore(Net.connect(listener.address))), 3)
    yield* listener.accept
  }))
  yield* leavesNone(often(round), 200)
})

const stampede: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(echo)
  const clients = yield* Effect.replicateEffect(Net.connect(server.address), 100, { concurrency: "unbounded" })
  yield* Effect.forEach(clients, (client) => client.close, { concurrency: "unbounded" })
  const late = yield* Net.connect(server.address)
  yield* late.write("late")
  yield* equal(text(yield* late.readExactly(4)), "late", "the echo to a client after the stampede")
  yield* equal((yield* server.status).accepted, 101, "connections that the server saw")
})

export const churn = group("churn", [
  { name: "10,000 connects and closes leave no descriptor", source: "Go net TestDialerDualStackFDLeak", run: rounds },
  { name: "2,000 exchanges leave no descriptor", source: "Go net TestDialerDualStackFDLeak", run: exchanges },
  {
    name: "a burst of 1,000 connections is served and leaves no descriptor",
    source: "fs2 SocketSuite, kyo-net connect storm",
    run: burst
  },
  { name: "1,000 refused connects leave no descriptor", source: "kyo-net connect-refused storm", run: refusals },
  {
    name: "1,000 interrupted connects leave no descriptor",
    source: "kyo-net interrupting at concurrency",
    run: interruptions
  },
  {
    name: "200 listeners that close while clients dial leave no descriptor",
    source: "kyo-net listener open/close churn",
    run: listeners
  },
  { name: "a listener survives a hundred clients that leave at once", source: "ranch stampede_SUITE", run: stampede }
], "1 minute")
