/**
 * Every way in which an operation of the SDK can fail: one tagged class a cause, the same on every runtime, and one union an operation.
 * Each carries the operation, the address it was about and the runtime's own error as `cause`, and reads well on a terminal.
 * Sizes are bytes; times are `Duration`s.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type { ErrorKind } from "./ErrorKind.ts"
import { describe, leaf, type Operation, type SocketErrorProps, TypeId } from "./internal/socketError.ts"
import type { Capability, Failure } from "./Transport.ts"

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

/**
 * Nobody listens at the address (RST in answer to SYN). Bun 1.4 also reports unreachable hosts so (oven-sh/bun#37093).
 *
 * @category errors
 */
export class ConnectionRefused extends leaf("ConnectionRefused", "connection refused; is a server listening there?") {}

/**
 * No connection within `connectTimeout`, which includes the look-up of the name; or the system gave up by itself.
 *
 * @category errors
 */
export class ConnectTimeout extends Data.TaggedError("ConnectTimeout")<
  SocketErrorProps & {
    readonly timeout?: Duration.Duration | undefined
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(
      this,
      this.timeout === undefined ? "timed out" : `no answer within ${Duration.format(this.timeout)}`
    )
  }
}

/**
 * No route to that host (ICMP host unreachable).
 *
 * @category errors
 */
export class HostUnreachable extends leaf("HostUnreachable", "host unreachable; is it up, and on this network?") {}

/**
 * No route to that network.
 *
 * @category errors
 */
export class NetworkUnreachable extends leaf("NetworkUnreachable", "network unreachable; is there a route to it?") {}

/**
 * The host name has no address, or none of the `family` that was asked for, or the resolver did not answer.
 *
 * @category errors
 */
export class NameNotFound extends Data.TaggedError("NameNotFound")<
  SocketErrorProps & {
    readonly family?: 4 | 6 | undefined
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(
      this,
      this.family === undefined
        ? "no address found for this name; is it spelt right?"
        : `no IPv${this.family} address found for this name`
    )
  }
}

/**
 * The Unix socket path, or its folder, does not exist.
 *
 * @category errors
 */
export class PathNotFound extends leaf("PathNotFound", "no such path") {}

/**
 * Somebody listens there already; or a path is that of a file which is no socket, and is left alone.
 *
 * @category errors
 */
export class AddressInUse extends leaf(
  "AddressInUse",
  "address already in use; stop the other server or choose another port (0 takes a free one)",
  "address already in use; stop the other server or choose another path"
) {}

/**
 * The address is not one of this machine's.
 *
 * @category errors
 */
export class AddressNotAvailable extends leaf("AddressNotAvailable", "not an address of this machine") {}

/**
 * The system, or Deno's permission model, forbids it.
 *
 * @category errors
 */
export class PermissionDenied extends leaf(
  "PermissionDenied",
  "permission denied; ports below 1024 want privileges, broadcast its option, Deno --allow-net",
  "permission denied; file and folder want rights to them, Deno --allow-read, --allow-write and --allow-net"
) {}

/**
 * The process has no descriptors, or the system no memory, left for another socket.
 *
 * @category errors
 */
export class ResourceExhausted extends leaf(
  "ResourceExhausted",
  "out of descriptors or memory; raise the limit (ulimit -n) or open fewer sockets"
) {}

/**
 * The peer ended the connection abruptly (RST). Bytes under way in either direction may be lost.
 *
 * @category errors
 */
export class ConnectionReset extends leaf("ConnectionReset", "connection reset by the peer") {}

/**
 * A write to a connection whose peer no longer reads.
 *
 * @category errors
 */
export class BrokenPipe extends leaf("BrokenPipe", "broken pipe; the peer no longer reads") {}

/**
 * This side has closed the connection, or its writing half with `shutdown`.
 *
 * @category errors
 */
export class ConnectionClosed extends leaf("ConnectionClosed", "closed by this side") {}

/**
 * The peer's end of stream came before the bytes that were asked for. `received` of `expected` bytes had come.
 *
 * @category errors
 */
