/**
 * How a server starts its handlers: each on a fiber of its own that has a scope in its context and goes on within the runtime's callbacks.
 * The scope goes into the context that the fiber starts with: to provide it to the effect would cost more than the fiber.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import { pipe } from "effect/Function"
import * as Runtime from "effect/Runtime"
import type { Scheduler } from "effect/Scheduler"
import * as Scope from "effect/Scope"

export const scopedFork = <R>({ context, fiberRefs, runtimeFlags }: Runtime.Runtime<R>, scheduler: Scheduler) => {
  const options = { scheduler }
  // Every fiber gets these two of its own. A fiber that inherits nothing starts in half the time.
  const inherited = pipe(
    fiberRefs,
    FiberRefs.delete(FiberRef.currentContext),
    FiberRefs.delete(FiberRef.currentScheduler)
  )
  return <A, E>(effect: Effect.Effect<A, E, R | Scope.Scope>, scope: Scope.Scope): Fiber.RuntimeFiber<A, E> =>
    Runtime.runFork(
      Runtime.make({ context: Context.add(context, Scope.Scope, scope), fiberRefs: inherited, runtimeFlags }),
      effect,
      options
    )
}
