/**
 * The one encoder under every framing: bytes out of frames, many of them side by side in one chunk.
 * A frame that is refused leaves nothing behind; of a batch with one such frame, nothing is written.
 */
import * as Either from "effect/Either"
import type { FrameError } from "../NetError.ts"
import { FrameTooLarge } from "../NetError.ts"
import { ByteWriter } from "./ByteWriter.ts"
import { malformed } from "./FrameDecoder.ts"
import { TooLarge } from "./Framer.ts"

/**
 * Bytes out of frames, for one stream of bytes. The chunks are to be written in order, best in one call.
 *
 * A large payload is a chunk of its own and the very array that was given: it must not be changed before it is written.
 *
 * @category models
 */
export interface Encoder<in A> {
  /** One frame as bytes. */
  encode(frame: A): Either.Either<ReadonlyArray<Uint8Array>, FrameError>
  /** Frames as bytes, all or none. */
  encodeAll(frames: Iterable<A>): Either.Either<ReadonlyArray<Uint8Array>, FrameError>
  /** How many bytes this encoder has given so far. */
  readonly offset: number
  /**
   * Adds one frame to those that a writer holds already; a refused one leaves nothing behind.
   *
   * @internal
   */
  append(frame: A, out: ByteWriter): FrameError | undefined
}

/** Writes one value as a frame, or throws `TooLarge`, `Malformed` or what a transform of the user's throws. */
export type Write<in A> = (value: A, out: ByteWriter) => void

export class FrameEncoder<A> implements Encoder<A> {
  offset = 0
  private readonly write: Write<A>
  private readonly max: number

  constructor(write: Write<A>, max: number) {
    this.write = write
    this.max = max
  }

  encode(frame: A): Either.Either<ReadonlyArray<Uint8Array>, FrameError> {
    return this.encodeAll([frame])
  }

  encodeAll(frames: Iterable<A>): Either.Either<ReadonlyArray<Uint8Array>, FrameError> {
    const out = new ByteWriter()
    let begin = 0
    try {
      for (const frame of frames) {
        begin = out.length
        this.write(frame, out)
      }
    } catch (thrown) {
      return Either.left(this.refusal(thrown, this.offset + begin))
    }
    this.offset += out.length
    return Either.right(out.take())
  }

  append(frame: A, out: ByteWriter): FrameError | undefined {
    const before = out.length
    try {
      this.write(frame, out)
    } catch (thrown) {
      out.rewind(before)
      return this.refusal(thrown, this.offset)
    }
    this.offset += out.length - before
    return undefined
  }

  private refusal(thrown: unknown, offset: number): FrameError {
    return thrown instanceof TooLarge
      ? new FrameTooLarge({ operation: "encode", offset, size: thrown.size, limit: this.max })
      : malformed("encode", offset, thrown)
  }
}
