/**
 * A client that outlives its connections: messages over a connection that is dialled again whenever it breaks.
 * What becomes of a message for which there is no connection is a rule that you choose; none is lost in silence, and none is sent
 * twice unless you say that it may be. What is going on is a state to look at and to follow.
 */
import type * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Subscribable from "effect/Subscribable"
import type { Connection } from "./Connection.ts"
import type { Correlation, Framed } from "./Framed.ts"
import type { Codec } from "./framing/Codec.ts"
import { Client, type Resolved, TypeId } from "./internal/client.ts"
import type { Breakage } from "./internal/exchange.ts"
import * as Checks from "./internal/options.ts"
import type { ConnectOptions } from "./Net.ts"
import { type ConnectError, type Disconnected, type FrameError, InvalidOption } from "./NetError.ts"
import type { Network } from "./Network.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as SocketAddress from "./SocketAddress.ts"

export {
  /**
   * Marks every client.
   *
   * @category symbols
   */
  TypeId
} from "./internal/client.ts"

/**
 * Why there is no connection: the dial failed, `onConnect` did (`E`), or the connection broke.
 *
 * @category models
 */
export type Failure<E = never> = ConnectError | Breakage | E

/**
 * What is going on.
 *
 * - `Connecting`: an attempt is under way, of this number since there was a healthy connection;
 * - `Connected`: messages go to this address;
 * - `Waiting`: the next attempt begins at `until`;
 * - `Closed`, the last: with its scope, or by `cause` when the policy gave up.
 *
 * @category models
 */
export type State<E = never> =
  | { readonly _tag: "Connecting"; readonly attempt: number }
  | { readonly _tag: "Connected"; readonly address: SocketAddress.SocketAddress }
  | { readonly _tag: "Waiting"; readonly until: DateTime.Utc; readonly cause: Failure<E> }
  | { readonly _tag: "Closed"; readonly cause: Failure<E> | undefined }

/**
 * What to do with a message while there is no connection:
 *
 * - `"fail"`: it fails at once with why there is none; during the very first attempt it waits for what comes of that;
 * - `"wait"`: it waits, and goes out with the next connection in the order of the calls;
 * - `{ buffer: n }`: the same for at most n of them, a further one fails.
 *
 * @category options
 */
export type WhileDisconnected = "fail" | "wait" | { readonly buffer: number }

/**
 * The options of connecting stand beside: `readTimeout`, `keepAlive`, ... A read or a write that times out breaks the connection.
 *
 * @category options
 */
export interface Options<Out, In, E = never, R = never> extends Omit<ConnectOptions, "retry"> {
  /** Where to: an address, or several that every attempt tries in this order. */
  readonly connect: SocketAddress.AddressInput | ReadonlyArray<SocketAddress.AddressInput>
  /** What a message is. */
  readonly codec: Codec<Out, In>
  /** How long the dial may take, and then `onConnect`. Default 20 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** Run on every new connection before anything else: to log in, to subscribe. When it fails, the attempt has failed. */
  readonly onConnect?: ((session: Framed<Out, In>) => Effect.Effect<unknown, E, R>) | undefined
  /**
   * When to dial again after an attempt that failed or a connection that broke, and when to give up. Options stand over the defaults:
   * after 1 second, then 1.6 times as long up to 2 minutes, each plus or minus 20 % (those of gRPC), without end, after every failure.
   * A `RetryPolicy` or a `Schedule` is taken as it is. `InvalidOption` and `Unsupported` end the client in any case.
   */
  readonly retry?: RetryPolicy.Retry<Failure<E>> | undefined
  /** A connection that lived so long was healthy: the delays and the count of attempts begin anew. Default 1 minute. */
  readonly resetAfter?: Duration.DurationInput | undefined
  /** Default `"fail"`. */
  readonly whileDisconnected?: WhileDisconnected | undefined
  /**
   * Which identifiers tell what answer belongs to which request, as for `Framed.requests`. Without it answers belong to requests in their
   * order.
   */
  readonly correlation?: Correlation<Out, In> | undefined
}

/**
 * Lives in the scope it was made in. Closing that closes the connection, flushed; what still waits fails.
 *
 * @category models
 */
