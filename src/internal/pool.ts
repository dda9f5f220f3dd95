/**
 * The state machine of a pool bound to Effect: fibers that open and close, clocks, waiting, health checks, and the drain.
 * An acquire runs uninterruptible but for its waits, and what it was given is taken from its waiter after them: whatever
 * interrupts it, the item is either the borrower's or back in the pool.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import type { ConnectionPool, DiscardReason, Status } from "../ConnectionPool.ts"
import type { Framed } from "../Framed.ts"
import { type AcquireError, PoolClosed, PoolExhausted, PoolTimeout } from "../NetError.ts"
import type { SocketAddress } from "../SocketAddress.ts"
import { type Deadlines, Entry } from "./deadlines.ts"
import { LazyScope } from "./lazyScope.ts"
import type { Item, Waiter, Watched } from "./poolItem.ts"
import { type Host, type Limits, PoolState, type Timers } from "./poolState.ts"
import { watchedIn } from "./poolWatch.ts"

/**
 * Marks every pool.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/ConnectionPool")

/** @category symbols */
export type TypeId = typeof TypeId

/** What a pool is made from, checked. */
export interface Setup<A, E, R> {
  readonly acquire: Effect.Effect<A, E, R | Scope.Scope>
  readonly runtime: Runtime.Runtime<R>
  readonly limits: Limits
  readonly timers: Timers
  readonly opening: Deadlines | undefined
  readonly acquireTimeout: Duration.Duration
  readonly openTimeout: Duration.Duration
  readonly healthCheck: ((item: A) => Effect.Effect<unknown, unknown, R>) | undefined
  readonly invalidateOn: (error: unknown) => boolean
  readonly connection: ((item: A) => Connection | Framed<unknown, never>) | undefined
  readonly address: SocketAddress | undefined
  /** Nothing is open, opening, closing or waited for. */
  readonly onEmpty: () => void
}

/** Something lent, and the scope that it was opened in. */
interface Content<A> {
  readonly value: A
  readonly scope: LazyScope
}

/** One opening that is under way. */
class Attempt<A, E> extends Entry {
  late = false
  readonly fiber: Fiber.RuntimeFiber<A, E>

  constructor(fiber: Fiber.RuntimeFiber<A, E>) {
    super()
    this.fiber = fiber
  }

  /** It took longer than `openTimeout`. */
  expire(): void {
    this.late = true
    this.fiber.unsafeInterruptAsFork(FiberId.none)
  }
}

