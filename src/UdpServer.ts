/**
 * A server of datagrams as a value: where to listen, what to do with each datagram, how many at once, how to end. It is
 * a `Server` like any other: `Server.serve`, `Server.run` and `Server.layer` start it, and closing its scope drains it.
 * A handler that fails or dies has failed with its datagram alone; while all are busy datagrams wait in the socket's
 * bounded queue.
 */
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as internal from "./internal/datagramBind.ts"
import { DatagramHandlers } from "./internal/datagramHandlers.ts"
import type { UdpOptions } from "./internal/datagramOptions.ts"
import * as Options from "./internal/options.ts"
import * as ServerConfig from "./internal/serverConfig.ts"
import { type Datagrams, regularly, ServerMetrics } from "./internal/serverMetrics.ts"
import type { BindError } from "./NetError.ts"
import type { Network } from "./Network.ts"
import * as Server from "./Server.ts"
import type { AddressInput, InetAddress } from "./SocketAddress.ts"
import type { Datagram, UdpSocket } from "./UdpSocket.ts"

/**
 * What a handler gives for a datagram: the answer, which goes to its sender, or nothing; or an effect of either.
 *
 * @category models
 */
export type Reply<E = never, R = never> = Uint8Array | string | void | Effect.Effect<Uint8Array | string | void, E, R>

/**
 * What a server of datagrams is made from. The options of the socket stand beside: `capacity`, `overflow`, `broadcast`,
 * ...
 *
 * @category options
 */
export interface UdpServerOptions<E, R> extends UdpOptions {
  /** What metrics call it (`server`). Default: its address. */
  readonly name?: string | undefined
  /** Where to listen. */
  readonly listen: AddressInput
  /**
   * What to do with one datagram; `socket` is the server's own, to send elsewhere. An effect has a Scope of its own,
   * closed when it ends. A failure is logged, errors of the socket at debug level, all others as errors.
   */
  readonly handler: (datagram: Datagram, socket: UdpSocket) => Reply<E, R>
  /** How many handlers may run at once; 1 keeps the order. Further datagrams wait in the queue. Default 1024. */
  readonly concurrency?: number | undefined
  /** How long handlers may go on after the scope was told to close, before they are interrupted. Default 15 seconds. */
  readonly drainTimeout?: Duration.DurationInput | undefined
}

/**
 * What of a server of datagrams can be configured: all its options but the handler.
 *
 * @category options
 */
export interface Settings extends Omit<UdpServerOptions<never, never>, "handler"> {}

/**
 * A server of datagrams that does not run yet. `R` is what its handler needs.
 *
 * @category models
 */
export interface UdpServer<out R = never> extends Server.Server<R, Running> {}

/**
 * A server of datagrams that runs. In its status, `waiting` counts datagrams in the queue, `accepted` all that have
 * come.
 *
 * @category models
 */
export interface Running extends Server.Started {
  readonly address: InetAddress
  /**
   * To join groups, send, and read the figures. What comes goes to the handler, or to a `Udp.request` that it answers.
   */
  readonly socket: UdpSocket
}

/**
 * Describes a server of datagrams. Options are checked when it starts.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Server, UdpServer } from "effect-netkit"
 * import { RuntimeNetwork } from "effect-netkit/runtime"
 *
 * const time = UdpServer.make({
 *   listen: { host: "127.0.0.1", port: 3737 },
 *   handler: () => Effect.sync(() => new Date().toISOString())
 * })
 *
 * const main = Server.run(time).pipe(Effect.provide(RuntimeNetwork.layer))
 * ```
 *
 * @category constructors
 */
export const make = <E = never, R = never>(
  options: UdpServerOptions<E, R>
): UdpServer<Exclude<NoInfer<R>, Scope.Scope>> => ({
  [Server.TypeId]: { _R: (_) => _ },
  serve: start(options)
})

/**
 * The settings of a server of datagrams from the configuration, as `Server.config` has them of one of connections: each option under its own
 * name, none required but `listen`. What is not configured is as in `defaults`. `Server.layerConfig` makes a Layer of such a server.
 *
 * @example
 * ```ts
 * import { Config, Effect } from "effect"
 * import { Server, UdpServer } from "effect-netkit"
 *
 * const Time = Server.layerConfig(
 *   UdpServer.config({ listen: "127.0.0.1:3737" }).pipe(
 *     Config.nested("time"),
 *     Config.map((settings) =>
 *       UdpServer.make({ ...settings, handler: () => Effect.sync(() => new Date().toISOString()) })
 *     )
 *   )
 * )
 * ```
 *
 * @category configuration
 */
export const config = (defaults: Partial<Settings> = {}): Config.Config<Settings> =>
  ServerConfig.withDefaults(defaults, ServerConfig.datagrams)

const start = <E, R>(
  options: UdpServerOptions<E, R>
): Effect.Effect<Running, BindError, Network | Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const { concurrency, drainTimeout } = yield* Options.checked(() => resolve(options))
    const socket = yield* internal.bind(options.listen, options)
    const handlers = yield* DatagramHandlers.make(socket, options.handler, concurrency)
    const metrics = new ServerMetrics(options.name ?? String(socket.address))
    let counted: Datagrams = { received: 0, sent: 0, dropped: 0 }
    yield* regularly(() => {
      const { received } = socket
      const now = { received, sent: socket.outbound.sent, dropped: socket.queue.dropped }
      const moved = metrics.datagrams(now, counted)
      counted = now
      return moved
    })
    yield* Effect.addFinalizer(() => handlers.drain(drainTimeout))
    handlers.start()
    return { address: socket.address, status: handlers.status, socket }
  })

const resolve = <E, R>(options: UdpServerOptions<E, R>) => ({
  concurrency: Options.whole("concurrency", options.concurrency, 1024, 1, "a whole number from 1"),
  drainTimeout: Options.duration("drainTimeout", options.drainTimeout, "15 seconds")
})
