/**
 * How the core enters fibers from a runtime's callback: a fiber that waits for I/O goes on within the callback, not a microtask later.
 * Bounded: one fiber a callback, until it suspends or yields; all else, forks of its own included, goes to the scheduler it came with.
 * `turn` counts the callbacks, so that writes of one turn of the event loop can leave together.
 */
import type * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import { defaultScheduler, type Scheduler } from "effect/Scheduler"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The fiber that runs just now. */
export const currentFiber = (): AnyFiber | undefined => Option.getOrUndefined(Fiber.getCurrentFiber())

/** Whether who waits on that fiber still does: a fiber that has ended without being woken waits for nothing. */
export const isAlive = ({ fiber }: { readonly fiber: AnyFiber | undefined }): boolean =>
  fiber !== undefined && fiber.unsafePoll() === null

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

const overDefault = new InlineScheduler(defaultScheduler)

/**
 * As `wake`, and at once also if the fiber runs on Effect's default scheduler: it has the inline one until it suspends. Who has chosen a
 * scheduler keeps it, and what the fiber forks goes by its references.
 */
export const wakeFiber = <A, E>(
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined,
  resume: Resume<A, E>,
  effect: Effect.Effect<A, E>
): void => {
  if (inside || fiber === undefined || fiber.currentScheduler !== defaultScheduler) return wake(resume, effect)
  const lent = fiber as { currentScheduler: Scheduler }
  lent.currentScheduler = overDefault
  try {
    wake(resume, effect)
  } finally {
    // Another one now, if the fiber has chosen it meanwhile.
    if (lent.currentScheduler === overDefault) lent.currentScheduler = defaultScheduler
  }
}

/** The scheduler for fibers that serve connections, over the one that the given fiber runs on. */
export const inlineScheduler = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Scheduler => {
  const base = fiber.getFiberRef(FiberRef.currentScheduler)
  return base instanceof InlineScheduler ? base : new InlineScheduler(base)
}
