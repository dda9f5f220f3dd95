/**
 * How a server starts its handlers: each on a fiber of its own that has a scope in its context and goes on within the runtime's callbacks.
 * The scope is in the context that the fiber starts with: to provide it to the effect would cost more than the fiber.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import { pipe } from "effect/Function"
import * as Runtime from "effect/Runtime"
import type { Scheduler } from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { MapView } from "./mapView.ts"

export const scopedFork = <R>({ context, fiberRefs, runtimeFlags }: Runtime.Runtime<R>, scheduler: Scheduler) => {
  // Every fiber gets these two of its own. A fiber that inherits nothing starts in half the time.
  const inherited = pipe(
    fiberRefs,
    FiberRefs.delete(FiberRef.currentContext),
    FiberRefs.delete(FiberRef.currentScheduler)
  )
  const services = Context.omit(Scope.Scope)(context as Context.Context<R | Scope.Scope>).unsafeMap
  const runtime = Runtime.make({
    context: context as Context.Context<R | Scope.Scope>,
    fiberRefs: inherited,
    runtimeFlags
  })
  return <A, E>(effect: Effect.Effect<A, E, R | Scope.Scope>, scope: Scope.Scope): Fiber.RuntimeFiber<A, E> =>
    Runtime.runFork(runtime, effect, {
      updateRefs: (_, fiberId) => {
        const scoped = Context.unsafeMake<never>(new Services(services, scope).map)
        return FiberRefs.unsafeMake(new Locals(inherited.locals, fiberId, scoped, scheduler).map)
      }
    })
}

/** The services of a server, and a handler's own Scope. */
class Services extends MapView<string, unknown> {
  readonly #scope: Scope.Scope

  constructor(server: ReadonlyMap<string, unknown>, scope: Scope.Scope) {
    super(server)
    this.#scope = scope
  }

  protected get own(): ReadonlyArray<readonly [string, unknown]> {
    return [[Scope.Scope.key, this.#scope]]
  }

  get(key: string): unknown {
    return key === Scope.Scope.key ? this.#scope : this.shared.get(key)
  }

  has(key: string): boolean {
    return key === Scope.Scope.key || this.shared.has(key)
  }
}

type Ref = FiberRefs.FiberRefs["locals"] extends Map<infer K, unknown> ? K : never
type Values = FiberRefs.FiberRefs["locals"] extends Map<Ref, infer V> ? V : never

/** The references of a server's fiber, and a handler's own context and scheduler. */
class Locals extends MapView<Ref, Values> {
  readonly #fiberId: FiberId.Single
  readonly #context: Context.Context<never>
  readonly #scheduler: Scheduler

  constructor(
    server: FiberRefs.FiberRefs["locals"],
    fiberId: FiberId.Single,
    context: Context.Context<never>,
    scheduler: Scheduler
  ) {
    super(server)
    this.#fiberId = fiberId
    this.#context = context
    this.#scheduler = scheduler
  }

  protected get own(): ReadonlyArray<readonly [Ref, Values]> {
    return [FiberRef.currentContext, FiberRef.currentScheduler].map((ref) => [ref, this.get(ref)!])
  }

  get(ref: Ref): Values | undefined {
    if (ref === FiberRef.currentContext) return [[this.#fiberId, this.#context]]
    return ref === FiberRef.currentScheduler ? [[this.#fiberId, this.#scheduler]] : this.shared.get(ref)
  }

  has(ref: Ref): boolean {
    return ref === FiberRef.currentContext || ref === FiberRef.currentScheduler || this.shared.has(ref)
  }
}
