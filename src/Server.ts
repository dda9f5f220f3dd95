/**
 * A server as a value: where to listen, what to do with each connection, how many at once, how to end.
 * A handler owns its connection while it runs and nothing after: whether it returns, fails, dies or never reads, the connection is
 * closed and nobody else notices. When the server's scope closes it drains: it stops accepting, lets handlers come to an end, and resets what
 * is left after `drainTimeout`.
 */
import type * as Duration from "effect/Duration"
import type * as Config from "effect/Config"
import type * as Context from "effect/Context"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { Connection } from "./Connection.ts"
import type { LimitOptions } from "./internal/admission.ts"
import type { ListenOptions } from "./internal/bind.ts"
import { Draining } from "./internal/draining.ts"
import type { PatienceOptions } from "./internal/patience.ts"
import type { RejectReason } from "./internal/rejections.ts"
import * as Internal from "./internal/serve.ts"
import * as ServerConfig from "./internal/serverConfig.ts"
import type { ConnectionInfo, EndReason } from "./internal/session.ts"
import type { BindError, InvalidOption } from "./NetError.ts"
import type { Network } from "./Network.ts"
import type { AddressInput, SocketAddress } from "./SocketAddress.ts"

export type { ConnectionInfo, EndReason, LimitOptions, PatienceOptions, RejectReason }

/**
 * Marks every server.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/Server")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * What a server is made from. The options of listening, of its connections, of who may come in and of how long it puts up with a peer stand beside:
 * `backlog`, `noDelay`, `maxConnections`, `idleTimeout`, ...
 *
 * @category options
 */
export interface ServerOptions<E, R> extends ListenOptions, LimitOptions, PatienceOptions {
  /** What metrics, spans and log lines call it (`server`). Default: the address of its listener, and nothing in log lines. */
  readonly name?: string | undefined
  /**
   * Where to listen: one address or several, of whatever kind, for one handler and counted together. Where one of them cannot be bound, none is.
   * For both `0.0.0.0` and `::` at the same port `ipv6Only` is needed.
   */
  readonly listen: AddressInput | ReadonlyArray<AddressInput>
  /**
   * What to do with one connection. It has a Scope of its own, closed when the handler ends. A failure ends this connection alone: it is
   * logged, errors of the connection itself (a reset, a timeout) at debug level, all others as errors.
   */
  readonly handler: (connection: Connection) => Effect.Effect<unknown, E, R>
  /**
   * How long a drain may take before the handlers that are left are interrupted and their connections reset. Meanwhile it takes the place
   * of `closeTimeout` for replies that the peer has still to take. Default 15 seconds.
   */
  readonly drainTimeout?: Duration.DurationInput | undefined
}

/**
 * A server that does not run yet. `R` is what its handler needs; `A` what it is when it runs.
 *
 * @category models
 */
export interface Server<out R = never, out A extends Started = Running> {
  readonly [TypeId]: { readonly _R: (_: never) => R }
  /** Starts listening; the scope keeps it running. */
  readonly serve: Effect.Effect<A, BindError, Network | Scope.Scope | R>
}

/**
 * What every server is that runs, also one of datagrams.
 *
 * @category models
 */
export interface Started {
  /** The address really bound. */
  readonly address: SocketAddress
  /** What is going on just now. */
  readonly status: Effect.Effect<Status>
}

/**
 * A server that runs, until its scope closes or it is stopped.
 *
 * Both drain it. It stops accepting at once; who was not served yet is reset; `Server.draining` is told. A connection on which nothing has
 * been begun, whose handler waits to read, is looked at once more, so that bytes which are there are served; then the read fails with
 * `ConnectionClosed`, and the handler may still write before it ends. All others come to that point by themselves: when all is served that
 * had come by then, and a message that had come in part. What is left after `drainTimeout` is interrupted and reset.
 *
 * Servers of one composition of Layers, and servers of one Scope, stop accepting together as soon as the first of them is closed, since
 * their finalizers run one after the other. If only a part is closed (by a `LayerMap`, say), the others listen again at the same address one second
 * after its drain. `stop` and `suspend` concern one server alone; a `UdpServer` goes on until its own turn comes.
 *
 * @category models
 */
