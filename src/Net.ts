/**
 * Opening stream sockets: `connect` dials, `listen` waits for who dials, `relay` joins two connections, `lookup` finds addresses;
 * `sendFile` and `receiveFile` stream files through them.
 * Everything opened lives in the Scope and is closed with it; interruption anywhere leaks no descriptor.
 * Options are checked first: a wrong one fails with `InvalidOption`, one that the runtime cannot honour with `Unsupported`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Connection } from "./Connection.ts"
import type { ListenOptions } from "./internal/bind.ts"
import { ConnectionImpl } from "./internal/connection.ts"
import * as internalDial from "./internal/dial.ts"
import type { Inbound } from "./internal/inbound.ts"
import * as internalListener from "./internal/listener.ts"
import { keptOnSuccess } from "./internal/keptOnSuccess.ts"
import * as Options from "./internal/options.ts"
import * as internalRelay from "./internal/relay.ts"
import type * as NetError from "./NetError.ts"
import type { Network } from "./Network.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import type * as SocketAddress from "./SocketAddress.ts"

export type {
  /**
   * @category options
   */
  ListenOptions
} from "./internal/bind.ts"
export type {
  /**
   * @category options
   */
  ReceiveFileOptions,
  /**
   * @category options
   */
  SendFileOptions
} from "./internal/files.ts"
export { receiveFile, sendFile } from "./internal/files.ts"
export type {
  /**
   * @category options
   */
  SocketOptions
} from "./internal/options.ts"

/**
 * How to dial.
 *
 * @category options
 */
export interface ConnectOptions extends internalDial.DialOptions {
  /**
   * Whether and when to dial again: a `RetryPolicy`, what one is made from, or a `Schedule`. Each attempt is a fresh dial with a
   * `connectTimeout` of its own. `InvalidOption` and `Unsupported` are never tried again. Default: one attempt.
   */
  readonly retry?: RetryPolicy.Retry<NetError.ConnectError> | undefined
}

/**
 * How to look a name up.
 *
 * @category options
 */
export interface LookupOptions {
  /** Which addresses are wanted. Default `"any"`. */
  readonly family?: 4 | 6 | "any" | undefined
}

/**
 * Marks every listener.
 *
 * @category symbols
 */
export const ListenerTypeId: unique symbol = Symbol.for("effect-netkit/Listener")

/** @category symbols */
export type ListenerTypeId = typeof ListenerTypeId

/**
 * A listening socket. It lives in the Scope it was opened in; when that closes the port is free again.
 *
 * @category models
 */
export interface Listener {
  readonly [ListenerTypeId]: ListenerTypeId
  /** The address really bound: port 0 has become a port. */
  readonly address: SocketAddress.SocketAddress
  /**
   * The next connection, owned by the Scope of the effect. Several may wait at once; interrupting one loses no connection.
   * Fails with `ConnectionClosed` once the listener is closed.
   */
  readonly accept: Effect.Effect<Connection, NetError.AcceptError, Scope.Scope>
  /**
   * The connections as they come; ends when the listener is closed. They are the listener's: close each when you are done with it,
   * or they all close with the listener. A `Server` does that for you.
   */
  readonly connections: Stream.Stream<Connection>
}

/**
 * Dials an address. The connection is closed with the Scope.
 *
 * A name is looked up, and its addresses raced (Happy Eyeballs, RFC 8305): IPv6 and IPv4 take turns, the family that the resolver put
 * first begins; each next one is tried when the one before has failed, or beside it after `connectionAttemptDelay`. The first to be
 * connected is taken and the others are closed before they have sent anything. When none is, the error is that of the attempt that
 * came furthest (a refusal, before a timeout, before unreachable), with the errors of all in `attempts`.
 *
 * Interrupting it, or its `connectTimeout`, abandons all attempts; a socket that appears late is closed at once.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Net } from "effect-netkit"
 *
 * const daytime = Effect.scoped(Effect.gen(function*() {
 *   const connection = yield* Net.connect({ host: "127.0.0.1", port: 13 })
 *   const chunk = yield* connection.read
 *   return Option.map(chunk, (bytes) => new TextDecoder().decode(bytes))
 * }))
 * ```
 *
 * @category constructors
 */
export const connect = (
  address: SocketAddress.AddressInput,
  options: ConnectOptions = {}
): Effect.Effect<Connection, NetError.ConnectError, Network | Scope.Scope> =>
  options.retry === undefined
    ? internalDial.dial(address, options)
    : again(internalDial.dial(address, options), options.retry)

