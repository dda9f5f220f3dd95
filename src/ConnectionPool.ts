/**
 * Connections, or sessions over them, that are opened once and lent many times: limits, waiting in turn, health, a clean end.
 * A connection is lent to one borrower at a time, and one that broke, was cut off in the middle or was invalidated is never
 * lent again: it goes back only if its use ended in success, or in an error that is not the connection's.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { Connection } from "./Connection.ts"
import { PoolImpl, TypeId } from "./internal/pool.ts"
import { type Checks, type KeyedLimits, type Limits, prepare } from "./internal/poolOptions.ts"
import * as Net from "./Net.ts"
import * as NetError from "./NetError.ts"
import type { Network } from "./Network.ts"
import * as SocketAddress from "./SocketAddress.ts"

export {
  /**
   * Marks every pool.
   *
   * @category symbols
   */
  TypeId
} from "./internal/pool.ts"
export {
  /**
   * Whether an error leaves the state of its connection unknown: an error of this SDK, but for those of a pool, or Effect's `TimeoutException`,
   * which cuts off whatever was going on; or an error with one of these as its `cause`, at any depth.
   *
   * @category predicates
   */
  isConnectionError
} from "./internal/poolOptions.ts"
export type {
  /**
   * @category options
   */
  Checks,
  /**
   * @category options
   */
  KeyedLimits,
  /**
   * @category options
   */
  Limits
} from "./internal/poolOptions.ts"

/**
 * Marks every pool for each key.
 *
 * @category symbols
 */
export const KeyedTypeId: unique symbol = Symbol.for("effect-netkit/KeyedConnectionPool")

/** @category symbols */
export type KeyedTypeId = typeof KeyedTypeId

/**
 * A pool of `A`, each of which may fail to open with `E`. It lives in the Scope it was made in. When that closes, who waits and who comes
 * later fails with `PoolClosed`, idle connections are closed, those lent are waited for, at most `drainTimeout`, and closed then.
 *
 * @category models
 */
export interface ConnectionPool<A, out E = never> {
  readonly [TypeId]: TypeId
  /**
   * Lends a connection to an effect. Afterwards it goes back to the pool if the effect ended in success, or in an error that is not the
   * connection's. After an interruption (a reply may be half read), a defect, or an error that `invalidateOn` says yes to, it is closed.
   * So is one that has ended, or on which bytes are left. A message that its codec refuses closes it only if the use had written something
   * before: nothing of the message itself was, but the answer to another may be on its way. A use that gives up on a reply and yet succeeds
   * (`Effect.timeoutOption` within it, a race) has to `invalidate` it, unless that was a `request` of a `Framed`, which is seen.
   *
   * Of idle connections the one used last is lent first. Where there is none, one is opened if there is room, and who waits is served in
   * order, by whatever comes first: one opened or one given back. If opening fails, who waits longest fails with its error. Interrupting an
   * acquire leaves the row and loses nothing.
   */
  readonly use: <B, E2, R>(
    f: (connection: A) => Effect.Effect<B, E2, R>
  ) => Effect.Effect<B, E | E2 | NetError.AcquireError, R>
  /** As `use`, for as long as the Scope is open; the Scope's exit counts as the end of the use. */
  readonly get: Effect.Effect<A, E | NetError.AcquireError, Scope.Scope>
  /** This one is not lent again. It is closed at once if it is idle, else when it is given back. What is not the pool's is left alone. */
  readonly invalidate: (connection: A) => Effect.Effect<void>
  /** What is going on just now, and what has been so far. */
  readonly status: Effect.Effect<Status>
}

/**
 * A pool for each key, made when it is first asked for, with limits of its own. It is forgotten when it holds nothing any more.
 *
 * @category models
 */
export interface KeyedConnectionPool<K, A, out E = never> {
  readonly [KeyedTypeId]: KeyedTypeId
  /** As `use` of the key's pool. */
  readonly use: <B, E2, R>(
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R>
  ) => Effect.Effect<B, E | E2 | NetError.AcquireError, R>
  /** As `get` of the key's pool. */
  readonly get: (key: K) => Effect.Effect<A, E | NetError.AcquireError, Scope.Scope>
  /** This one, of whichever key, is not lent again. */
  readonly invalidate: (connection: A) => Effect.Effect<void>
  /** The keys that have connections, and what is going on with each. */
  readonly status: Effect.Effect<ReadonlyArray<readonly [key: K, status: Status]>>
}

/**
 * @category models
 */
