/**
 * Streams of what one effect gives, run again for every chunk, until it says that this was the last.
 * The effect answers with what the stream is to do next, made for that: two steps of the stream's machine less for each chunk than
 * `Stream.repeatEffectChunkOption`, which wraps every answer in an Option, a pair and an Option of the error.
 */
import * as Channel from "effect/Channel"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"

/** What the stream does next. */
type Step<A, E, R> = Channel.Channel<Chunk.Chunk<A>, unknown, E, unknown, void, unknown, R>

export interface Emitter<A, E, R> {
  /** Gives a chunk to the stream, which asks again after it. */
  readonly emit: (chunk: Chunk.Chunk<A>) => Effect.Effect<Step<A, E, R>, E, R>
  /** Ends the stream. */
  readonly end: Effect.Effect<Step<A, E, R>, E, R>
}

export const emitting = <A, E, R = never>(
  pull: (emitter: Emitter<A, E, R>) => Effect.Effect<Step<A, E, R>, E, R>
): Stream.Stream<A, E, R> => {
  const again = () => loop
  const emit = (chunk: Chunk.Chunk<A>) => Exit.succeed(Channel.flatMap(Channel.write(chunk), again))
  const loop: Step<A, E, R> = Channel.unwrap(pull({ emit, end: Exit.succeed(Channel.void) }))
  return Stream.fromChannel(loop)
}