export interface FramedClient<out Out, in In = Out, out E = never> {
  readonly [TypeId]: TypeId
  /** The present state, and the stream of it: the present one first, ending with `Closed`. */
  readonly state: Subscribable.Subscribable<State<E>>
  /**
   * Sends a message. Done when the connection has accepted it; that it has arrived only an answer tells. Fails with `FrameError` if it
   * cannot be encoded, with `Disconnected` otherwise.
   */
  readonly send: (message: In) => Effect.Effect<void, FrameError | Disconnected>
  /**
   * Sends a message and gives the answer to it. Requests may be made at the same time. If the connection breaks before the answer, a
   * request that was not sent is treated by `whileDisconnected`, as if made just then; one that was sent fails with
   * `Disconnected` and `sent: true`, as the peer may have done what it asks. With `idempotent` it may be sent again, and is treated as
   * if it had not been.
   */
  readonly request: (
    message: In,
    options?: { readonly idempotent?: boolean | undefined }
  ) => Effect.Effect<Out, FrameError | Disconnected>
  /**
   * The messages that answer no request, of all connections; to be run by one at a time. Those of which a connection brought only a
   * part are dropped with it. While nobody runs it at most 1024 are kept, and further ones dropped with a warning; while somebody does a
   * slow reader slows the peer, answers included. Ends when the scope is closed, fails when the policy gives up.
   */
  readonly messages: Stream.Stream<Out, Disconnected>
  /**
   * The present connection, or the next as soon as there is one: for its addresses and figures, or to `close` it and have another.
   * Reading from it is the client's.
   */
  readonly connection: Effect.Effect<Connection, Disconnected>
}

/**
 * Whether a value is a client.
 *
 * @category guards
 */
export const isFramedClient = (u: unknown): u is FramedClient<unknown, never, unknown> => hasProperty(u, TypeId)

/**
 * Starts a client. It connects in the background: `state` tells, or the first request.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { FramedClient, Framing } from "effect-netkit"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const client = yield* FramedClient.make({
 *     connect: ["10.0.0.5:7788", "10.0.0.6:7788"],
 *     codec: Framing.lines().pipe(Framing.text()),
 *     onConnect: (session) => session.request("login me"),
 *     whileDisconnected: "wait"
 *   })
 *   return yield* client.request("time").pipe(Effect.timeout("10 seconds"))
 * }))
 * ```
 *
 * @category constructors
 */
export const make = <Out, In, E = never, R = never>(
  options: Options<Out, In, E, R>
): Effect.Effect<FramedClient<Out, In, E>, InvalidOption, Network | Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.flatMap(Checks.valid(() => resolve(options)), (resolved) => Client.start(resolved))

/**
 * The client as a service.
 *
 * @example
 * ```ts
 * import { Context } from "effect"
 * import { FramedClient, Framing } from "effect-netkit"
 *
 * class Ledger extends Context.Tag("Ledger")<Ledger, FramedClient.FramedClient<string>>() {
 *   static readonly layer = FramedClient.layer(Ledger, {
 *     connect: "ledger.example:7788",
 *     codec: Framing.lines().pipe(Framing.text())
 *   })
 * }
 * ```
 *
 * @category layers
 */
export const layer = <I, Out, In, E = never, R = never>(
  tag: Context.Tag<I, FramedClient<Out, In, E>>,
  options: Options<Out, In, E, R>
): Layer.Layer<I, InvalidOption, Network | Exclude<R, Scope.Scope>> => Layer.scoped(tag, make(options))

const resolve = <Out, In, E, R>(options: Options<Out, In, E, R>): Resolved<Out, In, E, R> => {
  const { codec, connect, correlation, onConnect, resetAfter, retry = {}, whileDisconnected = "fail", ...others } =
    options
  const inputs = (Array.isArray(connect) ? connect : [connect]) as ReadonlyArray<SocketAddress.AddressInput>
  const addresses = inputs.map((input) => Either.getOrThrowWith(SocketAddress.fromInput(input, "connect"), identity))
  const [first, ...rest] = addresses
  if (first === undefined) {
    throw new InvalidOption({ option: "connect", value: "[]", expected: "an address, or at least one" })
  }
  return {
    addresses: [first, ...rest],
    codec,
    correlation,
    onConnect: onConnect ?? (() => Effect.void),
    connect: { ...others, connectTimeout: Checks.duration("connectTimeout", options.connectTimeout, "20 seconds") },
    schedule: scheduleOf(retry),
    resetAfter: Duration.toMillis(Checks.duration("resetAfter", resetAfter, "1 minute")),
    mayWait: room(whileDisconnected)
  }
}

const scheduleOf = <E>(retry: RetryPolicy.Retry<Failure<E>>): Schedule.Schedule<unknown, Failure<E>> => {
  const policy = RetryPolicy.fromOption(retry, {
    maxAttempts: "unbounded",
    baseDelay: "1 second",
    maxDelay: "2 minutes",
    factor: 1.6,
    jitter: 0.2,
    retryIf: () => true
  })
  return Schedule.isSchedule(policy) ? policy : RetryPolicy.toSchedule(policy)
}

/** How many messages may wait for a connection. */
const room = (rule: WhileDisconnected): number => {
  if (rule === "fail") return 0
  if (rule === "wait") return Infinity
  const expected = '"fail", "wait", or a buffer for a whole number of messages from 1'
  if (typeof rule !== "object" || rule === null) {
    throw new InvalidOption({ option: "whileDisconnected", value: rule, expected })
  }
  return Checks.whole("whileDisconnected", rule.buffer, undefined, 1, expected)
}
