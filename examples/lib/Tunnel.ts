/**
 * Two connections joined as a proxy joins them, so that each peer sees what it would see of the other: bytes as bytes, FIN as FIN,
 * and anything else as RST. A reset, a timeout or a cut-off that reached the other side as FIN would look like a success.
 */
import { type Connection, Net } from "effect-netkit"
import * as Effect from "effect/Effect"

/**
 * What both connections of a tunnel are opened with. RST wants `resettable`, for which Deno takes slower sockets. Who takes nothing for a
 * minute is given up, as are peers that have vanished, which probes find: a tunnel sets no limit to silence.
 */
export const socketOptions = { resettable: true, keepAlive: true, writeTimeout: "1 minute" } as const

/** Copies both ways until both directions have ended. What the server breaks is told to the client, and is no failure of who serves that. */
export const join = (client: Connection.Connection, server: Connection.Connection) =>
  Net.relay(client, server).pipe(
    Effect.onError(() => Effect.zipRight(cut(client), cut(server))),
    Effect.catchIf(
      ({ address }) => address === server.remoteAddress,
      (error) => Effect.logDebug("the server broke off", error.message)
    )
  )

/** Ends a connection so that nobody takes it for a success. */
export const cut = (connection: Connection.Connection): Effect.Effect<void> => Effect.ignore(connection.reset)
