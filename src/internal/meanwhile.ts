/**
 * Something that goes on beside a wait, such as a time limit, until the wait ends however it does.
 * The fiber itself waits and one other is started: `Effect.raceFirst` and `Effect.timeout` start two and race them, at several times the cost.
 */
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

/** Runs `other` until `self` ends, also where neither could be interrupted by who calls. */
export const meanwhile = <A, E, R, R2>(
  self: Effect.Effect<A, E, R>,
  other: Effect.Effect<unknown, never, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forkDaemon(Effect.interruptible(other)),
      (fiber) =>
        Effect.flatMap(Effect.exit(restore(self)), (exit) => {
          fiber.unsafeInterruptAsFork(FiberId.none)
          return exit
        })
    )
  )
