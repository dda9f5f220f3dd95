/**
 * The handlers of a server: one fiber and one scope a connection, started within the accept callback.
 * Closes each connection after its handler without a fiber waiting for it, and ends those whose time is up.
 * In a drain it tells those who wait for another message that none will be served, and at the end cuts off whoever is left.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import type { ReadError } from "../NetError.ts"
import type { ServerStatus } from "../Server.ts"
import type { Transport } from "../Transport.ts"
import type { Deadlines } from "./deadlines.ts"
import { Draining } from "./draining.ts"
import { Heard, heard } from "./heard.ts"
import { LiveSet } from "./liveSet.ts"
import type { Enforcer, Patience } from "./patience.ts"
import { scopedFork } from "./scopedFork.ts"
import type { EndReason, Session, Timekeeper } from "./session.ts"
import { currentFiber, inlineScheduler } from "./turn.ts"
import type { Watch } from "./watch.ts"

/** What a server keeps time with. */
export interface ServerTime {
  readonly transport: Transport
  readonly patience: Patience
  /** Looks at what may be overdue; none where nothing ever is. */
  readonly watch: Watch | undefined
  /** Closes that take too long. */
  readonly closing: Deadlines | undefined
}

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

export class Handlers implements Timekeeper, Enforcer {
  readonly fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  /** Those that are served, or closed after that. */
  readonly sessions = new LiveSet<Session>()
  /** Called when there is one connection more or less. */
  onCount: (() => void) | undefined = undefined
  /** Called when one is served and closed. */
  onLeft: (session: Session) => void = () => {}
  readonly #handle: (session: Session) => AnyFiber
  readonly #clock: Clock.Clock
  readonly #draining: Deferred.Deferred<void>
  readonly #time: ServerTime
  readonly #ends: Record<EndReason, number> = {
    completed: 0,
    failed: 0,
    connectionError: 0,
    interrupted: 0,
    draining: 0,
    cutOff: 0,
    firstByteTimeout: 0,
    idleTimeout: 0,
    readTimeout: 0,
    writeTimeout: 0,
    throughputTooLow: 0,
    expired: 0,
    rateLimited: 0
  }
  #active = 0
  #stopped = false
  #closedIdle = 0
  #onEmpty: (() => void) | undefined

  static make<E, R>(
    handler: Handler<E, R>,
    time: ServerTime
  ): Effect.Effect<Handlers, never, Exclude<R, Scope.Scope>> {
    return Effect.withFiberRuntime((fiber) =>
      Effect.zipWith(Effect.runtime<Exclude<R, Scope.Scope>>(), Effect.clock, (runtime, clock) => {
        const draining = Deferred.unsafeMake<void>(FiberId.none)
        // A server that a handler starts does not belong to the Layers that this one was built with.
        const context = Context.omit(Layer.CurrentMemoMap)(
          Context.add(runtime.context, Draining, Deferred.await(draining))
        ) as typeof runtime.context
        const start = scopedFork(Runtime.make({ ...runtime, context }), inlineScheduler(fiber as AnyFiber))
        return new Handlers(
          (session) => start(new Handling(session, handler).effect, session.scope),
          Runtime.runFork(runtime),
          clock,
          draining,
          time
        )
      })
    )
  }

  private constructor(
    handle: (session: Session) => AnyFiber,
    fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>,
    clock: Clock.Clock,
    draining: Deferred.Deferred<void>,
    time: ServerTime
  ) {
    this.fork = fork
    this.#handle = handle
    this.#clock = clock
    this.#draining = draining
    this.#time = time
  }

  get count(): number {
    return this.sessions.size
  }

  get status(): Pick<ServerStatus, "active" | "closing" | "ended"> {
    return { active: this.#active, closing: this.count - this.#active, ended: { ...this.#ends } }
  }

  /** Brings the bytes of all over to the metrics. Whether there were any. */
  countTraffic(): boolean {
    let moved = false
    for (const session of this.sessions) moved = session.countTraffic() || moved
    return moved
  }

  // --- time limits ---

  look(session: Session, now: number): number {
    return this.#time.patience.look(session, now, this)
  }

  /** Tells the handler that time is up, by this error of a read or a write; `closeTimeout` later the connection is cut off. */
  strike(session: Session, reason: EndReason, error: ReadError): void {
    this.#announce(session, reason, error)
    this.#time.closing?.arm(session)
    session.connection.unsafeFail(error)
  }

  /** Ends the session after what has come. */
  retire(session: Session, reason: EndReason, error: ReadError): void {
    this.#announce(session, reason, error)
    this.#time.transport.afterPoll(() => void session.connection.unsafeRetire(error))
  }

  #announce(session: Session, reason: EndReason, error: ReadError): void {
    session.ending = reason
    session.error = error
    this.fork(Effect.annotateLogs(Effect.logDebug(error.message), {
      reason,
      remoteAddress: String(session.connection.remoteAddress)
    }))
  }

  // --- the drain ---

  /** Tells the handlers; those who wait for another message leave once what has come is served. */
  stop(): void {
    this.#stopped = true
    Deferred.unsafeDone(this.#draining, Effect.void)
    this.#time.transport.afterPoll(() => {
      for (const session of this.sessions) {
        if (session.state !== "active" || session.error !== undefined || !session.connection.unsafeRetire()) continue
        session.dismissed = true
        this.#closedIdle++
      }
    })
  }

  /** Interrupts and resets what is left. How many that was. */
  cutOff(): number {
    const left = [...this.sessions]
    for (const session of left) {
      if (session.dismissed) this.#closedIdle--
      session.cutOff()
    }
    return left.length
  }

  /** How many connections left because the drain found them idle. */
  get closedIdle(): number {
    return this.#closedIdle
  }

  /** Completes when no handler runs and every connection is released. */
  readonly empty: Effect.Effect<void> = Effect.async((resume) => {
    if (this.count === 0) return resume(Effect.void)
    this.#onEmpty = () => resume(Effect.void)
  })

  // --- a connection ---

  start(session: Session): void {
    this.sessions.add(session)
    this.#active++
    this.#time.watch?.add(session)
    session.state = "active"
    session.startedAt = this.#clock.unsafeCurrentTimeMillis()
    session.metrics.opened()
    this.onCount?.()
    const fiber = this.#handle(session)
    session.fiber = fiber
    fiber.addObserver((exit) => this.#ended(session, exit))
  }

  #ended(session: Session, exit: Exit.Exit<unknown, unknown>): void {
    const { connection: { inbound }, scope } = session
    session.fiber = undefined
    if (inbound.waits !== undefined) inbound.waits.owner = undefined
    session.ending = session.reasonOf(exit)
    session.metrics.handled(this.#clock.unsafeCurrentTimeMillis() - session.startedAt)
    if (exit._tag === "Failure" && session.ending !== "draining") this.#report(session, exit.cause)
    if (!scope.used) return this.#close(session)
    this.fork(heard(scope.close(exit))).addObserver((closed) => {
      if (closed._tag === "Failure") this.#report(session, closed.cause)
      this.#close(session)
    })
  }

  #close(session: Session): void {
    const { connection } = session
    this.#active--
    session.state = "closing"
    connection.unsafeClose()
    if (connection.released) return this.#forget(session)
    // A last reply has as long as the drain has.
    if (!this.#stopped || connection.unsent === 0) this.#time.closing?.arm(session)
    connection.onReleased = () => this.#forget(session)
  }

  #forget(session: Session): void {
    this.#time.closing?.disarm(session)
    this.#time.watch?.delete(session)
    this.sessions.delete(session)
    this.#ends[session.ending!]++
    session.metrics.ended(session.ending!)
    session.countTraffic()
    this.onCount?.()
    if (this.count === 0) this.#onEmpty?.()
    this.onLeft(session)
  }

  #report(session: Session, cause: Cause.Cause<unknown>): void {
    if (Cause.isInterruptedOnly(cause)) return
    const { connection, error } = session
    const failure = Cause.failureOption(cause)
    if (failure._tag === "Some" && error !== undefined && failure.value === error) return
    const log = failure._tag === "Some" && session.isOwn(failure.value) ? Effect.logDebug : Effect.logError
    this.fork(
      Effect.annotateLogs(log("connection handler failed", cause), "remoteAddress", String(connection.remoteAddress))
    )
  }
}

type Handler<E, R> = (connection: Connection) => Effect.Effect<unknown, E, R>

/** What the fiber of a connection runs. */
class Handling<E, R> extends Heard<unknown, E, Exclude<R, Scope.Scope> | Scope.Scope> {
  readonly #session: Session
  readonly #handler: Handler<E, R>

  constructor(session: Session, handler: Handler<E, R>) {
    super()
    this.#session = session
    this.#handler = handler
  }

  protected run(): Effect.Effect<unknown, E, Exclude<R, Scope.Scope> | Scope.Scope> {
    const { connection } = this.#session
    const { waits } = connection.inbound
    if (waits !== undefined) waits.owner = currentFiber()
    return this.#handler(connection) as Effect.Effect<unknown, E, Exclude<R, Scope.Scope> | Scope.Scope>
  }
}
