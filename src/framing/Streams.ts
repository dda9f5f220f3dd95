/**
 * Codecs as channels and stream combinators, for bytes from anywhere: a socket, a file, a child process.
 * A chunk of bytes becomes one chunk of frames, and a chunk of frames one chunk of bytes.
 */
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import type { FrameError } from "../NetError.ts"
import { skippedFrames } from "../NetMetrics.ts"
import type { Codec } from "./Codec.ts"
import type { Decoder } from "./FrameDecoder.ts"
import type { Encoder } from "./FrameEncoder.ts"

/**
 * How many frames are decoded before they are handed on, so that a chunk of tiny frames does not become a heap of
 * objects.
 */
const batch = 4096

/** Writes all frames of the bytes from number `first` on. */
const drain = <A>(
  decoder: Decoder<A>,
  bytes: ReadonlyArray<Uint8Array>,
  first = 0
): Channel.Channel<Chunk.Chunk<A>, unknown, FrameError> =>
  Channel.suspend(() => {
    const out: Array<A> = []
    const skipped = decoder.skipped
    let next = first
    let failure = decoder.decode(out, batch)
    while (failure === undefined && out.length < batch && next < bytes.length) {
      decoder.push(bytes[next++]!)
      failure = decoder.decode(out, batch - out.length)
    }
    let rest = failure !== undefined
      ? Channel.fail(failure)
      : out.length < batch
      ? Channel.void
      : drain(decoder, bytes, next)
    if (decoder.skipped > skipped) {
      rest = Channel.zipRight(Channel.fromEffect(Metric.incrementBy(skippedFrames, decoder.skipped - skipped)), rest)
    }
    return out.length === 0 ? rest : Channel.zipRight(Channel.write(Chunk.unsafeFromArray(out)), rest)
  })

/**
 * A channel from bytes to frames. The frames before a failure come first. Each run has a decoder of its own.
 *
 * @category channels
 */
export const decodeChannel = <Out, In, IE = never, Done = unknown>(codec: Codec<Out, In>): Channel.Channel<
  Chunk.Chunk<Out>,
  Chunk.Chunk<Uint8Array>,
  IE | FrameError,
  IE,
  Done,
  Done
> =>
  Channel.suspend(() => {
    const decoder = codec.decoder()
    const loop: Channel.Channel<Chunk.Chunk<Out>, Chunk.Chunk<Uint8Array>, IE | FrameError, IE, Done, Done> = Channel
      .readWithCause({
        onInput: (input: Chunk.Chunk<Uint8Array>) =>
          Channel.zipRight(drain(decoder, Chunk.toReadonlyArray(input)), loop),
        onFailure: (cause: Cause.Cause<IE>) => Channel.failCause(cause),
        onDone: (done: Done) => {
          decoder.end()
          return Channel.as(drain(decoder, []), done)
        }
      })
    return loop
  })

const encodeChunk = <A>(encoder: Encoder<A>, frames: Iterable<A>) =>
  Either.match(encoder.encodeAll(frames), {
    onLeft: (error): Channel.Channel<Chunk.Chunk<Uint8Array>, unknown, FrameError> => Channel.fail(error),
    onRight: (bytes) => bytes.length === 0 ? Channel.void : Channel.write(Chunk.unsafeFromArray(bytes))
  })

/**
 * A channel from frames to bytes. A frame that is refused fails it, and nothing of its chunk is written.
 *
 * @category channels
 */
export const encodeChannel = <Out, In, IE = never, Done = unknown>(codec: Codec<Out, In>): Channel.Channel<
  Chunk.Chunk<Uint8Array>,
  Chunk.Chunk<In>,
  IE | FrameError,
  IE,
  Done,
  Done
