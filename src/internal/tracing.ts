/**
 * A span for each connection, named and attributed as OpenTelemetry's semantic conventions have it.
 * Servers make them only where a tracer is set when they start, so that nothing is paid for spans that nobody sees.
 */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import type { Connection } from "../Connection.ts"
import { isInetAddress, isUnixAddress } from "../SocketAddress.ts"
import { isDrained } from "./draining.ts"

type Handler<E, R> = (connection: Connection) => Effect.Effect<unknown, E, R>

/** What the span of a connection is called. */
export const spanName = "netkit.connection"

/** Whether a tracer was set: Effect's own keeps spans to itself. */
export const isTraced: Effect.Effect<boolean> = Effect.map(
  Effect.tracer,
  (tracer) => tracer !== Context.get(DefaultServices.liveServices, Tracer.Tracer)
)

export const traced =
  (name: string, attributes: Readonly<Record<string, unknown>>) =>
  <E, R>(handler: Handler<E, R>): Handler<E, R> =>
  (connection) =>
    Effect.suspend(() => {
      // The span of a connection that a drain has ended is a success; whoever is further out still sees how the handler ended.
      let drained: Exit.Exit<never, E> | undefined
      const spanned = Effect.useSpan(
        name,
        { kind: "server", root: true, attributes: { ...addresses(connection), ...attributes } },
        (span) =>
          Effect.suspend(() => handler(connection)).pipe(
            Effect.ensuring(Effect.map(connection.stats, ({ bytesRead, bytesWritten }) => {
              span.attribute("netkit.bytes_read", bytesRead)
              span.attribute("netkit.bytes_written", bytesWritten)
            })),
            Effect.withParentSpan(span),
            Effect.catchAllCause((cause) => {
              const failed = Exit.failCause(cause)
              if (!isDrained(cause)) return failed
              span.attribute("netkit.end", "draining")
              drained = failed
              return Effect.void
            })
          )
      )
      return Effect.flatMap(spanned, (value) => drained ?? Exit.succeed(value))
    })

const addresses = ({ localAddress, remoteAddress }: Connection): Readonly<Record<string, unknown>> => ({
  "network.transport": isUnixAddress(localAddress) ? "unix" : "tcp",
  ...isInetAddress(remoteAddress) && {
    "network.peer.address": remoteAddress.host,
    "network.peer.port": remoteAddress.port
  },
  ...isInetAddress(localAddress)
    ? { "network.local.address": localAddress.host, "network.local.port": localAddress.port }
    : { "network.local.address": localAddress.path }
})
