/**
 * For a fiber whose failure is heard by its observer, who logs it or hands it on: Effect would log it once more, at debug level, as unhandled.
 * Its own end alone; what it has forked keeps the level.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"

const silence = FiberRef.set(FiberRef.unhandledErrorLogLevel, Option.none())

const silently = <E>(cause: Cause.Cause<E>): Effect.Effect<never, E> =>
  Effect.zipRight(silence, Effect.failCause(cause))

export const heard = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.catchAllCause(self, silently)

/**
 * As `heard(Effect.suspend(run))` in one object instead of four, since every connection holds one while its handler runs. The names are those by
 * which the fibers of Effect 3 know `catchAllCause`; no test would pass if they changed.
 */
export abstract class Heard<A, E, R> {
  protected abstract run(): Effect.Effect<A, E, R>

  get _op(): "OnFailure" {
    return "OnFailure"
  }

  get effect_instruction_i0(): Effect.Effect<A, E, R> {
    return this.run()
  }

  get effect_instruction_i1(): typeof silently {
    return silently
  }

  get effect(): Effect.Effect<A, E, R> {
    return this as unknown as Effect.Effect<A, E, R>
  }
}

Object.setPrototypeOf(Heard.prototype, Effectable.EffectPrototype)
