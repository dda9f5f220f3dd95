/**
 * Every way in which an operation of the SDK can fail: one tagged class a cause, the same on every runtime, and one union an operation.
 * Each carries the operation, the address it was about and the runtime's own error as `cause`, and reads well on a terminal.
 * Sizes are bytes; times are `Duration`s.
 */
import * as Predicate from "effect/Predicate"
import type { ErrorKind } from "./ErrorKind.ts"
import {
  BrokenPipe,
  ConnectionClosed,
  ConnectionReset,
  type Disconnected,
  type UnexpectedEnd
} from "./errors/Ending.ts"
import type {
  FileTruncated,
  FrameMalformed,
  FrameTooLarge,
  FrameTruncated,
  MessageTooLarge
} from "./errors/Messages.ts"
import {
  AddressInUse,
  AddressNotAvailable,
  ConnectionRefused,
  ConnectTimeout,
  HostUnreachable,
  NameNotFound,
  NetworkUnreachable,
  PathNotFound,
  PermissionDenied,
  ResourceExhausted,
  type TlsFailure
} from "./errors/Opening.ts"
import type { PoolClosed, PoolExhausted, PoolTimeout } from "./errors/Pool.ts"
import { type InvalidOption, Unknown, type Unsupported } from "./errors/Usage.ts"
import type {
  ConnectionExpired,
  FirstByteTimeout,
  IdleTimeout,
  RateLimited,
  ReadTimeout,
  ThroughputTooLow,
  WriteTimeout
} from "./errors/Waiting.ts"
import { type SocketErrorProps, TypeId } from "./internal/socketError.ts"
import type { Failure } from "./Transport.ts"

export {
  /**
   * Marks every error of this SDK.
   *
   * @category symbols
   */
  TypeId
} from "./internal/socketError.ts"
export type {
  /**
   * What was being done when it failed.
   *
   * @category models
   */
  Operation
} from "./internal/socketError.ts"
export * from "./errors/Ending.ts"
export * from "./errors/Messages.ts"
export * from "./errors/Opening.ts"
export * from "./errors/Pool.ts"
export * from "./errors/Usage.ts"
export * from "./errors/Waiting.ts"

/**
 * What opening a connection can fail with. Where a name was dialled, `attempts` of the error tells of each of its addresses, and the error
 * is that of the attempt that came furthest: a refusal before a timeout, that before unreachable hosts, networks, and everything else.
 *
 * @category unions
 */
export type ConnectError =
  | ConnectionRefused
  | ConnectTimeout
  | HostUnreachable
  | NetworkUnreachable
  | NameNotFound
  | PathNotFound
  | AddressInUse
  | AddressNotAvailable
  | PermissionDenied
  | ResourceExhausted
  | ConnectionReset
  | Unsupported
  | InvalidOption
  | Unknown

/**
 * What looking a name up can fail with.
 *
 * @category unions
 */
export type LookupError = NameNotFound | PermissionDenied | ResourceExhausted | InvalidOption | Unknown

/**
 * What listening can fail with.
 *
 * @category unions
 */
export type BindError =
  | AddressInUse
  | AddressNotAvailable
  | PermissionDenied
  | NameNotFound
  | PathNotFound
  | ResourceExhausted
  | Unsupported
  | InvalidOption
  | Unknown

/**
 * What taking a connection from a listener can fail with: only that the listener is closed.
 *
 * @category unions
 */
export type AcceptError = ConnectionClosed

/**
 * What a pool can fail with by itself when asked for a connection.
 *
 * @category unions
 */
export type AcquireError = PoolTimeout | PoolExhausted | PoolClosed

/**
 * What a read can fail with. The peer's end of stream is no failure. The last four come from the time limits of a `Server`.
 *
 * @category unions
 */
export type ReadError =
  | ConnectionReset
  | ConnectionClosed
  | ReadTimeout
  | Unknown
  | FirstByteTimeout
  | IdleTimeout
  | ThroughputTooLow
  | ConnectionExpired

/**
 * What a write can fail with.
 *
 * @category unions
 */
export type WriteError = ConnectionReset | BrokenPipe | ConnectionClosed | WriteTimeout | ThroughputTooLow | Unknown

/**
 * What receiving a datagram can fail with. The first three come from the network (ICMP), on a connected socket only, and do not end it.
 *
 * @category unions
 */
export type DatagramReceiveError = ConnectionRefused | HostUnreachable | NetworkUnreachable | ConnectionClosed | Unknown

/**
 * What sending a datagram, joining a group or setting an option can fail with.
 *
 * @category unions
 */
export type DatagramError =
  | DatagramReceiveError
  | MessageTooLarge
  | NameNotFound
  | AddressNotAvailable
  | PermissionDenied
  | ResourceExhausted
  | InvalidOption

/**
 * What decoding or encoding frames can fail with.
 *
 * @category unions
 */
export type FrameError = FrameTooLarge | FrameMalformed | FrameTruncated

/**
 * Any error of this SDK.
 *
 * @category unions
 */
export type NetError =
  | ConnectError
  | BindError
  | AcceptError
  | AcquireError
  | ReadError
  | WriteError
  | DatagramError
  | FrameError
  | Disconnected
  | UnexpectedEnd
  | RateLimited
  | FileTruncated
  | TlsFailure

/**
 * Whether a value is an error of this SDK.
 *
 * @category guards
 */
export const isNetError = (u: unknown): u is NetError => Predicate.hasProperty(u, TypeId)

const transient: ReadonlySet<string> = new Set<NetError["_tag"]>([
  "ConnectionRefused",
  "ConnectTimeout",
  "HostUnreachable",
  "NetworkUnreachable",
  "NameNotFound",
  "ResourceExhausted",
  "ConnectionReset",
  "BrokenPipe",
  "UnexpectedEnd",
  "ReadTimeout",
  "WriteTimeout",
  "PoolTimeout",
  "PoolExhausted"
])

/**
 * Whether the same attempt may go well later: the network, the peer or a shortage was at fault, not the request. `Disconnected` is
 * judged by its cause, and never transient where the message was sent: to send it again might do twice what it asks for.
 *
 * @category predicates
 */
export const isTransient = (error: unknown): boolean =>
  isNetError(error) &&
  (error._tag === "Disconnected" ? !error.sent && isTransient(error.cause) : transient.has(error._tag))

type SocketErrorKind = Exclude<ErrorKind, "MessageTooLarge" | "Unsupported" | "Unknown">

const classes: Readonly<Record<SocketErrorKind, new (props: SocketErrorProps) => NetError>> = {
  ConnectionRefused,
  ConnectTimeout,
  HostUnreachable,
  NetworkUnreachable,
  NameNotFound,
  PathNotFound,
  AddressInUse,
  AddressNotAvailable,
  PermissionDenied,
  ResourceExhausted,
  ConnectionReset,
  BrokenPipe,
  ConnectionClosed
}

/**
 * The typed error for what an adapter made of its runtime's error. A kind that the operation's union lacks becomes `Unknown`.
 *
 * @internal
 */
export const fromFailure = <E extends NetError>(
  failure: Failure,
  allowed: ReadonlySet<ErrorKind>,
  props: SocketErrorProps
): E | Unknown =>
  allowed.has(failure.kind)
    ? new classes[failure.kind as SocketErrorKind](props) as E
    : new Unknown({ ...props, code: failure.code, reason: failure.message })
