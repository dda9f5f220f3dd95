/**
 * A server that protects itself (T0): who is idle for too long is dropped, who connects too often is turned away.
 * All of it runs here, on loopback:  npm run -s example -- idle-and-limits
 * With other limits:                 npm run -s example -- idle-and-limits --idle 0.5 --per-host 3
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Net, Server, type SocketAddress } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"

const seconds: Flags.Parser<Duration.Duration> = (text) =>
  /^\d{1,4}(\.\d{1,3})?$/.test(text) && Number(text) > 0
    ? Either.right(Duration.seconds(Number(text)))
    : Either.left("a number of seconds")

const flags = {
  idle: Flags.withDefault("seconds", "how long a client may be silent", seconds, Duration.seconds(1)),
  perHost: Flags.withDefault("count", "how many connections a client machine may have", Flags.count, 2)
}

const server = (idle: Duration.Duration, perHost: number) =>
  Server.make({
    listen: { host: "127.0.0.1", port: 0 },
    maxConnectionsPerHost: perHost,
    overflow: "reject",
    firstByteTimeout: idle,
    idleTimeout: idle,
    handler: (connection) =>
      Effect.gen(function* () {
        const peer = connection.remoteAddress
        yield* Console.log(`server: ${peer}: accepted`)
        yield* Effect.matchEffect(Stream.runForEach(connection.stream, connection.write), {
          onSuccess: () => Console.log(`server: ${peer}: has left`),
          onFailure: (error) => Console.log(`server: ${peer}: dropped: ${error._tag}: ${error.message}`)
        })
      })
  })

/** Connects, says something so many times, keeps silent after that, and says how it ended. */
const client = (name: string, address: SocketAddress.SocketAddress, times: number, pause: Duration.Duration) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(address)
    const talk = Effect.zipRight(connection.write("hello"), connection.readExactly(5))
    yield* Effect.repeat(talk, Schedule.intersect(Schedule.recurs(times - 1), Schedule.spaced(pause)))
    yield* Console.log(`${name}: served ${times} times, and silent from now on`)
    yield* Stream.runDrain(connection.stream)
    yield* Console.log(`${name}: the server ended the connection`)
  }).pipe(
    Effect.scoped,
    Effect.catchAll((error) => Console.log(`${name}: turned away (${error._tag})`))
  )

run(import.meta.url, flags, ({ idle, perHost }) =>
  Effect.gen(function* () {
    const { address, awaitConnections, status } = yield* server(idle, perHost).serve
    yield* Console.log(`server: ${perHost} connections a host, each idle for ${Duration.format(idle)} at most`)
    const pause = Duration.times(idle, 0.5)
    const here = yield* Effect.forEach(Array.from({ length: perHost }, (_, index) => index + 1), (number) =>
      // The first goes on talking, which keeps it; the others say one thing.
      Effect.fork(client(`client ${number}`, address, number === 1 ? 4 : 1, pause)))
    yield* awaitConnections("==", perHost)
    yield* client(`client ${perHost + 1}`, address, 1, pause)
    const { rejected } = yield* status
    for (const [reason, count] of Object.entries(rejected)) {
      if (count > 0) yield* Console.log(`server: turned away ${count}: ${reason}`)
    }
    yield* Fiber.joinAll(here)
    yield* Console.log("all are gone: there is room again")
    yield* client(`client ${perHost + 2}`, address, 1, pause)
  }))
