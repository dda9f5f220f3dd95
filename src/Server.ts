/**
 * A server as a value: where to listen, what to do with each connection, how many at once, how to end.
 * A handler owns its connection while it runs and nothing after: whether it returns, fails, dies or never reads, the connection is
 * closed and nobody else notices. When the server's scope closes it stops accepting, waits `drainTimeout`, and resets what is left.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { Connection } from "./Connection.ts"
import { Handlers } from "./internal/handlers.ts"
import { bind, type ListenOptions, makeDeadlines } from "./internal/bind.ts"
import * as Options from "./internal/options.ts"
import type { BindError } from "./NetError.ts"
import type { Network } from "./Network.ts"
import type { AddressInput, SocketAddress } from "./SocketAddress.ts"

/**
 * Marks every server.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/Server")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * What a server is made from. The options of listening and of the connections stand beside: `backlog`, `noDelay`, `readTimeout`, ...
 *
 * @category options
 */
export interface ServerOptions<E, R> extends ListenOptions {
  /** Where to listen. */
  readonly listen: AddressInput
  /**
   * What to do with one connection. It has a Scope of its own, closed when the handler ends. A failure ends this connection alone: it is
   * logged, errors of the connection itself (a reset, a timeout) at debug level, all others as errors.
   */
  readonly handler: (connection: Connection) => Effect.Effect<unknown, E, R>
  /** How many handlers may run at once; further connections wait, at most `backlog` of them. Default `"unbounded"`. */
  readonly concurrency?: number | "unbounded" | undefined
  /** How long handlers may go on after the scope was told to close, before they are interrupted and their connections reset. Default 15 seconds. */
  readonly drainTimeout?: Duration.DurationInput | undefined
}

/**
 * A server that does not run yet. `R` is what its handler needs.
 *
 * @category models
 */
export interface Server<out R = never> {
  readonly [TypeId]: { readonly _R: (_: never) => R }
  /** Starts listening; the scope keeps it running. */
  readonly serve: Effect.Effect<Running, BindError, Network | Scope.Scope | R>
}

/**
 * A server that runs.
 *
 * @category models
 */
export interface Running {
  /** The address really bound. */
  readonly address: SocketAddress
  /** What is going on just now. */
  readonly status: Effect.Effect<Status>
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
  serve: start(options)
})

/**
 * Whether a value is a server.
 *
 * @category guards
 */
export const isServer = (u: unknown): u is Server<unknown> => hasProperty(u, TypeId)

/**
 * Starts the server in the present scope and gives its address.
 *
 * @category running
 */
export const serve = <R>(self: Server<R>): Effect.Effect<Running, BindError, Network | Scope.Scope | R> => self.serve

/**
 * Runs the server until it is interrupted, then drains it.
 *
 * @category running
 */
export const run = <R>(self: Server<R>): Effect.Effect<never, BindError, Network | R> =>
  Effect.scoped(Effect.zipRight(self.serve, Effect.never)) as Effect.Effect<never, BindError, Network | R>

/**
 * The server as a Layer: it runs while the Layer lives.
 *
 * @category running
 */
export const layer = <R>(self: Server<R>): Layer.Layer<never, BindError, Network | Exclude<R, Scope.Scope>> =>
  Layer.scopedDiscard(self.serve) as Layer.Layer<never, BindError, Network | Exclude<R, Scope.Scope>>

const start = <E, R>(
  options: ServerOptions<E, R>
): Effect.Effect<Running, BindError, Network | Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const { closeTimeout, concurrency, drainTimeout } = yield* Options.checked(() => resolve(options))
    const closing = yield* makeDeadlines(closeTimeout)
    const handlers = yield* Handlers.make(options.handler, concurrency, closing)
    yield* Effect.addFinalizer(() => handlers.drain(drainTimeout))
    const { address, handle } = yield* bind(
      options.listen,
      { ...options, writeTimeout: options.writeTimeout ?? "30 seconds" },
      (connection, bound) => handlers.offer(connection, bound)
    )
    handle.resume()
    return { address, status: handlers.status }
  })

const resolve = <E, R>(options: ServerOptions<E, R>) => ({
  concurrency: options.concurrency === undefined || options.concurrency === "unbounded"
    ? Infinity
    : Options.whole("concurrency", options.concurrency, 0, 1, 'a whole number from 1, or "unbounded"'),
  drainTimeout: Options.duration("drainTimeout", options.drainTimeout, "15 seconds"),
  closeTimeout: Options.duration("closeTimeout", options.closeTimeout, "5 seconds")
})
