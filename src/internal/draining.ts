/**
 * How a handler learns that its server drains: a reference in the context that handlers run with, told once a server, and the failure of a read
 * after what has come. A handler that ends by this failure has not failed: `isDrained` tells it for spans, log lines and counts.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { ConnectionClosed } from "../errors/Ending.ts"

export class Draining extends Context.Reference<Draining>()("effect-netkit/Server/Draining", {
  defaultValue: (): Effect.Effect<void> => Effect.never
}) {}

/** What reads of a connection fail with whose server drains. */
export class Drained extends ConnectionClosed {}

/** Whether a handler has ended by nothing but the drain; one that has failed by something else beside it has failed. */
export const isDrained = (cause: Cause.Cause<unknown>): boolean => {
  const failures = Cause.failures(cause)
  return Chunk.isNonEmpty(failures) && Chunk.every(failures, (failure) => failure instanceof Drained) &&
    Chunk.isEmpty(Cause.defects(cause))
}
