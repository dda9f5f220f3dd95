/**
 * What a pool has: fibers that open and close what the state machine asks for, each opening and each item in a scope of its own, and the drain.
 * A close is waited for whatever it takes; an opening that takes too long is interrupted.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import type { Framed } from "../Framed.ts"
import { PoolTimeout } from "../NetError.ts"
import type { SocketAddress } from "../SocketAddress.ts"
import { type Deadlines, Entry } from "./deadlines.ts"
import { heard } from "./heard.ts"
import { LazyScope } from "./lazyScope.ts"
import type { Watched } from "./poolItem.ts"
import { type Host, type Limits, PoolState, type Timers } from "./poolState.ts"
import { watchedIn } from "./poolWatch.ts"

/** How a pool comes by what it lends, checked. */
export interface Supply<A, E, R> {
  readonly acquire: Effect.Effect<A, E, R | Scope.Scope>
  readonly runtime: Runtime.Runtime<R>
  readonly limits: Limits
  readonly timers: Timers
  readonly opening: Deadlines | undefined
  readonly openTimeout: Duration.Duration
  readonly connection: ((item: A) => Connection | Framed<unknown, never>) | undefined
  readonly address: SocketAddress | undefined
  /** Nothing is open, opening, closing or waited for. */
  readonly onEmpty: () => void
}

/** Something lent, and the scope that it was opened in. */
export interface Content<A> {
  readonly value: A
  readonly scope: LazyScope
}

/** Why nothing could be opened. */
export type Failure<E> = Cause.Cause<E | PoolTimeout>

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

export class Stock<A, E, R> implements Host<Content<A>, Failure<E>> {
  readonly state: PoolState<Content<A>, Failure<E>>
  /** How many are being closed. */
  closing = 0
  readonly #supply: Supply<A, E, R>
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  readonly #attempts = new Set<Attempt<{ readonly value: A; readonly watched: Watched | undefined }, E>>()
  #resting: Fiber.RuntimeFiber<void> | undefined
  #drained: (() => void) | undefined

  constructor(supply: Supply<A, E, R>) {
    this.#supply = supply
    this.#fork = Runtime.runFork(supply.runtime)
    this.state = new PoolState(this, supply.limits, supply.timers)
  }

  /** What an error of the pool tells of it. */
  get load() {
    const { borrowed, opening, waiting } = this.state
    return { operation: "acquire", address: this.#supply.address, borrowed, opening, waiting } as const
  }

  late(timeout: Duration.Duration): PoolTimeout {
    return new PoolTimeout({ ...this.load, timeout })
  }

  open(): void {
    const { acquire, connection, openTimeout, opening, runtime } = this.#supply
    const scope = new LazyScope()
    const context = Context.add(runtime.context, Scope.Scope, scope)
    const attempt = new Attempt(Runtime.runFork(
      Runtime.make({ ...runtime, context }),
      heard(Effect.map(acquire, (value) => ({ value, watched: watchedIn(value, connection) })))
    ))
    this.#attempts.add(attempt)
    opening?.arm(attempt)
    attempt.fiber.addObserver((exit) => {
      this.#attempts.delete(attempt)
      opening?.disarm(attempt)
      if (exit._tag === "Success") return this.state.opened({ value: exit.value.value, scope }, exit.value.watched)
      this.#close(scope, exit)
      this.state.failedToOpen(attempt.late ? Cause.fail(this.late(openTimeout)) : exit.cause)
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
    if (this.closing > 0 || !this.state.empty) return
    this.#drained?.()
    this.#supply.onEmpty()
  }

  #close(scope: LazyScope, exit: Exit.Exit<unknown, unknown>): void {
    this.closing++
    this.#fork(heard(scope.close(exit))).addObserver((closed) => {
      this.closing--
      if (closed._tag === "Failure") {
        this.#fork(Effect.logWarning("connection pool: closing a connection failed", closed.cause))
      }
      this.onEmpty()
    })
  }

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
    if (this.state.empty && this.closing === 0) return resume(Effect.void)
    this.#drained = () => resume(Effect.void)
  })
}
