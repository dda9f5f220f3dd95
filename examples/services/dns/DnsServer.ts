/**
 * A name server as a value: the queries of datagrams and of connections on one port, answered from a zone. `make` gives
 * both as one `Server`; `udp` and `tcp` are its halves, for who wants them apart.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type Connection, FramedServer, Server, SocketAddress, UdpServer } from "effect-netkit"
import * as Message from "./Message.ts"
import * as Responder from "./Responder.ts"
import type { Zone } from "./Zone.ts"

/** Those of a `Server`; where it listens, how it shares that, and how it ends hold for its datagrams too. */
export interface DnsServerOptions extends Omit<Server.Settings, "readTimeout"> {
  readonly zone: Zone
  /** How long a connection may wait for its next query (RFC 7766, 6.2.3). Default 10 seconds. */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /** How many connections are served at once; further ones wait. Default 512. */
  readonly maxConnections?: number | undefined
  /** Put around what is done with each connection. */
  readonly session?: ((session: Session) => (connection: Connection.Connection) => Effect.Effect<unknown>) | undefined
}

export type Session = ReturnType<typeof connectionHandler>

/** A datagram is answered within the callback that brought it: nothing to wait for, no fiber. */
export const udp = ({ drainTimeout, ipv6Only, listen, reusePort, zone }: DnsServerOptions): UdpServer.UdpServer => {
  const respond = Responder.make(zone)
  return UdpServer.make({ listen, drainTimeout, ipv6Only, reusePort, handler: ({ bytes }) => respond(bytes, "udp") })
}

/** What cannot be answered ends its connection: whoever sent it is no client. */
const connectionHandler = (zone: Zone) => {
  const respond = Responder.make(zone)
  const handler = () => (query: Uint8Array) => respond(query, "tcp") ?? FramedServer.end
  return FramedServer.handler({ codec: Message.framing, handler })
}

export const tcp = (options: DnsServerOptions): Server.Server => {
  const { maxConnections = 512, idleTimeout = "10 seconds", session, zone, ...rest } = options
  const handler = connectionHandler(zone)
  return Server.make({
    // As many as may connect could trickle their queries, and nobody else would get in.
    minThroughput: { bytesPerSecond: 1024, grace: idleTimeout },
    ...rest,
    maxConnections,
    readTimeout: idleTimeout,
    handler: session?.(handler) ?? handler
  })
}

/** A name server that runs. Its figures are those of both halves together. */
export interface Running extends Server.Started {
  readonly datagrams: UdpServer.Running
  readonly connections: Server.Running
}

/** Both, on the same port. For port 0 that is one which is free for both. */
export const make = (options: DnsServerOptions): Server.Server<never, Running> => ({
  [Server.TypeId]: { _R: (_) => _ },
  serve: both(options).pipe(
    allOrNothing,
    Effect.retry({ times: 9, while: (error) => error._tag === "AddressInUse" && takesAnyPort(options.listen) })
  )
})

const takesAnyPort = (listen: SocketAddress.AddressInput): boolean =>
  Either.match(SocketAddress.fromInput(listen), {
    onLeft: () => false,
    onRight: (address) => SocketAddress.isInetAddress(address) && address.port === 0
  })

const both = (options: DnsServerOptions) =>
  Effect.gen(function* () {
    const datagrams = yield* udp(options).serve
    const connections = yield* tcp({ ...options, listen: datagrams.address }).serve
    const status = Effect.zipWith(datagrams.status, connections.status, add)
    return { address: connections.address, status, datagrams, connections }
  })

const add = (one: Server.Status, other: Server.Status): Server.Status => ({
  active: one.active + other.active,
  waiting: one.waiting + other.waiting,
  closing: one.closing + other.closing,
  accepted: one.accepted + other.accepted
})

/** What has been opened is closed at once if the rest fails, not only with the Scope. */
const allOrNothing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      return yield* restore(Scope.extend(effect, scope)).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
    })
  )
