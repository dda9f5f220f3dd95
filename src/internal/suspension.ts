/**
 * `Effect.async` without a canceler, for effects that are built once and run for every message: it is what `Effect.async` makes anew with each
 * run, less the four closures and the effect around it. What is resumed when it is gone is nothing, as there.
 * The names are those by which the fibers of Effect 3 know the instruction; no test would pass if they changed.
 */
import type * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as FiberId from "effect/FiberId"

/** An effect that waits until `resume` is called. */
export const suspension = <A, E, R>(
  register: (resume: (effect: Effect.Effect<A, E, R>) => void) => void
): Effect.Effect<A, E, R> => new Suspension(register) as unknown as Effect.Effect<A, E, R>

class Suspension {
  readonly _op = "Async"
  readonly effect_instruction_i0: unknown
  readonly effect_instruction_i1 = FiberId.none
  constructor(register: unknown) {
    this.effect_instruction_i0 = register
  }
}

Object.setPrototypeOf(Suspension.prototype, Effectable.EffectPrototype)

/**
 * An effect that is a suspension while there is nothing else to do, and is committed otherwise: one instruction less for who waits most of the time.
 * What `mustWait` answers does not change within `wait`.
 */
export abstract class Suspendable<A, E> extends Effectable.Class<A, E> {
  /** @internal */
  readonly effect_instruction_i0: (resume: (effect: Effect.Effect<A, E>) => void) => void = (resume) =>
    this.wait(resume)
  abstract readonly mustWait: boolean
  protected abstract wait(resume: (effect: Effect.Effect<A, E>) => void): void

  /** @internal */
  get _op(): "Async" | "Commit" {
    return this.mustWait ? "Async" : "Commit"
  }

  /** @internal */
  get effect_instruction_i1(): FiberId.FiberId {
    return FiberId.none
  }
}
