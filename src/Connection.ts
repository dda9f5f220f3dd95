/**
 * One connected stream socket: reads that are pulled and bounded, writes that settle in every state, half-close, addresses.
 * Interrupting a read loses no byte and duplicates none; interrupting a write stops the waiting and never cuts a message in half.
 * End of stream, close by this side, reset and timeout are four different things in the types.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { MessageTooLarge, ReadError, UnexpectedEnd, Unsupported, WriteError } from "./NetError.ts"
import type { SocketAddress } from "./SocketAddress.ts"

/**
 * Marks every connection.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/Connection")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * A connection lives in the Scope that it was opened in, or in its handler's on a server. When that closes, or on `close`, queued bytes
 * are flushed, FIN is sent, and after at most `closeTimeout` the rest is cut off.
 *
 * @category models
 */
export interface Connection {
  readonly [TypeId]: TypeId
  readonly localAddress: SocketAddress
  readonly remoteAddress: SocketAddress

  /**
   * The next chunk as it came, or none at the peer's end of stream, then none again and again. A chunk is the reader's own.
   * At most `readBuffer` bytes are read ahead.
   */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, ReadError>
  /**
   * Exactly `n` bytes. At the end of stream before that: `UnexpectedEnd`, and what had come can still be read. They wait in memory until all are there,
   * so bound a length that the peer has sent; one that is no whole number from 0 on is a defect, `InvalidOption`.
   */
  readonly readExactly: (n: number) => Effect.Effect<Uint8Array, ReadError | UnexpectedEnd>
  /**
   * All bytes up to and with the delimiter, at most `maxLength` (default 64 KiB, the delimiter included). Beyond: `MessageTooLarge`.
   * In both failures what had come can still be read.
   */
  readonly readUntil: (
    delimiter: Uint8Array | string,
    options?: { readonly maxLength?: number | undefined }
  ) => Effect.Effect<Uint8Array, ReadError | UnexpectedEnd | MessageTooLarge>
  /**
   * Completes at the peer's end of stream, and fails as a read would where the connection does; takes nothing. For a handler that waits for something
   * other than its peer, and would not learn that this has gone: while this is run, up to `readBuffer` bytes are read ahead, behind which no end is seen.
   * No time limit counts meanwhile.
   *
   * @example
   * ```ts
   * import { Stream } from "effect"
   * import type { Connection } from "effect-netkit"
   *
   * declare const news: Stream.Stream<string>
   *
   * const ticker = (connection: Connection.Connection) =>
   *   news.pipe(Stream.interruptWhen(connection.ended), Stream.run(connection.sink))
   * ```
   */
  readonly ended: Effect.Effect<void, ReadError>
  /** Puts bytes in front of what is to be read next. */
  readonly unread: (bytes: Uint8Array) => Effect.Effect<void>

  /**
   * Accepts one message (a string as UTF-8) whole, and waits while the peer is slow. Concurrent writes never interleave; their order is
   * that of the calls. Interrupted before any of it has left, nothing of the message is sent; later, all of it.
   * The bytes belong to the connection from then on: do not change them.
   */
  readonly write: (message: Uint8Array | string) => Effect.Effect<void, WriteError>
  /** Many chunks as one message, with as few system calls as the runtime allows. */
  readonly writeAll: (chunks: Iterable<Uint8Array | string>) => Effect.Effect<void, WriteError>

  /** All that is read, until the peer's end of stream. What waits is emitted as one Chunk. */
  readonly stream: Stream.Stream<Uint8Array, ReadError>
  /** Writes every element. Does not shut down at the end. */
  readonly sink: Sink.Sink<void, Uint8Array | string, never, WriteError>

  /** Sends FIN after the bytes that were written. Reading goes on; a later write fails with `ConnectionClosed`. Does not wait. */
  readonly shutdown: Effect.Effect<void>
  /**
   * Flushes, sends FIN, and releases the descriptor; after `closeTimeout` it is released anyway. Reads and writes that wait fail with
   * `ConnectionClosed`. Bytes of the peer that were not read are discarded without turning the close into a reset.
   */
  readonly close: Effect.Effect<void>
  /** Drops what was not sent and ends the connection with RST. Where the socket cannot (see the support table): `Unsupported`. */
  readonly reset: Effect.Effect<void, Unsupported>
  /** Completes when the descriptor has been released, however it came about. */
  readonly closed: Effect.Effect<void>

  /** Byte counts and age, also after the end. */
  readonly stats: Effect.Effect<ConnectionStats>
  /** Switches Nagle's algorithm off (`true`) or on. */
  readonly setNoDelay: (enabled: boolean) => Effect.Effect<void>
}

/**
 * @category models
 */
export interface ConnectionStats {
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Bytes that have come and were not read. */
  readonly unread: number
  /** Bytes written that the kernel has not taken. */
  readonly unsent: number
  readonly age: Duration.Duration
}

/**
 * Whether a value is a connection.
 *
 * @category guards
 */
export const isConnection = (u: unknown): u is Connection => hasProperty(u, TypeId)
