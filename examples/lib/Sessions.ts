/**
 * What all servers of the tutorial do around their sessions: say where they listen, who comes and who leaves, and after a
 * signal let them answer what has come, for at most two seconds.
 */
import { type Connection, type NetError, type Server, SocketAddress } from "effect-netkit"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Flags from "./Flags.ts"
import type { NotEncodable } from "./Text.ts"

const grace = "2 seconds"

/** Options of a server, from its flags. Its clients may be people, who think before they type. */
export const listening = ({ backlog, host, port }: Flags.Values<typeof Flags.server>) => ({
  listen: { host, port },
  backlog,
  drainTimeout: grace,
  closeTimeout: grace,
  firstByteTimeout: Duration.infinity,
  idleTimeout: Duration.infinity
} as const)

/** Starts the server, says where, and goes on until a signal comes. */
export const serve = <R>(server: Server.Server<R, Server.Started>) =>
  Effect.scoped(Effect.gen(function* () {
    const { address } = yield* server.serve
    yield* announce(address)
    return yield* Effect.never
  }))

export const announce = (address: SocketAddress.SocketAddress) => Console.log(`listening on ${address}`)

/** A session that prints who comes and who is gone, however: a broken client is no failure of the server. */
export const announced = <R>(
  session: (connection: Connection.Connection) => Effect.Effect<unknown, NetError.NetError | NotEncodable, R>
) =>
(connection: Connection.Connection): Effect.Effect<void, never, R> => {
  const peer = SocketAddress.unmap(connection.remoteAddress)
  return Effect.acquireUseRelease(
    Console.log(`connection from ${peer}`),
    () => Effect.ignore(session(connection)),
    () => Effect.zipRight(connection.close, Console.log(`client left ${peer}`))
  )
}

/** When interrupted, lets the session go on for two seconds, as a `Server` does with its handlers. */
export const lettingFinish = <A, E, R>(session: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkDaemon(restore(session))
      const endOfGrace = Effect.forkDaemon(Effect.delay(Fiber.interruptFork(fiber), grace))
      const finish = Effect.zipRight(endOfGrace, Fiber.await(fiber))
      return yield* Effect.onInterrupt(restore(Fiber.join(fiber)), () => finish)
    })
  )