export interface Status {
  /** Open, and with nobody. */
  readonly idle: number
  /** Lent, or being checked before that. */
  readonly borrowed: number
  /** Acquires that wait. */
  readonly waiting: number
  /** Being opened. */
  readonly opening: number
  /** Discarded and not closed to the end yet. These no longer count against `maxConnections`. */
  readonly closing: number
  /** Opened since the start. */
  readonly created: number
  /** Attempts to open that failed since the start. */
  readonly failed: number
  /** Closed by the pool since the start, by reason. */
  readonly discarded: Readonly<Record<DiscardReason, number>>
}

/**
 * Why a connection was not lent again: `closed` by the peer or by its user, `unexpectedBytes` that nobody had asked for, its use `failed` or was
 * `interrupted`, it was `invalidated`, its health check found it `unhealthy`, it was `idle` too long, it had `expired` (`maxLifetime`), or the pool was `drained`.
 *
 * @category models
 */
export type DiscardReason =
  | "closed"
  | "unexpectedBytes"
  | "failed"
  | "interrupted"
  | "invalidated"
  | "unhealthy"
  | "idle"
  | "expired"
  | "drained"

/**
 * @category options
 */
export interface Options<A, E, R, R2 = never> extends Limits, Checks<A, R2> {
  /** Opens one, in a Scope of its own: a connection, a framed one, a client that has logged in. */
  readonly acquire: Effect.Effect<A, E, R>
}

/**
 * @category options
 */
export interface KeyedOptions<K, A, E, R, R2 = never> extends KeyedLimits, Checks<A, R2> {
  /** Opens one for this key, in a Scope of its own. */
  readonly acquire: (key: K) => Effect.Effect<A, E, R>
}

/**
 * @category options
 */
export interface ConnectOptions<R = never> extends Net.ConnectOptions, Limits, Checks<Connection, R> {}

/**
 * A pool of whatever an effect opens. Nothing is opened before it is needed, but for `minConnections`.
 *
 * A server's greeting that comes while a new connection is idle waits for its first borrower; any bytes that come while a used one is idle are
 * the late part of something, and it is closed.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Framed, Framing } from "effect-netkit"
 *
 * const lines = Framing.lines().pipe(Framing.text())
 * const login = Effect.gen(function*() {
 *   const session = yield* Framed.connect("127.0.0.1:6379", lines)
 *   yield* session.request("AUTH secret")
 *   return session
 * })
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const pool = yield* ConnectionPool.make({ acquire: login, maxConnections: 4, healthCheck: (s) => s.request("PING") })
 *   return yield* Effect.forEach(["a", "b", "c"], (key) => pool.use((s) => s.request(`EXISTS ${key}`)), { concurrency: 3 })
 * }))
 * ```
 *
 * @category constructors
 */
export const make = <A, E, R, R2 = never>(
  options: Options<A, E, R, R2>
): Effect.Effect<ConnectionPool<A, E>, NetError.InvalidOption, Exclude<R, Scope.Scope> | R2 | Scope.Scope> =>
  makeAt(options, undefined)

/**
 * A pool of connections to one address. Options of connecting stand beside those of the pool.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-netkit"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const pool = yield* ConnectionPool.connect("127.0.0.1:7788", { maxConnections: 4, noDelay: true })
 *   return yield* pool.use((connection) => Effect.zipRight(connection.write("ping"), connection.readExactly(4)))
 * }))
 * ```
 *
 * @category constructors
 */
export const connect = <R = never>(
  address: SocketAddress.AddressInput,
  options: ConnectOptions<R> = {}
): Effect.Effect<
  ConnectionPool<Connection, NetError.ConnectError>,
  NetError.InvalidOption,
  Network | R | Scope.Scope
> =>
  Effect.flatMap(
    SocketAddress.fromInput(address),
    (remote) => makeAt({ ...options, acquire: Net.connect(remote, options) }, remote)
  )

/**
 * A pool for each key: an address, a name, anything that `Equal` compares.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Net, SocketAddress } from "effect-netkit"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const pools = yield* ConnectionPool.makeKeyed({ acquire: (address: SocketAddress.SocketAddress) => Net.connect(address) })
 *   yield* pools.use(SocketAddress.inet("127.0.0.1", 7788), (connection) => connection.write("to one"))
 *   yield* pools.use(SocketAddress.inet("127.0.0.1", 7789), (connection) => connection.write("to another"))
 * }))
 * ```
 *
 * @category constructors
 */
