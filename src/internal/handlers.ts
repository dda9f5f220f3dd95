/**
 * The handlers of a server: one fiber and one scope a connection, started within the accept callback.
 * Counts what runs, holds back what is over the limit, and closes each connection after its handler without a fiber waiting for it.
 * In a drain it tells those who wait for another message that none will be served, and at the end cuts off whoever is left.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import { isNetError } from "../NetError.ts"
import type { Status } from "../Server.ts"
import type { Transport } from "../Transport.ts"
import type { Binding } from "./bind.ts"
import type { ConnectionImpl } from "./connection.ts"
import type { Deadlines } from "./deadlines.ts"
import { Draining } from "./draining.ts"
import { LiveSet } from "./liveSet.ts"
import { Session } from "./session.ts"
import { inlineScheduler } from "./turn.ts"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What became of the connections of a drain. */
export interface Drained {
  readonly finished: number
  readonly closedIdle: number
  readonly cutOff: number
}

export class Handlers {
  readonly fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  /** Who may accept: they pause while nobody more can be served. */
  bindings: ReadonlyArray<Binding> = []
  readonly #handle: (session: Session) => AnyFiber
  readonly #draining: Deferred.Deferred<void>
  readonly #concurrency: number
  readonly #closing: Deadlines | undefined
  readonly #sessions = new LiveSet<Session>()
  #waiting: Array<ConnectionImpl> = []
  #active = 0
  #accepted = 0
  #stopped = false
  #cutOff = 0
  #closedIdle = 0
  #onEmpty: (() => void) | undefined

  static make<E, R>(
    handler: (connection: Connection) => Effect.Effect<unknown, E, R>,
    concurrency: number,
    closing: Deadlines | undefined
  ): Effect.Effect<Handlers, never, Exclude<R, Scope.Scope>> {
    return Effect.withFiberRuntime((fiber) =>
      Effect.map(Effect.runtime<Exclude<R, Scope.Scope>>(), (runtime) => {
        const options = { scheduler: inlineScheduler(fiber as AnyFiber) }
        const draining = Deferred.unsafeMake<void>(FiberId.none)
        // A server that a handler starts does not belong to the Layers that this one was built with.
        const context = Context.omit(Layer.CurrentMemoMap)(
          Context.add(runtime.context, Draining, Deferred.await(draining))
        ) as typeof runtime.context
        return new Handlers(
          // The scope goes into the context that the fiber starts with: to provide it to the effect would cost more than the fiber.
          ({ connection, scope }) =>
            Runtime.runFork(
              Runtime.make({ ...runtime, context: Context.add(context, Scope.Scope, scope) }) as Runtime.Runtime<R>,
              Effect.suspend(() => handler(connection)),
              options
            ),
          Runtime.runFork(runtime),
          draining,
          concurrency,
          closing
        )
      })
    )
  }

  private constructor(
    handle: (session: Session) => AnyFiber,
    fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>,
    draining: Deferred.Deferred<void>,
    concurrency: number,
    closing: Deadlines | undefined
  ) {
    this.#handle = handle
    this.fork = fork
    this.#draining = draining
    this.#concurrency = concurrency
    this.#closing = closing
  }

  get status(): Status {
    return {
      active: this.#active,
      waiting: this.#waiting.length,
      closing: this.#sessions.size - this.#active,
      accepted: this.#accepted
    }
  }

  offer(connection: ConnectionImpl, { backlog }: Binding): void {
    this.#accepted++
    if (this.#stopped) connection.unsafeReset()
    else if (this.#active < this.#concurrency) this.#start(connection)
    else if (this.#waiting.length < backlog) this.#waiting.push(connection)
    else connection.unsafeReset()
    if (this.#active >= this.#concurrency) { for (const binding of this.bindings) binding.pause() }
  }

  /** Lets those accept who may. */
  regulate(): void {
    if (this.#stopped || this.#active >= this.#concurrency) return
    for (const binding of this.bindings) binding.resume()
  }

  // --- the drain ---

  /** Takes nobody any more and tells the handlers; those who wait for another message leave once what has come is served. */
  stop(transport: Transport): void {
    this.#stopped = true
    for (const connection of this.#waiting) connection.unsafeReset()
    this.#waiting = []
    Deferred.unsafeDone(this.#draining, Effect.void)
    transport.afterPoll(() => {
      for (const session of this.#sessions) session.dismissed = session.connection.unsafeRetire()
    })
  }

  /** Interrupts and resets what is left. */
  cutOff(): void {
    for (const session of this.#sessions) {
      this.#cutOff++
      session.dismissed = false
      session.cutOff()
    }
  }

  /** Completes when no handler runs and every connection is released. */
  readonly empty: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#sessions.size === 0) return resume(Effect.void)
    this.#onEmpty = () => resume(Effect.void)
  })

  /** Of so many connections that were there. */
  drained(served: number): Drained {
    return {
      finished: served - this.#closedIdle - this.#cutOff,
      closedIdle: this.#closedIdle,
      cutOff: this.#cutOff
    }
  }

  // --- a connection ---

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
    this.fork(scope.close(exit)).addObserver((closed) => {
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
      // A last reply has as long as the drain has.
      if (!this.#stopped || connection.unsent === 0) this.#closing?.arm(session)
      connection.onReleased = () => this.#forget(session)
    }
    this.#startNext()
  }

  #startNext(): void {
    let next = this.#waiting.shift()
    // Who has come and gone while it waited needs no handler.
    while (next?.released) next = this.#waiting.shift()
    if (next !== undefined) this.#start(next)
    else this.regulate()
  }

  #forget(session: Session): void {
    this.#closing?.disarm(session)
    this.#sessions.delete(session)
    if (session.dismissed) this.#closedIdle++
    if (this.#sessions.size === 0) this.#onEmpty?.()
  }

  #report(connection: ConnectionImpl, cause: Cause.Cause<unknown>): void {
    if (Cause.isInterruptedOnly(cause)) return
    const failure = Cause.failureOption(cause)
    const log = failure._tag === "Some" && isNetError(failure.value) ? Effect.logDebug : Effect.logError
    this.fork(
      Effect.annotateLogs(log("connection handler failed", cause), "remoteAddress", String(connection.remoteAddress))
    )
  }
}
