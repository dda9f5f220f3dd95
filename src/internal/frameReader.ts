/**
 * Frames out of a connection: the decoder fed from the queue of what has come, without an effect per frame or chunk.
 * A frame that was decoded is handed over in the same step, so interrupting who waits for it loses nothing.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Codec } from "../framing/Codec.ts"
import type { Decoder } from "../framing/FrameDecoder.ts"
import type { FrameError, ReadError } from "../NetError.ts"
import { skippedFrames } from "../NetMetrics.ts"
import type { SocketAddress } from "../SocketAddress.ts"
import type { ConnectionImpl } from "./connection.ts"
import { settled, taking } from "./reads.ts"

/** How many frames are taken at once at most, so that a chunk of tiny ones does not become a heap of objects. */
export const batch = 4096

export class FrameReader<Out> {
  readonly decoder: Decoder<Out>
  readonly #connection: ConnectionImpl
  #ended = false

  constructor(connection: ConnectionImpl, codec: Codec<Out, never>) {
    this.#connection = connection
    this.decoder = codec.decoder()
    // Who has half a frame is not idle.
    connection.inbound.holder = this.decoder
  }

  /** Bytes have come that nobody has received yet. */
  get isAhead(): boolean {
    return this.decoder.buffered > 0 || this.#connection.inbound.queue.size > 0
  }

  /**
   * An effect that goes on with `next` and the next frames, at most `limit`; with none at the end of stream, again and again.
   * Frames that cannot be had any more are `failed`.
   */
  frames<A, E = never, R = never>(
    limit: number,
    next: (frames: ReadonlyArray<Out>) => Effect.Effect<A, E, R>,
    failed: (error: FrameError) => Effect.Effect<A, E | FrameError, R> = Exit.fail,
    accept?: (chunk: Uint8Array) => boolean | Effect.Effect<A, E | ReadError | FrameError, R>
  ): Effect.Effect<A, E | ReadError | FrameError, R> {
    const { inbound } = this.#connection
    const self: Effect.Effect<A, E | ReadError | FrameError, R> = taking(() => {
      const retiring = inbound.retiring
      if (retiring && inbound.retired(this.decoder.buffered)) return inbound.failure!()
      const out: Array<Out> = []
      const failure = this.#decode(out, retiring ? 1 : limit)
      if (out.length > 0) return next(out)
      if (failure !== undefined) {
        inbound.cutShort = true
        return failed(located(failure, this.#connection.remoteAddress))
      }
      return this.#ended ? next(out) : settled(inbound, end) ?? more
    })
    const more = inbound.wait(self, 1, true, accept)
    const end = Effect.suspend(() => {
      this.#ended = true
      this.decoder.end()
      return self
    })
    return self
  }

  /**
   * Gives all frames to `handle`, until the end of stream: within the callback that brings them, without a step of the fiber, until `handle` gives
   * an effect to be run before any more.
   */
  forEach<E, R>(
    handle: (frames: ReadonlyArray<Out>) => Effect.Effect<void, E, R> | undefined,
    failed: (error: FrameError) => Effect.Effect<void, E | FrameError, R>
  ): Effect.Effect<void, E | ReadError | FrameError, R> {
    const { inbound } = this.#connection
    const self: Effect.Effect<void, E | ReadError | FrameError, R> = this.frames(
      batch,
      (frames): Effect.Effect<void, E | ReadError | FrameError, R> => {
        if (frames.length === 0) return Effect.void
        const waiting = handle(frames)
        return waiting === undefined ? self : Effect.zipRight(waiting, self)
      },
      failed,
      (chunk) => {
        if (inbound.retiring) return false
        this.decoder.push(chunk)
        const out: Array<Out> = []
        const failure = this.#decode(out, batch)
        const waiting = out.length === 0 ? undefined : handle(out)
        if (waiting !== undefined) return Effect.zipRight(waiting, self)
        // What is left, and how the frames ended, is for the fiber.
        return out.length < batch && failure === undefined ? true : self
      }
    )
    return self
  }

  #decode(out: Array<Out>, limit: number): FrameError | undefined {
    const { skipped } = this.decoder
    const failure = this.#decodeFrom(out, limit)
    if (this.decoder.skipped > skipped) skippedFrames.unsafeUpdate(this.decoder.skipped - skipped, [])
    return failure
  }

  #decodeFrom(out: Array<Out>, limit: number): FrameError | undefined {
    let failure = this.decoder.decode(out, limit)
    while (out.length === 0 && failure === undefined) {
      const chunk = this.#connection.inbound.take()
      if (chunk === undefined) return undefined
      this.decoder.push(chunk)
      failure = this.decoder.decode(out, limit)
    }
    return failure
  }
}

/** The error of a codec, which knows no connection, with the peer's address. */
export const located = <E extends FrameError>(error: E, address: SocketAddress): E =>
  new (error.constructor as new (props: object) => E)({ ...error, address, cause: error.cause })
