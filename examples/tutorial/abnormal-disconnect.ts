/**
 * Clients that break off in mid-session while others go on (T1): the server gets a typed error for each of them.
 * Both halves run here, on loopback:  npm run -s example -- abnormal-disconnect
 * With more clients of both kinds:    npm run -s example -- abnormal-disconnect --breaking 20 --steady 20
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, Net, Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"

const flags = {
  breaking: Flags.withDefault("count", "clients that reset their connection", Flags.count, 2),
  steady: Flags.withDefault("count", "clients that go on", Flags.count, 3)
}

const echoServer = Server.make({
  listen: { port: 0 },
  handler: (connection) =>
    Stream.runForEach(connection.stream, connection.write).pipe(Effect.matchEffect({
      onSuccess: () => Console.log(`server: ${connection.remoteAddress} closed in good order`),
      onFailure: (error) => Console.log(`server: ${error._tag}: ${error.message}`)
    }))
})

const exchange = (connection: Connection.Connection) =>
  Effect.zipRight(connection.write("ping"), connection.readExactly(4))

run(import.meta.url, flags, ({ breaking, steady }) =>
  Effect.gen(function* () {
    const { address, awaitConnections } = yield* echoServer.serve
    yield* Effect.scoped(Effect.gen(function* () {
      // Deno's own sockets cannot send RST; `resettable` asks for one that can.
      const join = (resettable: boolean) => Effect.tap(Net.connect(address, { resettable }), exchange)
      const breakers = yield* Effect.replicateEffect(join(true), breaking)
      const others = yield* Effect.replicateEffect(join(false), steady)

      yield* Console.log(`${breaking + steady} clients are in session; ${breaking} of them break off`)
      yield* Effect.forEach(breakers, (connection) => connection.reset, { discard: true })
      yield* Effect.forEach(others, exchange, { concurrency: "unbounded", discard: true })
      yield* Console.log(`${steady} others have had their next answer`)
    }))
    yield* awaitConnections("==", 0)
  }))
