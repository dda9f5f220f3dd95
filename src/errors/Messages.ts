/**
 * What is wrong with a message, a frame or a file: its size, its form, its end.
 * Sizes and offsets are bytes.
 */
import * as Data from "effect/Data"
import { describe, type SocketErrorProps, TypeId } from "../internal/socketError.ts"

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
    const { limit, offset, size } = this
    return describe(
      this,
      size > limit + 1
        ? `frame of ${size} bytes at offset ${offset} is more than the limit of ${limit}`
        : `frame at offset ${offset} has more than ${limit} bytes, the limit`
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
