/**
 * For a fiber whose failure is heard by its observer, who logs it or hands it on: Effect would log it once more, at debug level, as unhandled.
 * Its own end alone; what it has forked keeps the level.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"

const silence = FiberRef.set(FiberRef.unhandledErrorLogLevel, Option.none())

export const heard = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.catchAllCause(self, (cause) => Effect.zipRight(silence, Effect.failCause(cause)))
