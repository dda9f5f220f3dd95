/**
 * The handlers of a server: one fiber and one scope a connection, started within the accept callback.
 * Counts what runs, holds back what is over the limit, closes each connection after its handler without a fiber waiting for it,
 * and drains: wait, then interrupt and reset, then see all of it released.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import { isNetError } from "../NetError.ts"
import type { Status } from "../Server.ts"
import type { Bound } from "./bind.ts"
import type { ConnectionImpl } from "./connection.ts"
import { type Deadlines, Entry } from "./deadlines.ts"
import { LazyScope } from "./lazyScope.ts"
import { LiveSet, type Member } from "./liveSet.ts"
import { inlineScheduler } from "./turn.ts"

/** One connection from the start of its handler until its descriptor is released. */
class Session extends Entry implements Member {
  readonly connection: ConnectionImpl
  readonly scope = new LazyScope()
  slot = -1
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined

  constructor(connection: ConnectionImpl) {
    super()
    this.connection = connection
  }

  /** Its close took longer than `closeTimeout`. */
  expire(): void {
    this.connection.unsafeReset()
  }
}

export class Handlers {
  readonly #handle: (session: Session) => Fiber.RuntimeFiber<unknown, unknown>
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  readonly #concurrency: number
  readonly #closing: Deadlines | undefined
  readonly #sessions = new LiveSet<Session>()
  #waiting: Array<ConnectionImpl> = []
  #active = 0
  #accepted = 0
  #draining = false
  #bound: Bound | undefined
  #onIdle: (() => void) | undefined

  static make<E, R>(
    handler: (connection: Connection) => Effect.Effect<unknown, E, R>,
    concurrency: number,
    closing: Deadlines | undefined
  ): Effect.Effect<Handlers, never, Exclude<R, Scope.Scope>> {
    return Effect.withFiberRuntime((fiber) =>
      Effect.map(Effect.runtime<Exclude<R, Scope.Scope>>(), (runtime) => {
        const options = { scheduler: inlineScheduler(fiber as Fiber.RuntimeFiber<unknown, unknown>) }
        return new Handlers(
          // The scope goes into the context that the fiber starts with: to provide it to the effect would cost more than the fiber.
          ({ connection, scope }) =>
            Runtime.runFork(
              Runtime.make({
                ...runtime,
                context: Context.add(runtime.context, Scope.Scope, scope)
              }) as Runtime.Runtime<R>,
              Effect.suspend(() => handler(connection)),
              options
            ),
          Runtime.runFork(runtime),
          concurrency,
          closing
        )
      })
    )
  }

  private constructor(
    handle: (session: Session) => Fiber.RuntimeFiber<unknown, unknown>,
    fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>,
    concurrency: number,
    closing: Deadlines | undefined
  ) {
    this.#handle = handle
    this.#fork = fork
    this.#concurrency = concurrency
    this.#closing = closing
  }

  readonly status: Effect.Effect<Status> = Effect.sync(() => ({
    active: this.#active,
    waiting: this.#waiting.length,
    closing: this.#sessions.size - this.#active,
    accepted: this.#accepted
  }))

  offer(connection: ConnectionImpl, bound: Bound): void {
    this.#bound = bound
    this.#accepted++
    if (this.#draining) connection.unsafeReset()
    else if (this.#active < this.#concurrency) this.#start(connection)
    else if (this.#waiting.length < bound.backlog) this.#waiting.push(connection)
    else connection.unsafeReset()
    if (this.#active >= this.#concurrency) bound.handle.pause()
  }

  /** Lets the handlers end by themselves, at most so long; what is left is interrupted and reset. */
  drain(timeout: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#draining = true
      for (const connection of this.#waiting) connection.unsafeReset()
      this.#waiting = []
      return Effect.zipRight(
        Effect.raceFirst(
          Effect.interruptible(this.#idle),
          Effect.interruptible(Effect.sleep(timeout)).pipe(Effect.tap(() => this.#cutOff()))
        ),
        this.#idle
      )
    })
  }

  #cutOff(): void {
    for (const { connection, fiber } of this.#sessions) {
      fiber?.unsafeInterruptAsFork(FiberId.none)
      connection.unsafeReset()
    }
  }

  /** Completes when no handler runs and every connection is released. */
  readonly #idle: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#sessions.size === 0) return resume(Effect.void)
    this.#onIdle = () => resume(Effect.void)
  })

  #start(connection: ConnectionImpl): void {
    const session = new Session(connection)
    this.#sessions.add(session)
    this.#active++
    const fiber = this.#handle(session)
    session.fiber = fiber
    fiber.addObserver((exit) => this.#ended(session, exit))
  }

  #ended(session: Session, exit: Exit.Exit<unknown, unknown>): void {
    const { connection, scope } = session
    session.fiber = undefined
    if (exit._tag === "Failure") this.#report(connection, exit.cause)
    if (!scope.used) return this.#close(session)
    this.#fork(scope.close(exit)).addObserver((closed) => {
      if (closed._tag === "Failure") this.#report(connection, closed.cause)
      this.#close(session)
    })
  }

  #close(session: Session): void {
    const { connection } = session
    this.#active--
    connection.unsafeClose()
    if (connection.released) this.#forget(session)
    else {
      this.#closing?.arm(session)
      connection.onReleased = () => this.#forget(session)
    }
    this.#startNext()
  }

  #startNext(): void {
    let next = this.#waiting.shift()
    // Who has come and gone while it waited needs no handler.
    while (next?.released) next = this.#waiting.shift()
    if (next !== undefined) this.#start(next)
    else if (!this.#draining && this.#active < this.#concurrency) this.#bound?.handle.resume()
  }

  #forget(session: Session): void {
    this.#closing?.disarm(session)
    this.#sessions.delete(session)
    if (this.#sessions.size === 0) this.#onIdle?.()
  }

  #report(connection: ConnectionImpl, cause: Cause.Cause<unknown>): void {
    if (Cause.isInterruptedOnly(cause)) return
    const failure = Cause.failureOption(cause)
    const log = failure._tag === "Some" && isNetError(failure.value) ? Effect.logDebug : Effect.logError
    this.#fork(
      Effect.annotateLogs(log("connection handler failed", cause), "remoteAddress", String(connection.remoteAddress))
    )
  }
}
