/**
 * How the core enters fibers from a runtime's callback: a fiber that waits for I/O goes on within the callback, not a microtask later.
 * Bounded: one fiber a callback, until it suspends or yields; all else, forks of its own included, goes to the scheduler it came with.
 * `turn` counts the callbacks, so that writes of one turn of the event loop can leave together.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type { Scheduler } from "effect/Scheduler"

export type Resume<A, E> = (effect: Effect.Effect<A, E>) => void

let count = 0

/** The number of the present turn. */
export const turn = (): number => count

/** Marks the entry into a callback of the runtime. */
export const nextTurn = (): void => {
  count++
}

let armed = false
let inside = false

/** Runs the task of the one fiber that is being woken; the rest is the base scheduler's. */
class InlineScheduler implements Scheduler {
  readonly #base: Scheduler
  constructor(base: Scheduler) {
    this.#base = base
  }
  scheduleTask(task: () => void, priority: number, fiber?: Fiber.RuntimeFiber<unknown, unknown>): void {
    if (armed) {
      armed = false
      task()
    } else this.#base.scheduleTask(task, priority, fiber as never)
  }
  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    // Asked before every step: the base's answer costs a look-up, and a fiber that has just been woken has time.
    return fiber.currentOpCount < 64 ? false : this.#base.shouldYield(fiber as never)
  }
}

/** Resumes a waiting fiber, at once if it runs on an inline scheduler and no other fiber is being woken so. */
export const wake = <A, E>(resume: Resume<A, E>, effect: Effect.Effect<A, E>): void => {
  if (inside) {
    resume(effect)
    return
  }
  inside = true
  armed = true
  try {
    resume(effect)
  } finally {
    armed = false
    inside = false
  }
}

/** The scheduler for fibers that serve connections, over the one that the given fiber runs on. */
export const inlineScheduler = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Scheduler => {
  const base = fiber.getFiberRef(FiberRef.currentScheduler)
  return base instanceof InlineScheduler ? base : new InlineScheduler(base)
}