> =>
  Channel.suspend(() => {
    const encoder = codec.encoder()
    const loop: Channel.Channel<Chunk.Chunk<Uint8Array>, Chunk.Chunk<In>, IE | FrameError, IE, Done, Done> = Channel
      .readWithCause({
        onInput: (input: Chunk.Chunk<In>) => Channel.zipRight(encodeChunk(encoder, input), loop),
        onFailure: (cause: Cause.Cause<IE>) => Channel.failCause(cause),
        onDone: (done: Done) => Channel.succeed(done)
      })
    return loop
  })

/**
 * Makes a channel of bytes, such as a socket's, one of frames both ways.
 *
 * @category channels
 */
export const duplex: {
  <Out, In, IE = never>(codec: Codec<Out, In>): <OE, OutDone, InDone, R>(
    self: Channel.Channel<Chunk.Chunk<Uint8Array>, Chunk.Chunk<Uint8Array>, OE, IE | FrameError, OutDone, InDone, R>
  ) => Channel.Channel<Chunk.Chunk<Out>, Chunk.Chunk<In>, OE | FrameError, IE, OutDone, InDone, R>
  <OE, OutDone, InDone, R, Out, In, IE = never>(
    self: Channel.Channel<Chunk.Chunk<Uint8Array>, Chunk.Chunk<Uint8Array>, OE, IE | FrameError, OutDone, InDone, R>,
    codec: Codec<Out, In>
  ): Channel.Channel<Chunk.Chunk<Out>, Chunk.Chunk<In>, OE | FrameError, IE, OutDone, InDone, R>
} = dual(2, <OE, OutDone, InDone, R, Out, In, IE = never>(
  self: Channel.Channel<Chunk.Chunk<Uint8Array>, Chunk.Chunk<Uint8Array>, OE, IE | FrameError, OutDone, InDone, R>,
  codec: Codec<Out, In>
): Channel.Channel<Chunk.Chunk<Out>, Chunk.Chunk<In>, OE | FrameError, IE, OutDone, InDone, R> =>
  Channel.pipeTo(
    Channel.pipeTo(encodeChannel<Out, In, IE, InDone>(codec), self),
    decodeChannel<Out, In, OE, OutDone>(codec)
  ))

/**
 * The frames of a stream of bytes, however it is cut. The stream fails after the frames before the fault.
 *
 * @example
 * ```ts
 * import { FileSystem } from "@effect/platform"
 * import { Effect, Stream } from "effect"
 * import { Framing } from "effect-netkit"
 *
 * const events = Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream("events.ndjson"))).pipe(
 *   Framing.decode(Framing.lines().pipe(Framing.json))
 * )
 * ```
 *
 * @category streams
 */
export const decode: {
  <Out, In>(
    codec: Codec<Out, In>
  ): <E, R>(self: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<Out, E | FrameError, R>
  <E, R, Out, In>(self: Stream.Stream<Uint8Array, E, R>, codec: Codec<Out, In>): Stream.Stream<Out, E | FrameError, R>
} = dual(2, <E, R, Out, In>(
  self: Stream.Stream<Uint8Array, E, R>,
  codec: Codec<Out, In>
): Stream.Stream<Out, E | FrameError, R> =>
  Stream.pipeThroughChannelOrFail(self, decodeChannel<Out, In, E, unknown>(codec)))

/**
 * The bytes of a stream of frames.
 *
 * @category streams
 */
export const encode: {
  <Out, In>(
    codec: Codec<Out, In>
  ): <E, R>(self: Stream.Stream<In, E, R>) => Stream.Stream<Uint8Array, E | FrameError, R>
  <E, R, Out, In>(self: Stream.Stream<In, E, R>, codec: Codec<Out, In>): Stream.Stream<Uint8Array, E | FrameError, R>
} = dual(2, <E, R, Out, In>(
  self: Stream.Stream<In, E, R>,
  codec: Codec<Out, In>
): Stream.Stream<Uint8Array, E | FrameError, R> =>
  Stream.pipeThroughChannelOrFail(self, encodeChannel<Out, In, E, unknown>(codec)))
