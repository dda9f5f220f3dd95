/**
 * Borrowing from a pool: its state machine bound to Effect, with what may be waited for, health checks, and what a use makes of an item.
 * An acquire runs uninterruptible but for its waits, and what it was given is taken from its waiter after them: whatever
 * interrupts it, the item is either the borrower's or back in the pool.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { ConnectionPool, DiscardReason, Status } from "../ConnectionPool.ts"
import { type AcquireError, PoolClosed, PoolExhausted } from "../NetError.ts"
import type { Item, Waiter } from "./poolItem.ts"
import type { PoolState } from "./poolState.ts"
import { type Content, type Failure, Stock, type Supply } from "./poolStock.ts"

/**
 * Marks every pool.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/ConnectionPool")

/** @category symbols */
export type TypeId = typeof TypeId

/** What a pool is made from, checked. */
export interface Setup<A, E, R> extends Supply<A, E, R> {
  readonly acquireTimeout: Duration.Duration
  readonly healthCheck: ((item: A) => Effect.Effect<unknown, unknown, R>) | undefined
  /** `wrote`: the use has sent something, or may have. */
  readonly spoils: (error: unknown, wrote: boolean) => boolean
}

type Lent<A> = Item<Content<A>>
type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export class PoolImpl<A, E, R> implements ConnectionPool<A, E> {
  readonly [TypeId]: TypeId = TypeId
  readonly state: PoolState<Content<A>, Failure<E>>
  readonly #setup: Setup<A, E, R>
  readonly #stock: Stock<A, E, R>

  constructor(setup: Setup<A, E, R>) {
    this.#setup = setup
    this.#stock = new Stock(setup)
    this.state = this.#stock.state
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
    closing: this.#stock.closing,
    created: this.state.created,
    failed: this.state.failed,
    discarded: { ...this.state.discarded }
  }))

  /** Waits for what is lent, at most so long; then takes it away, and sees everything closed. */
  drain(timeout: Duration.Duration): Effect.Effect<void> {
    return this.#stock.drain(timeout)
  }

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
    item.written = item.watched?.written()
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
    if (refusal === "timeout") return Exit.fail(this.#stock.late(this.#setup.acquireTimeout))
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
      reason = Exit.isSuccess(exit) ? undefined : this.#verdict(item, exit.cause)
    } finally {
      this.state.release(item, reason)
    }
  }

  #verdict(item: Lent<A>, cause: Cause.Cause<unknown>): DiscardReason | undefined {
    if (Cause.isInterrupted(cause)) return "interrupted"
    if (Cause.isDie(cause)) return "failed"
    const wrote = item.written === undefined || item.written !== item.watched?.written()
    return Chunk.some(Cause.failures(cause), (error) => this.#setup.spoils(error, wrote)) ? "failed" : undefined
  }

  // --- why there is none ---

  #isExhausted(): Effect.Effect<never, PoolExhausted> {
    return Exit.fail(new PoolExhausted({ ...this.#stock.load, limit: this.#setup.limits.maxPending }))
  }

  #isClosed(): Effect.Effect<never, PoolClosed> {
    return Exit.fail(new PoolClosed({ operation: "acquire", address: this.#setup.address }))
  }
}

const isSettled = <A, F>(waiter: Waiter<A, F>): boolean =>
  waiter.item !== undefined || waiter.failure !== undefined || waiter.refusal !== undefined

const settled = <A, F>(waiter: Waiter<A, F>): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (isSettled(waiter)) return resume(Effect.void)
    waiter.settle = () => resume(Effect.void)
  })