export interface Running extends Started {
  /** The addresses really bound, in the order of `listen`; `address` is the first. */
  readonly addresses: ReadonlyArray<SocketAddress>
  /** What is going on just now, and the totals since the start. */
  readonly status: Effect.Effect<ServerStatus>
  /** The connections there are. */
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo>>
  /**
   * Waits until there are so many connections, those that are being closed included and those that wait for a handler not:
   * `awaitConnections("==", 0)` after `suspend` means that nobody is left.
   */
  readonly awaitConnections: (comparison: "<" | "<=" | "==" | ">=" | ">", count: number) => Effect.Effect<void>
  /** Changes limits; those that are not named stay, `undefined` is the default again. Nobody who is connected already is cut off. */
  readonly update: (limits: LimitOptions) => Effect.Effect<void, InvalidOption>
  /** Closes the listening socket. Connections live on; those that are accepted and wait for a handler will have one. */
  readonly suspend: Effect.Effect<void>
  /** Listens again, at the same address. Nothing if it does, or drains. */
  readonly resume: Effect.Effect<void, BindError>
  /** Drains now, and gives the report when all is released. Interrupting it only stops the waiting. */
  readonly stop: Effect.Effect<DrainReport>
  /** Waits until it has drained, however that came about. */
  readonly drained: Effect.Effect<DrainReport>
}

/**
 * What a drain came to. Logged once: at debug level, or info where something was cut off.
 *
 * @category models
 */
export interface DrainReport {
  /** Connections that ended by themselves. */
  readonly finished: number
  /** Connections that waited for another message, and were told that none will be served. */
  readonly closedIdle: number
  /** Connections that were reset after `drainTimeout`. */
  readonly cutOff: number
  readonly duration: Duration.Duration
}

/**
 * @category models
 */
export interface ServerStatus extends Status {
  /** Connections that were reset before they had a handler. They count as accepted. */
  readonly rejected: Readonly<Record<RejectReason, number>>
  /** Connections that have ended, by why. */
  readonly ended: Readonly<Record<EndReason, number>>
}

/**
 * @category models
 */
export interface Status {
  /** Handlers that run. */
  readonly active: number
  /** Connections that wait for a handler. */
  readonly waiting: number
  /** Connections whose handler has ended and which are not closed to the end yet. */
  readonly closing: number
  /** Connections accepted since the start. */
  readonly accepted: number
}

/**
 * Describes a server. Options are checked when it starts.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Server } from "effect-netkit"
 *
 * const echo = Server.make({
 *   listen: { host: "127.0.0.1", port: 7788 },
 *   handler: (connection) =>
 *     Effect.gen(function*() {
 *       for (let chunk = yield* connection.read; Option.isSome(chunk); chunk = yield* connection.read) {
 *         yield* connection.write(chunk.value)
 *       }
 *     })
 * })
 * ```
 *
 * @category constructors
 */
export const make = <E, R>(options: ServerOptions<E, R>): Server<Exclude<R, Scope.Scope>> => ({
  [TypeId]: { _R: (_) => _ },
  serve: Internal.serve(options)
})

/**
 * Whether a value is a server.
 *
 * @category guards
 */
export const isServer = (u: unknown): u is Server<unknown, Started> => hasProperty(u, TypeId)

/**
 * Starts the server in the present scope and gives its address.
 *
 * @category running
 */
export const serve = <R, A extends Started>(
  self: Server<R, A>
): Effect.Effect<A, BindError, Network | Scope.Scope | R> => self.serve

/**
 * Runs the server until it is interrupted, then drains it.
 *
 * @category running
 */
export const run = <R>(self: Server<R, Started>): Effect.Effect<never, BindError, Network | R> =>
  Effect.scoped(Effect.zipRight(self.serve, Effect.never)) as Effect.Effect<never, BindError, Network | R>

/**
 * The server as a Layer: it runs while the Layer lives.
 *
 * @category running
 */