/** Dials by a policy. What a failed attempt has left in its scope is gone before the next. */
const again = (
  attempt: Effect.Effect<Connection, NetError.ConnectError, Network | Scope.Scope>,
  retry: RetryPolicy.Retry<NetError.ConnectError>
): Effect.Effect<Connection, NetError.ConnectError, Network | Scope.Scope> =>
  Effect.flatMap(Options.valid(() => RetryPolicy.fromOption(retry)), (policy) =>
    RetryPolicy.retry(
      keptOnSuccess(attempt),
      Schedule.isSchedule(policy)
        ? Schedule.whileInput(policy, (error) => !Options.isOptionError(error))
        : { ...policy, retryIf: (error) => !Options.isOptionError(error) && policy.retryIf(error) }
    ))

/**
 * The addresses of a host name, each once, in the resolver's order; an IP address is its own. There is at least one: a name that has
 * none, or none of the `family`, fails with `NameNotFound`. Interrupting it abandons the look-up.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Net } from "effect-netkit"
 *
 * const report = Effect.flatMap(
 *   Net.lookup("localhost", { family: 4 }),
 *   (addresses) => Effect.log(`localhost is ${addresses.join(" and ")}`)
 * )
 * ```
 *
 * @category look-up
 */
export const lookup = (
  host: string,
  options: LookupOptions = {}
): Effect.Effect<ReadonlyArray<string>, NetError.LookupError, Network> => internalDial.addressesOf(host, options.family)

/**
 * Listens on an address. Port 0 takes a free port; `address` of the listener tells which.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Net } from "effect-netkit"
 *
 * const greetOne = Effect.scoped(Effect.gen(function*() {
 *   const listener = yield* Net.listen({ host: "127.0.0.1", port: 0 })
 *   yield* Effect.log(`listening on ${listener.address}`)
 *   const connection = yield* listener.accept
 *   yield* connection.write("hello\n")
 * }))
 * ```
 *
 * @category constructors
 */
export const listen = (
  address: SocketAddress.AddressInput,
  options: ListenOptions = {}
): Effect.Effect<Listener, NetError.BindError, Network | Scope.Scope> =>
  Effect.map(internalListener.listen(address, options), ({ bound, queue }) => ({
    [ListenerTypeId]: ListenerTypeId,
    address: bound.address,
    accept: queue.accept,
    connections: queue.connections
  }))

/**
 * Whether a value is a listener.
 *
 * @category guards
 */
export const isListener = (u: unknown): u is Listener => hasProperty(u, ListenerTypeId)

/**
 * Copies both ways until both directions have ended; the end of one is passed on as FIN while the other goes on.
 * A failure of either ends the relay, its `address` tells whose; the connections stay open, for their scopes to close. Gives the bytes copied
 * each way. A server logs what other connections than its own break as errors; a proxy that has told its client catches it.
 * Interrupted or failed, it leaves what it has not passed on to the next reader.
 * A server that drains lets it come to its end, within `drainTimeout`: nobody between can tell where a message ends.
 *
 * @category combinators
 */
export const relay = (
  a: Connection,
  b: Connection
): Effect.Effect<{ readonly forward: number; readonly backward: number }, NetError.ReadError | NetError.WriteError> =>
  a instanceof ConnectionImpl && b instanceof ConnectionImpl ? internalRelay.relay(a, b) : Effect.map(
    Effect.all([copy(a, b), copy(b, a)], { concurrency: 2 }),
    ([forward, backward]) => ({ forward, backward })
  )

/** For connections of others' making. */
const copy = (from: Connection, to: Connection): Effect.Effect<number, NetError.ReadError | NetError.WriteError> =>
  Effect.suspend(() => {
    let copied = 0
    const loop: Effect.Effect<number, NetError.ReadError | NetError.WriteError> = Effect.flatMap(from.read, (chunk) => {
      if (Option.isNone(chunk)) return Effect.as(to.shutdown, copied)
      copied += chunk.value.length
      return Effect.zipRight(to.write(chunk.value), loop)
    })
    return from instanceof ConnectionImpl ? held(from.inbound, loop) : loop
  })

const held = <A, E>(inbound: Inbound, copying: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    const release = internalRelay.hold(inbound)
    return Effect.ensuring(copying, Effect.sync(release))
  })
