/**
 * Short and long connections (T0): the same requests over a connection each, over one for all, and through a pool.
 * All of it runs here, on loopback:  npm run -s example -- short-vs-long
 * More requests, more clients:       npm run -s example -- short-vs-long --requests 5000 --clients 16
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, ConnectionPool, Net, Server, type SocketAddress } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { table } from "../lib/Table.ts"

const flags = {
  requests: Flags.withDefault("count", "how many requests are made each way", Flags.count, 1000),
  clients: Flags.withDefault("count", "how many ask at once; the pool has as many connections", Flags.count, 4)
}

const echo = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: (connection) => Stream.runForEach(connection.stream, connection.write)
})

const question = "what time is it?"

const ask = (connection: Connection.Connection) =>
  Effect.zipRight(connection.write(question), connection.readExactly(question.length))

/** Each way to make so many requests, from the first connect to the last answer. */
const ways = (address: SocketAddress.SocketAddress, clients: number, requests: number) => {
  const all = <A, E, R>(request: Effect.Effect<A, E, R>) =>
    Effect.replicateEffect(request, requests, { concurrency: clients, discard: true })
  return {
    "short: a connection for each": all(Effect.scoped(Effect.flatMap(Net.connect(address), ask))),
    "long: one connection for all": Effect.gen(function* () {
      const connection = yield* Net.connect(address)
      // An answer says not to which question: one at a time.
      const turn = yield* Effect.makeSemaphore(1)
      yield* all(turn.withPermits(1)(ask(connection)))
    }),
    "pool: each lent in turn": Effect.gen(function* () {
      const pool = yield* ConnectionPool.connect(address, { maxConnections: clients })
      yield* all(pool.use(ask))
    })
  }
}

const width = 40

run(import.meta.url, flags, ({ clients, requests }) =>
  Effect.gen(function* () {
    const { address, status } = yield* echo.serve
    // Once before it counts: the first way would pay for what the runtime has to compile.
    yield* Effect.forEach(Object.values(ways(address, clients, 100)), Effect.scoped, { discard: true })
    const results = yield* Effect.forEach(Object.entries(ways(address, clients, requests)), ([name, way]) =>
      Effect.gen(function* () {
        const before = yield* status
        const [duration] = yield* Effect.timed(Effect.scoped(way))
        const { accepted } = yield* status
        return { name, connections: accepted - before.accepted, millis: Duration.toMillis(duration) }
      }))
    const slowest = Math.max(...results.map(({ millis }) =>
      millis
    ))
    const rows = results.map(({ connections, millis, name }) => [
      name,
      `${connections}`,
      `${millis.toFixed(0)} ms`,
      `${(millis * 1000 / requests).toFixed(0)} us`,
      "#".repeat(Math.ceil(millis / slowest * width))
    ])
    yield* Console.log(`${requests} requests, ${clients} at once`)
    yield* Console.log(table([["", "connections", "time", "a request", ""], ...rows]))
  }))