type Lent<A> = Item<Content<A>>
type Failure<E> = Cause.Cause<E | PoolTimeout>
type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export class PoolImpl<A, E, R> implements ConnectionPool<A, E>, Host<Content<A>, Failure<E>> {
  readonly [TypeId]: TypeId = TypeId
  readonly state: PoolState<Content<A>, Failure<E>>
  readonly #setup: Setup<A, E, R>
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  readonly #attempts = new Set<Attempt<{ readonly value: A; readonly watched: Watched | undefined }, E>>()
  #resting: Fiber.RuntimeFiber<void> | undefined
  #closing = 0
  #drained: (() => void) | undefined

  constructor(setup: Setup<A, E, R>) {
    this.#setup = setup
    this.#fork = Runtime.runFork(setup.runtime)
    this.state = new PoolState(this, setup.limits, setup.timers)
  }

  readonly get: ConnectionPool<A, E>["get"] = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => this.lendTo(restore))
  )

  readonly use: ConnectionPool<A, E>["use"] = (f) =>
    Effect.uninterruptibleMask((restore) => Effect.suspend(() => this.lend(restore, f)))

  readonly invalidate: ConnectionPool<A, E>["invalidate"] = (item) => Effect.sync(() => this.unsafeInvalidate(item))

  readonly status: Effect.Effect<Status> = Effect.sync(() => ({
    idle: this.state.idle,
    borrowed: this.state.borrowed,
    waiting: this.state.waiting,
    opening: this.state.opening,
    closing: this.#closing,
    created: this.state.created,
    failed: this.state.failed,
    discarded: { ...this.state.discarded }
  }))

  // --- borrowing ---

  lend<B, E2, R2>(
    restore: Restore,
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<B, E | AcquireError | E2, R2> {
    return Effect.flatMap(
      this.acquire(restore),
      (item) =>
        Effect.matchCauseEffect(restore(Effect.suspend(() => f(item.content.value))), {
          onFailure: (cause) => {
            const exit = Exit.failCause(cause)
            this.#release(item, exit)
            return exit
          },
          onSuccess: (result) => {
            this.state.release(item, undefined)
            return Exit.succeed(result)
          }
        })
    )
  }

  /** Lends to the present scope. */
  lendTo(restore: Restore): Effect.Effect<A, E | AcquireError, Scope.Scope> {
    return Effect.flatMap(this.acquire(restore), (item) =>
      Effect.flatMap(Effect.scope, (scope) =>
        Effect.as(
          Scope.addFinalizerExit(scope, (exit) => Effect.sync(() => this.#release(item, exit))),
          item.content.value
        )))
  }

  unsafeInvalidate(item: A): void {
    this.state.retireAll("invalidated", ({ value }) => value === item)
  }

  /** Takes an item or a place in the row at once, when called; the effect is to be run without interruption. */
  acquire(restore: Restore): Effect.Effect<Lent<A>, E | AcquireError> {
    const { state } = this
    if (state.closed) return this.#isClosed()
    const item = state.take()
    if (item !== undefined && !this.#toCheck(item)) return this.#lent(item)
    const waiter = state.begin()
    const acquiring = item !== undefined
      ? this.#check(restore, waiter, item)
      : state.wait(waiter)
      ? this.#wait(restore, waiter)
      : this.#isExhausted()
    return Effect.matchCauseEffect(acquiring, {
      onFailure: (cause) => {
        state.forget(waiter)
        return Exit.failCause(cause)
      },
      onSuccess: (item) => {
        state.forget(waiter)
        return this.#lent(item)
      }
    })
  }

  #lent(item: Lent<A>): Exit.Exit<Lent<A>> {
    item.used = true
    return Exit.succeed(item)
  }

  /** What has just been opened needs no check. */
  #toCheck(item: Lent<A>): boolean {
    return this.#setup.healthCheck !== undefined && item.used
  }

  #wait(restore: Restore, waiter: Waiter<Content<A>, Failure<E>>): Effect.Effect<Lent<A>, E | AcquireError> {
    const go = Effect.suspend(() => this.#given(restore, waiter))
    return isSettled(waiter) ? go : Effect.zipRight(restore(settled(waiter)), go)
  }

  #given(restore: Restore, waiter: Waiter<Content<A>, Failure<E>>): Effect.Effect<Lent<A>, E | AcquireError> {
    const { failure, item, refusal } = waiter
    if (failure !== undefined) return Exit.failCause(failure)
    if (refusal === "timeout") return Exit.fail(this.#late(this.#setup.acquireTimeout))
    if (item === undefined) return this.#isClosed()
    waiter.item = undefined
    const fault = this.state.faultOf(item)
    return fault === undefined ? this.#check(restore, waiter, item) : this.#replace(restore, waiter, item, fault)
  }

  #replace(
    restore: Restore,
    waiter: Waiter<Content<A>, Failure<E>>,
    bad: Lent<A>,
    reason: DiscardReason
  ): Effect.Effect<Lent<A>, E | AcquireError> {
    if (waiter.refusal === "timeout" || this.state.closed) {
      this.state.release(bad, reason)
      return this.#given(restore, waiter)
    }
    const item = this.state.replace(waiter, bad, reason)
    return item === undefined ? this.#wait(restore, waiter) : this.#check(restore, waiter, item)
  }

  #check(
    restore: Restore,
    waiter: Waiter<Content<A>, Failure<E>>,
    item: Lent<A>
  ): Effect.Effect<Lent<A>, E | AcquireError> {
    if (!this.#toCheck(item)) return Exit.succeed(item)
    const { healthCheck, runtime } = this.#setup
    const check = Effect.suspend(() => Effect.provide(healthCheck!(item.content.value), runtime.context)).pipe(
      Effect.match({ onFailure: () => false, onSuccess: (healthy) => healthy !== false })
    )
    const inTime = Effect.raceFirst(
      Effect.interruptible(check),
      Effect.interruptible(Effect.as(settled(waiter), false))
    )
    return Effect.matchCauseEffect(restore(inTime), {
      onFailure: (cause) => {
        this.state.release(item, Cause.isInterrupted(cause) ? "interrupted" : "unhealthy")
        return Exit.failCause(cause)
      },
      onSuccess: (healthy) => {
        const reason = this.state.closed ? "drained" : healthy ? this.state.faultOf(item) : "unhealthy"
        return reason === undefined ? Exit.succeed(item) : this.#replace(restore, waiter, item, reason)
      }
    })
  }

  /** It goes back only if the use ended well, or in an error that is not the connection's. */
  #release(item: Lent<A>, exit: Exit.Exit<unknown, unknown>): void {
    // An `invalidateOn` that throws must not keep the item.
    let reason: DiscardReason | undefined = "failed"
    try {
      reason = Exit.isSuccess(exit) ? undefined : this.#verdict(exit.cause)
    } finally {
      this.state.release(item, reason)
    }
  }

  #verdict(cause: Cause.Cause<unknown>): DiscardReason | undefined {
    if (Cause.isInterrupted(cause)) return "interrupted"
    if (Cause.isDie(cause)) return "failed"
    return Chunk.some(Cause.failures(cause), this.#setup.invalidateOn) ? "failed" : undefined
  }

  // --- why there is none ---

  #late(timeout: Duration.Duration): PoolTimeout {
    return new PoolTimeout({ ...this.#load, timeout })
  }

  #isExhausted(): Effect.Effect<never, PoolExhausted> {
    return Exit.fail(new PoolExhausted({ ...this.#load, limit: this.#setup.limits.maxPending }))
  }

  #isClosed(): Effect.Effect<never, PoolClosed> {
    return Exit.fail(new PoolClosed({ operation: "acquire", address: this.#setup.address }))
  }

  get #load() {
    const { borrowed, opening, waiting } = this.state
    return { operation: "acquire", address: this.#setup.address, borrowed, opening, waiting } as const
  }

  // --- what the state machine has done for it ---

  open(): void {
    const { acquire, connection, openTimeout, opening, runtime } = this.#setup
    const scope = new LazyScope()
    const context = Context.add(runtime.context, Scope.Scope, scope)
    const attempt = new Attempt(Runtime.runFork(
      Runtime.make({ ...runtime, context }),
      Effect.map(acquire, (value) => ({ value, watched: watchedIn(value, connection) }))
    ))
    this.#attempts.add(attempt)
    opening?.arm(attempt)
    attempt.fiber.addObserver((exit) => {
      this.#attempts.delete(attempt)
      opening?.disarm(attempt)
      if (exit._tag === "Success") return this.state.opened({ value: exit.value.value, scope }, exit.value.watched)
      this.#close(scope, exit)
      this.state.failedToOpen(attempt.late ? Cause.fail(this.#late(openTimeout)) : exit.cause)
    })
  }

  close({ scope }: Content<A>): void {
    this.#close(scope, Exit.void)
  }

  failedUnheard(cause: Failure<E>): void {
    this.#fork(Effect.logWarning("connection pool: opening a connection failed", cause))
  }

  rest(failures: number, callback: () => void): void {
    const millis = Math.min(30_000, 100 * 2 ** Math.min(failures - 1, 20))
    this.#resting = this.#fork(
      Effect.flatMap(Random.nextRange(millis / 2, millis), Effect.sleep).pipe(Effect.andThen(callback))
    )
  }

  onEmpty(): void {
    if (this.#closing > 0 || !this.state.empty) return
    this.#drained?.()
    this.#setup.onEmpty()
  }

  #close(scope: LazyScope, exit: Exit.Exit<unknown, unknown>): void {
    this.#closing++
    this.#fork(scope.close(exit)).addObserver((closed) => {
      this.#closing--
      if (closed._tag === "Failure") {
        this.#fork(Effect.logWarning("connection pool: closing a connection failed", closed.cause))
      }
      this.onEmpty()
    })
  }

  // --- the end ---

  /** Waits for what is lent, at most so long; then takes it away, and sees everything closed. */
  drain(timeout: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.state.close()
      this.#resting?.unsafeInterruptAsFork(FiberId.none)
      for (const { fiber } of this.#attempts) fiber.unsafeInterruptAsFork(FiberId.none)
      return Effect.zipRight(
        Effect.raceFirst(
          Effect.interruptible(this.#empty),
          Effect.interruptible(Effect.sleep(timeout)).pipe(Effect.tap(() => this.state.cutOff()))
        ),
        this.#empty
      )
    })
  }

  readonly #empty: Effect.Effect<void> = Effect.async((resume) => {
    if (this.state.empty && this.#closing === 0) return resume(Effect.void)
    this.#drained = () => resume(Effect.void)
  })
}

const isSettled = <A, F>(waiter: Waiter<A, F>): boolean =>
  waiter.item !== undefined || waiter.failure !== undefined || waiter.refusal !== undefined

const settled = <A, F>(waiter: Waiter<A, F>): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (isSettled(waiter)) return resume(Effect.void)
    waiter.settle = () => resume(Effect.void)
  })