export class UnexpectedEnd extends Data.TaggedError("UnexpectedEnd")<
  SocketErrorProps & {
    readonly received: number
    readonly expected?: number | undefined
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(
      this,
      `the peer ended the stream after ${this.received} bytes${
        this.expected === undefined ? "" : ` of ${this.expected}`
      }`
    )
  }
}

/**
 * No byte came within `readTimeout` while a read waited. The connection stays usable.
 *
 * @category errors
 */
export class ReadTimeout extends Data.TaggedError("ReadTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `nothing received within ${Duration.format(this.timeout)}`)
  }
}

/**
 * It came more often than a `Middleware.rateLimit` or `messageRate` allows.
 *
 * @category errors
 */
export class RateLimited extends Data.TaggedError("RateLimited")<
  SocketErrorProps & {
    /** When the next one would be let through. */
    readonly retryAfter: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `too often; the next one in ${Duration.format(this.retryAfter)}`)
  }
}

/**
 * The peer took no byte within `writeTimeout` while a write waited. The bytes already accepted stay queued.
 *
 * @category errors
 */
export class WriteTimeout extends Data.TaggedError("WriteTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `the peer took nothing within ${Duration.format(this.timeout)}`)
  }
}

/**
 * A server's peer has said nothing within `firstByteTimeout` since it was waited for.
 *
 * @category errors
 */
export class FirstByteTimeout extends Data.TaggedError("FirstByteTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `the peer said nothing within ${Duration.format(this.timeout)}`)
  }
}

/**
 * A server's peer has sent no byte in `idleTimeout` of waiting.
 *
 * @category errors
 */
export class IdleTimeout extends Data.TaggedError("IdleTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `idle for ${Duration.format(this.timeout)}`)
  }
}

/**
 * A server's peer sends, or takes, fewer bytes a second than `minThroughput` allows while it is waited for.
 *
 * @category errors
 */
export class ThroughputTooLow extends Data.TaggedError("ThroughputTooLow")<
  SocketErrorProps & {
    /** Bytes a second that there must be. */
    readonly limit: number
    /** Bytes a second that there were. */
    readonly measured: number
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `${Math.round(this.measured)} bytes a second are less than the minimum of ${this.limit}`)
  }
}

/**
 * A connection of a server has reached `maxConnectionAge`, and what had come is read.
 *
 * @category errors
 */
export class ConnectionExpired extends Data.TaggedError("ConnectionExpired")<
  SocketErrorProps & {
    readonly age: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `closed by this side at the age of ${Duration.format(this.age)}`)
  }
}

/**
 * A datagram, or a wait for a delimiter, beyond its limit.
 *
 * @category errors
 */
export class MessageTooLarge extends Data.TaggedError("MessageTooLarge")<
  SocketErrorProps & {
    readonly size: number
    readonly limit: number
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `${this.size} bytes are more than the limit of ${this.limit}`)
  }
}

interface FrameErrorProps extends SocketErrorProps {
  /** Where in the stream of bytes, counted per decoder and encoder, the frame begins. */
  readonly offset: number
}

/**
 * A frame whose payload is longer than the codec's maximum; `size` is what its header announced, or `limit` + 1 where it has none: no more is looked at.
 *
 * @category errors
 */
export class FrameTooLarge
  extends Data.TaggedError("FrameTooLarge")<FrameErrorProps & { readonly size: number; readonly limit: number }> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(
      this,
      `frame of ${this.size} bytes at offset ${this.offset} is more than the limit of ${this.limit}`
    )
  }
}

/**
 * Bytes that are no frame of the codec's, or a value that cannot be one. Where a schema describes the payload, `path` leads to the field at fault.
 *
 * @category errors
 */
export class FrameMalformed extends Data.TaggedError("FrameMalformed")<
  FrameErrorProps & {
    readonly reason: string
    readonly path?: ReadonlyArray<PropertyKey> | undefined
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `malformed frame at offset ${this.offset}: ${this.reason}`)
  }
}

/**
 * The stream ended within a frame: `received` bytes of it had come.
 *
 * @category errors
 */
