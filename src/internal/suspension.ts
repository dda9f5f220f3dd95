/**
 * `Effect.async` without a canceler, for effects that are built once and run for every message: it is what `Effect.async` makes anew with each
 * run, less the four closures and the effect around it. What is resumed when it is gone is nothing, as there.
 * The names are those by which the fibers of Effect 3 know the instruction; no test would pass if they changed.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as FiberId from "effect/FiberId"
import type { Resume } from "./turn.ts"

/** An effect that waits until `resume` is called. */
export const suspension = <A, E, R>(
  register: (resume: (effect: Effect.Effect<A, E, R>) => void) => void
): Effect.Effect<A, E, R> => new Suspension(register) as unknown as Effect.Effect<A, E, R>

/**
 * As `Effect.async`, whose canceler is not there yet for two steps after the registration: a fiber that yields between them, and is interrupted
 * there, would leave what it has registered behind. Here the registration is the last step.
 */
export const cancelable = <A, E = never, R = never>(
  register: (resume: (effect: Effect.Effect<A, E, R>) => void) => Effect.Effect<void> | void
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let cancel: Effect.Effect<void> | void
    const waiting = suspension<A, E, R>((resume) => {
      cancel = register(resume)
    })
    return Effect.onInterrupt(waiting, () => cancel ?? Effect.void)
  })

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
 * An effect that is its value where that is there, a suspension while there is nothing to do but wait, and committed otherwise: one instruction
 * instead of two or three. What the questions answer does not change before what follows from them is called.
 */
export abstract class Suspendable<A, E> extends Effectable.Class<A, E> {
  /** @internal */
  readonly effect_instruction_i0: (resume?: Resume<A, E>) => A | void = (resume) =>
    resume === undefined ? this.value() : this.wait(resume)
  abstract readonly isReady: boolean
  abstract readonly mustWait: boolean
  protected abstract value(): A
  protected abstract wait(resume: Resume<A, E>): void

  /** @internal */
  get _op(): "Sync" | "Async" | "Commit" {
    return this.isReady ? "Sync" : this.mustWait ? "Async" : "Commit"
  }

  /** @internal */
  get effect_instruction_i1(): FiberId.FiberId {
    return FiberId.none
  }
}

/** As `Suspendable`, of what hardly ever has to wait: without a closure, for effects that are made for every message. */
export abstract class Immediate<A, E> extends Effectable.Class<A, E> {
  abstract readonly isReady: boolean
  protected abstract value(): A

  /** @internal */
  get _op(): "Sync" | "Commit" {
    return this.isReady ? "Sync" : "Commit"
  }

  /** @internal */
  effect_instruction_i0(): A {
    return this.value()
  }
}