export const makeKeyed = <K, A, E, R, R2 = never>(
  options: KeyedOptions<K, A, E, R, R2>
): Effect.Effect<KeyedConnectionPool<K, A, E>, NetError.InvalidOption, Exclude<R, Scope.Scope> | R2 | Scope.Scope> =>
  Effect.gen(function* () {
    const { drainTimeout, setup } = yield* prepare<A, R, R2>(options)
    const pools = MutableHashMap.empty<K, PoolImpl<A, E, Exclude<R, Scope.Scope> | R2>>()
    let closed = false
    const poolOf = (key: K) => {
      const found = MutableHashMap.get(pools, key)
      if (Option.isSome(found)) return found.value
      const pool = new PoolImpl<A, E, Exclude<R, Scope.Scope> | R2>({
        ...setup,
        acquire: Effect.suspend(() => options.acquire(key)) as Effect.Effect<
          A,
          E,
          Exclude<R, Scope.Scope> | Scope.Scope
        >,
        address: SocketAddress.isSocketAddress(key) ? key : undefined,
        onEmpty: () => void MutableHashMap.remove(pools, key)
      })
      if (closed) pool.state.close()
      else MutableHashMap.set(pools, key, pool)
      return pool
    }
    yield* Effect.addFinalizer(() => {
      closed = true
      return Effect.forEach(MutableHashMap.values(pools), (pool) => pool.drain(drainTimeout), {
        concurrency: "unbounded",
        discard: true
      })
    })
    return {
      [KeyedTypeId]: KeyedTypeId,
      // A pool is asked in the same step as it is looked up, or it might be forgotten in between.
      use: (key, f) => Effect.uninterruptibleMask((restore) => Effect.suspend(() => poolOf(key).lend(restore, f))),
      get: (key) => Effect.uninterruptibleMask((restore) => Effect.suspend(() => poolOf(key).lendTo(restore))),
      invalidate: (item) =>
        Effect.sync(() => {
          for (const pool of MutableHashMap.values(pools)) pool.unsafeInvalidate(item)
        }),
      status: Effect.suspend(() =>
        Effect.forEach(Array.from(pools), ([key, pool]) => Effect.map(pool.status, (status) => [key, status] as const))
      )
    }
  })

/**
 * A pool as a Layer.
 *
 * @example
 * ```ts
 * import { Context, Effect } from "effect"
 * import { type Connection, ConnectionPool, type NetError } from "effect-netkit"
 *
 * class Backend extends Context.Tag("Backend")<
 *   Backend,
 *   ConnectionPool.ConnectionPool<Connection.Connection, NetError.ConnectError>
 * >() {}
 *
 * const layer = ConnectionPool.layer(Backend, ConnectionPool.connect("127.0.0.1:7788", { maxConnections: 4 }))
 * const ping = Effect.flatMap(Backend, (pool) => pool.use((connection) => connection.write("ping")))
 * const program = Effect.provide(ping, layer)
 * ```
 *
 * @category layers
 */
export const layer: <I, P, E, R>(
  tag: Context.Tag<I, P>,
  pool: Effect.Effect<P, E, R>
) => Layer.Layer<I, E, Exclude<R, Scope.Scope>> = Layer.scoped

/**
 * Whether a value is a pool, of one kind of connections.
 *
 * @category guards
 */
export const isConnectionPool = (u: unknown): u is ConnectionPool<unknown, unknown> => hasProperty(u, TypeId)

/**
 * Whether a value is a pool for each key.
 *
 * @category guards
 */
export const isKeyedConnectionPool = (u: unknown): u is KeyedConnectionPool<never, unknown, unknown> =>
  hasProperty(u, KeyedTypeId)

const makeAt = <A, E, R, R2>(
  options: Options<A, E, R, R2>,
  address: SocketAddress.SocketAddress | undefined
): Effect.Effect<ConnectionPool<A, E>, NetError.InvalidOption, Exclude<R, Scope.Scope> | R2 | Scope.Scope> =>
  Effect.gen(function* () {
    const { drainTimeout, setup } = yield* prepare<A, R, R2>(options)
    const pool = new PoolImpl<A, E, Exclude<R, Scope.Scope> | R2>({
      ...setup,
      acquire: options.acquire as Effect.Effect<A, E, Exclude<R, Scope.Scope> | Scope.Scope>,
      address,
      onEmpty: () => {}
    })
    yield* Effect.addFinalizer(() => pool.drain(drainTimeout))
    pool.state.balance()
    return pool
  })
