/**
 * What a TCP balancer does with its connections, to give to `Server.make`: each is joined to the backend with the fewest. As long as no byte
 * has gone either way, a backend that refuses, does not answer or goes away is exchanged for the next one, and the client sees nothing of it;
 * in a drain such a connection is idle, and gets FIN at once.
 *
 * Once bytes have gone, how a connection ends is passed on as it is: FIN as FIN, a reset, a timeout or the end of a drain as RST; a client for
 * whom there is no backend gets RST too. One thing cannot be told: the kernel of a backend that was killed sends FIN where the backend
 * had read everything, and RST where it had not. To know a cut answer from a whole one is the protocol's task, with a balancer or without.
 */
import { type Connection, Net, type NetError } from "effect-netkit"
import * as Console from "effect/Console"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Tunnel from "../../lib/Tunnel.ts"
import { type Backend, choose, type Thresholds } from "./Backend.ts"

export interface Options extends Thresholds {
  readonly backends: ReadonlyArray<Backend>
  /** How many connections one backend may have. */
  readonly maxConnections: number
  readonly connectTimeout: Duration.Duration
  readonly checkInterval: Duration.Duration
}

export const makeHandler = (options: Options) => (client: Connection.Connection) => {
  const tried = new Set<Backend>()
  const next: ReturnType<typeof serve> = Effect.suspend(() => {
    const backend = choose(options.backends, tried, options.maxConnections)
    if (backend === undefined) return Effect.as(Tunnel.cut(client), true)
    tried.add(backend)
    return Effect.flatMap(serve(client, backend, options), (served) => served ? Effect.succeed(true) : next)
  })
  return next
}

/** Joins a client to a backend; false, with nothing lost, if that comes to nothing before a byte has gone. */
const serve = (client: Connection.Connection, backend: Backend, { connectTimeout }: Options) =>
  Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.sync(() => void backend.active++),
      () => Effect.sync(() => void backend.active--)
    )
    const server = yield* Effect.option(Effect.tapError(
      Net.connect(backend.address, { ...Tunnel.socketOptions, connectTimeout }),
      (error) => refused(backend, error)
    ))
    if (Option.isNone(server)) return false
    if (!(yield* Effect.onError(begun(client, server.value), () => Tunnel.cut(server.value)))) return false
    backend.served++
    yield* Tunnel.join(client, server.value)
    return true
  }).pipe(Effect.scoped)

/** A lack of descriptors is this side's own fault. */
const refused = (backend: Backend, error: NetError.ConnectError): Effect.Effect<void> =>
  error._tag !== "ResourceExhausted" && backend.refused()
    ? Console.log(`backend ${backend.address} is down: ${error.message}`)
    : Effect.void

/** Waits for the first byte, whoever sends it, and leaves it where it is. False if the backend goes away before. */
const begun = (client: Connection.Connection, server: Connection.Connection) =>
  Effect.raceFirst(
    Effect.orElseSucceed(Effect.map(look(server), Option.isSome), () => false),
    // A client that has only its end to send wants to be told what the backend makes of it.
    Effect.as(look(client), true)
  )

const look = (connection: Connection.Connection) =>
  Effect.tap(connection.read, Option.match({ onNone: () => Effect.void, onSome: connection.unread }))

/** Checks a backend, again and again: it is well if it accepts a connection. */
export const watch = (backend: Backend, { checkInterval, connectTimeout, fall, rise }: Options) =>
  Effect.scoped(Net.connect(backend.address, { connectTimeout })).pipe(
    Effect.as("up"),
    Effect.catchAll((error) => Effect.succeed(`down: ${error.message}`)),
    Effect.flatMap((found) =>
      backend.checked(found === "up", { fall, rise })
        ? Console.log(`backend ${backend.address} is ${found}`)
        : Effect.void
    ),
    Effect.repeat(Schedule.spaced(checkInterval))
  )
