/**
 * Opening stream sockets: `connect` dials, `listen` waits for who dials, `relay` joins two connections.
 * Everything opened lives in the Scope and is closed with it; interruption anywhere leaks no descriptor.
 * Options are checked first: a wrong one fails with `InvalidOption`, one that the runtime cannot honour with `Unsupported`.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Connection } from "./Connection.ts"
import type { ErrorKind } from "./ErrorKind.ts"
import { type ListenOptions, makeEnvironment } from "./internal/bind.ts"
import { ConnectionImpl } from "./internal/connection.ts"
import * as internalListener from "./internal/listener.ts"
import { keptOnSuccess } from "./internal/keptOnSuccess.ts"
import * as Options from "./internal/options.ts"
import * as NetError from "./NetError.ts"
import { Network } from "./Network.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as SocketAddress from "./SocketAddress.ts"
import type { Transport } from "./Transport.ts"

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
  SocketOptions
} from "./internal/options.ts"

/**
 * How to dial.
 *
 * @category options
 */
export interface ConnectOptions extends Options.SocketOptions {
  /** How long the look-up of the name and the connecting may take together. Default 10 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** The address of this machine to connect from. */
  readonly localAddress?: string | undefined
  /** The port to connect from. */
  readonly localPort?: number | undefined
  /**
   * Whether and when to dial again: a `RetryPolicy`, what one is made from, or a `Schedule`. Each attempt is a fresh dial with a
   * `connectTimeout` of its own. `InvalidOption` and `Unsupported` are never tried again. Default: one attempt.
   */
  readonly retry?: RetryPolicy.Retry<NetError.ConnectError> | undefined
}

/**
 * A listening socket. It lives in the Scope it was opened in; when that closes the port is free again.
 *
 * @category models
 */
export interface Listener {
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

const connectKinds: ReadonlySet<ErrorKind> = new Set([
  "ConnectionRefused",
  "ConnectTimeout",
  "HostUnreachable",
  "NetworkUnreachable",
  "NameNotFound",
  "PathNotFound",
  "AddressInUse",
  "AddressNotAvailable",
  "PermissionDenied",
  "ResourceExhausted",
  "ConnectionReset"
])

/**
 * Dials an address. The connection is closed with the Scope.
 *
 * Interrupting it, or its `connectTimeout`, abandons the attempt; a socket that appears late is closed at once.
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
  options.retry === undefined ? dial(address, options) : again(dial(address, options), options.retry)

/** Dials by a policy. What a failed attempt has left in its scope is gone before the next. */
const again = (
  attempt: Effect.Effect<Connection, NetError.ConnectError, Network | Scope.Scope>,
  retry: RetryPolicy.Retry<NetError.ConnectError>
): Effect.Effect<Connection, NetError.ConnectError, Network | Scope.Scope> =>
  Effect.flatMap(Options.valid(() => RetryPolicy.fromOption(retry)), (policy) =>
    RetryPolicy.retry(
      keptOnSuccess(attempt),
      Schedule.isSchedule(policy)
        ? Schedule.whileInput(policy, mayChange)
        : { ...policy, retryIf: (error) => mayChange(error) && policy.retryIf(error) }
    ))

const mayChange = (error: NetError.ConnectError): boolean =>
  error._tag !== "InvalidOption" && error._tag !== "Unsupported"

const dial = (
  address: SocketAddress.AddressInput,
  options: ConnectOptions
): Effect.Effect<Connection, NetError.ConnectError, Network | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const remote = yield* SocketAddress.fromInput(address)
    const resolved = yield* Options.checked(() => resolveConnect(remote, options, transport))
    const environment = yield* makeEnvironment(transport, remote, resolved)
    let connection: ConnectionImpl | undefined
    yield* Effect.addFinalizer(() => connection === undefined ? Effect.void : connection.close)
    const dial = Effect.async<Connection, NetError.ConnectError>((resume) => {
      const cancel = transport.connect({ endpoint: SocketAddress.toEndpoint(remote), ...resolved }, {
        onOpen(handle) {
          connection = new ConnectionImpl(handle, environment)
          // Asked for while it can be told, so that it is known also after the end.
          void connection.localAddress
          resume(Exit.succeed(connection))
          return connection
        },
        onFail(cause) {
          resume(Exit.fail(NetError.fromFailure<NetError.ConnectError>(transport.classify(cause), connectKinds, {
            operation: "connect",
            address: remote,
            cause
          })))
        }
      })
      return Effect.sync(() => connection === undefined && cancel())
    })
    return yield* Effect.timeoutFail(dial, {
      duration: resolved.connectTimeout,
      onTimeout: () =>
        new NetError.ConnectTimeout({ operation: "connect", address: remote, timeout: resolved.connectTimeout })
    })
  })

const resolveConnect = (remote: SocketAddress.SocketAddress, options: ConnectOptions, transport: Transport) => {
  if (SocketAddress.isInetAddress(remote) && remote.port === 0) {
    throw new NetError.InvalidOption({ option: "port", value: 0, expected: "a port to connect to" })
  }
  Options.reachable(transport, remote, "connect")
  const local = Options.local(options)
  Options.needs(transport, "localAddress", local.localAddress !== undefined || local.localPort !== undefined, "connect")
  return {
    ...Options.resolve(options, transport, "connect"),
    ...local,
    connectTimeout: Options.duration("connectTimeout", options.connectTimeout, "10 seconds")
  }
}

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
    address: bound.address,
    accept: queue.accept,
    connections: queue.connections
  }))

/**
 * Copies both ways until both directions have ended; the end of one is passed on as FIN while the other goes on.
 * A failure of either ends the relay; the connections stay open, for their scopes to close. Gives the bytes copied each way.
 *
 * @category combinators
 */
export const relay = (
  a: Connection,
  b: Connection
): Effect.Effect<{ readonly forward: number; readonly backward: number }, NetError.ReadError | NetError.WriteError> =>
  Effect.map(
    Effect.all([copy(a, b), copy(b, a)], { concurrency: 2 }),
    ([forward, backward]) => ({ forward, backward })
  )

const copy = (from: Connection, to: Connection): Effect.Effect<number, NetError.ReadError | NetError.WriteError> =>
  Effect.suspend(() => {
    let copied = 0
    const loop: Effect.Effect<number, NetError.ReadError | NetError.WriteError> = Effect.flatMap(from.read, (chunk) => {
      if (Option.isNone(chunk)) return Effect.as(to.shutdown, copied)
      copied += chunk.value.length
      return Effect.zipRight(to.write(chunk.value), loop)
    })
    return loop
  })