export class FrameTruncated extends Data.TaggedError("FrameTruncated")<
  FrameErrorProps & { readonly received: number; readonly expected?: number | undefined }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(
      this,
      `the stream ended ${this.received} bytes into the frame at offset ${this.offset}${
        this.expected === undefined ? "" : `, which has ${this.expected}`
      }`
    )
  }
}

/**
 * A handshake or record of TLS failed.
 *
 * @category errors
 */
export class TlsFailure extends Data.TaggedError("TlsFailure")<SocketErrorProps & { readonly reason: string }> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `TLS failed: ${this.reason}`)
  }
}

interface PoolErrorProps extends SocketErrorProps {
  /** Connections in use at that moment. */
  readonly borrowed: number
  /** Connections being opened. */
  readonly opening: number
  /** Who else waits for one. */
  readonly waiting: number
}

const load = ({ borrowed, opening, waiting }: PoolErrorProps): string =>
  `${borrowed} in use, ${opening} being opened, ${waiting} waiting`

/**
 * A pool had no connection to give within `acquireTimeout`, or one could not be opened within `openTimeout`; `timeout` is the one that was over.
 *
 * @category errors
 */
export class PoolTimeout extends Data.TaggedError("PoolTimeout")<
  PoolErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `none within ${Duration.format(this.timeout)} (${load(this)})`)
  }
}

/**
 * All connections of a pool are in use, and `limit` acquires wait for one already (`maxPendingAcquires`).
 *
 * @category errors
 */
export class PoolExhausted extends Data.TaggedError("PoolExhausted")<
  PoolErrorProps & {
    readonly limit: number
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `no more than ${this.limit} may wait (${load(this)})`)
  }
}

/**
 * The pool's scope was told to close: it gives no more connections.
 *
 * @category errors
 */
export class PoolClosed extends leaf("PoolClosed", "the pool is closed") {}

/**
 * A client that reconnects had no connection for a message, or lost it; `cause` is why. `sent` tells whether the peer may have got the
 * message: false means that it certainly has not.
 *
 * @category errors
 */
export class Disconnected extends Data.TaggedError("Disconnected")<SocketErrorProps & { readonly sent: boolean }> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    const what = this.sent ? "the connection was lost after it was sent" : "not sent, for there is no connection"
    if (this.cause === undefined) return describe(this, what)
    return describe(this, `${what}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`)
  }
}

/**
 * This runtime cannot do what was asked. Nothing was opened or changed. The support table in the README lists all cases.
 *
 * @category errors
 */
export class Unsupported extends Data.TaggedError("Unsupported")<{
  readonly operation: Operation
  readonly capability: Capability
  readonly runtime: string
}> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return `${this.operation}: ${this.runtime} cannot do ${this.capability}; see the support table`
  }
}

/**
 * An option that cannot be meant, found before any socket is opened.
 *
 * @category errors
 */
export class InvalidOption extends Data.TaggedError("InvalidOption")<{
  readonly option: string
  readonly value: unknown
  readonly expected: string
  /** What it is instead, where its text does not show that. */
  readonly found?: string | undefined
}> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    const found = this.found === undefined ? "" : `, but ${this.found}`
    return `${this.option} ${String(this.value)}: not ${this.expected}${found}`
  }
}

/**
 * A file that ended before the bytes that were promised of it: it has become shorter, or always was. `sent` of `expected` bytes have gone out.
 *
 * @category errors
 */
export class FileTruncated extends Data.TaggedError("FileTruncated")<{
  readonly path: string
  readonly sent: number
  readonly expected: number
}> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return `send ${this.path}: the file ended after ${this.sent} of ${this.expected} bytes`
  }
}

/**
 * A failure that the SDK has no name for; `code` and `cause` are the runtime's.
 *
 * @category errors
 */
export class Unknown extends Data.TaggedError("Unknown")<
  SocketErrorProps & { readonly code?: string | undefined; readonly reason: string }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, this.code === undefined ? this.reason : `${this.reason} (${this.code})`)
  }
}

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
export type LookupError = NameNotFound | PermissionDenied | InvalidOption | Unknown

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
