/**
 * How a connection ends other than by the end of stream, which is no error.
 * By the peer, by this side, or before it should have.
 */
import * as Data from "effect/Data"
import { describe, leaf, type SocketErrorProps, TypeId } from "../internal/socketError.ts"

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