export const layer = <R>(self: Server<R, Started>): Layer.Layer<never, BindError, Network | Exclude<R, Scope.Scope>> =>
  Layer.scopedDiscard(self.serve) as Layer.Layer<never, BindError, Network | Exclude<R, Scope.Scope>>

/**
 * As `layer`, and gives what was started under a tag: the address, the figures, the controls.
 *
 * @example
 * ```ts
 * import { Context, Effect, Stream } from "effect"
 * import { Server } from "effect-netkit"
 *
 * class Echo extends Context.Tag("Echo")<Echo, Server.Running>() {}
 *
 * const echo = Server.make({
 *   listen: "127.0.0.1:0",
 *   handler: (connection) => Stream.run(connection.stream, connection.sink)
 * })
 *
 * const program = Effect.flatMap(Echo, ({ address }) => Effect.log(`ready on ${address}`)).pipe(
 *   Effect.provide(Server.layerAs(Echo, echo))
 * )
 * ```
 *
 * @category running
 */
export const layerAs = <I, A extends Started, R>(
  tag: Context.Tag<I, A>,
  self: Server<R, NoInfer<A>>
): Layer.Layer<I, BindError, Network | Exclude<R, Scope.Scope>> =>
  Layer.scoped(tag, self.serve) as Layer.Layer<I, BindError, Network | Exclude<R, Scope.Scope>>

/**
 * What of a server can be configured: all its options but the handler. Of addresses, one.
 *
 * @category options
 */
export interface Settings extends Omit<ServerOptions<never, never>, "handler" | "listen"> {
  readonly listen: AddressInput
}

/**
 * The settings of a server from the configuration: each option under its own name, none required but `listen`, durations as `30 seconds`
 * or `infinity`, lists with commas. What is not configured is as in `defaults`. Nest it in a name of your own.
 *
 * @example
 * ```ts
 * import { Config, ConfigProvider, Layer, Stream } from "effect"
 * import { Server } from "effect-netkit"
 * import { RuntimeNetwork } from "effect-netkit/runtime"
 *
 * const Echo = Server.layerConfig(
 *   Server.config({ listen: "127.0.0.1:7788" }).pipe(
 *     Config.nested("echo"),
 *     Config.map((settings) =>
 *       Server.make({ ...settings, handler: (connection) => Stream.run(connection.stream, connection.sink) })
 *     )
 *   )
 * )
 *
 * // ECHO_LISTEN=0.0.0.0:7788 ECHO_MAX_CONNECTIONS=500 ECHO_DRAIN_TIMEOUT="30 seconds"
 * const env = Layer.setConfigProvider(ConfigProvider.fromEnv({ pathDelim: "_" }).pipe(ConfigProvider.constantCase))
 * const main = Layer.launch(Echo.pipe(Layer.provide([RuntimeNetwork.layer, env])))
 * ```
 *
 * @category configuration
 */
export const config = (defaults: Partial<Settings> = {}): Config.Config<Settings> =>
  ServerConfig.withDefaults(defaults, ServerConfig.streams)

/**
 * A server of any kind as a Layer, made from the configuration.
 *
 * @category configuration
 */
export const layerConfig = <R>(
  server: Config.Config<Server<R, Started>>
): Layer.Layer<never, BindError | ConfigError.ConfigError, Network | Exclude<R, Scope.Scope>> =>
  Layer.unwrapEffect(Effect.map(server, layer))

/**
 * Completes when the server whose handler runs drains; never outside of a server. For handlers that wait for something else than the
 * next message: what they race against it is interrupted, and they have `drainTimeout` to come to an end.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Server } from "effect-netkit"
 *
 * const clock = Server.make({
 *   listen: { host: "127.0.0.1", port: 7788 },
 *   handler: (connection) =>
 *     connection.write("tick\n").pipe(
 *       Effect.zipRight(Effect.sleep("1 second")),
 *       Effect.forever,
 *       Effect.raceFirst(Server.draining),
 *       Effect.zipRight(connection.write("goodbye\n"))
 *     )
 * })
 * ```
 *
 * @category handlers
 */
export const draining: Effect.Effect<void> = Effect.flatten(Draining)
