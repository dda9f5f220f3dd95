/**
 * The way in to a server: whom the limits admit is handed to the handlers, the others wait in the order in which they came, or are reset.
 * While nobody more can be served the listeners pause; whoever leaves makes room for the next.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { ServerStatus } from "../Server.ts"
import { Admission, type Limits } from "./admission.ts"
import type { Binding } from "./bind.ts"
import type { ConnectionImpl } from "./connection.ts"
import type { Handlers } from "./handlers.ts"
import { Rejections, type RejectReason } from "./rejections.ts"
import { ServerMetrics } from "./serverMetrics.ts"
import { type ConnectionInfo, Session } from "./session.ts"

/** How a server appears to who watches it; by the address of its listener where it has no name. */
type Name = string | undefined

export class Entrance {
  /** Who may accept: they pause while nobody more can be served. */
  bindings: ReadonlyArray<Binding> = []
  readonly handlers: Handlers
  readonly #clock: Clock.Clock
  readonly #admission: Admission
  readonly #rejections: Rejections
  readonly #name: Name
  readonly #waiting: Array<Session> = []
  #accepted = 0
  #closed = false
  #regulating = false
  #awaitingToken: Fiber.RuntimeFiber<void> | undefined

  constructor(handlers: Handlers, limits: Limits, clock: Clock.Clock, name: Name) {
    this.handlers = handlers
    this.#clock = clock
    this.#admission = new Admission(limits)
    this.#rejections = new Rejections(handlers.fork)
    this.#name = name
    handlers.onLeft = (session) => {
      this.#admission.leave(session.host)
      this.regulate()
    }
  }

  get status(): ServerStatus {
    return {
      ...this.handlers.status,
      waiting: this.#waiting.length,
      accepted: this.#accepted,
      rejected: this.#rejections.counts
    }
  }

  get connections(): ReadonlyArray<ConnectionInfo> {
    return this.#all.map(({ info }) => info)
  }

  get #all(): ReadonlyArray<Session> {
    return [...this.handlers.sessions, ...this.#waiting]
  }

  change(limits: Limits): void {
    this.#admission.change(limits)
    this.#awaitingToken?.unsafeInterruptAsFork(FiberId.none)
    this.#awaitingToken = undefined
    for (const session of this.#all) session.host ??= this.#admission.enter(session.connection)
    this.regulate()
  }

  /** Brings the bytes of connections that live over to the metrics, and tells of refusals that were not told of. Whether there were any. */
  publish(now = this.#clock.unsafeCurrentTimeMillis()): boolean {
    const untold = this.#rejections.flush(now)
    return this.handlers.countTraffic() || untold
  }

  offer(connection: ConnectionImpl, binding: Binding): void {
    this.#accepted++
    const refusal = this.#closed ? "draining" : this.#admission.refusal(connection)
    const metrics = binding.metrics ??= new ServerMetrics(this.#name ?? String(binding.address))
    if (refusal !== undefined) return this.#reject(connection, metrics, refusal)
    const hindrance = this.#hindrance
    if (hindrance !== undefined && (this.#admission.rejects || this.#waiting.length >= binding.backlog)) {
      return this.#reject(connection, metrics, hindrance)
    }
    const session = new Session(connection, this.handlers, metrics, this.#admission.enter(connection))
    if (hindrance !== undefined || this.#waiting.length > 0) {
      this.#waiting.push(session)
      connection.onReleased = () => this.#leave(session)
    } else this.#admit(session)
    this.regulate()
  }

  /** Lets in whom it can, and lets those accept who may. */
  regulate(): void {
    // A loop, though each connection that is done calls it: they may all be done at once.
    if (this.#closed || this.#regulating) return
    this.#regulating = true
    let hindrance = this.#hindrance
    while (hindrance === undefined && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!
      next.connection.onReleased = undefined
      this.#admit(next)
      hindrance = this.#hindrance
    }
    this.#regulating = false
    if (hindrance === "acceptRate") this.#awaitToken()
    const open = hindrance === undefined || this.#admission.rejects
    for (const binding of this.bindings) open ? binding.resume() : binding.pause()
  }

  /** Refuses everybody from now on. */
  close(): void {
    this.#closed = true
    for (const { connection, metrics } of this.#waiting.splice(0)) this.#reject(connection, metrics, "draining")
    this.#awaitingToken?.unsafeInterruptAsFork(FiberId.none)
  }

  get #hindrance(): "maxConnections" | "acceptRate" | undefined {
    return this.#admission.hindrance(this.handlers.count, this.#clock)
  }

  #awaitToken(): void {
    this.#awaitingToken ??= this.handlers.fork(Effect.map(Effect.sleep(this.#admission.untilReady(this.#clock)), () => {
      this.#awaitingToken = undefined
      this.regulate()
    }))
  }

  #admit(session: Session): void {
    this.#admission.take(this.#clock)
    this.handlers.start(session)
  }

  #reject(connection: ConnectionImpl, metrics: ServerMetrics, reason: RejectReason): void {
    metrics.rejected(reason)
    this.#rejections.add(reason, connection.remoteAddress, this.#clock.unsafeCurrentTimeMillis())
    connection.unsafeReset()
  }

  /** Who comes and goes while it waits needs no handler, and takes nobody's place in the row. */
  #leave(session: Session): void {
    this.#admission.leave(session.host)
    const index = this.#waiting.indexOf(session)
    if (index >= 0) this.#waiting.splice(index, 1)
  }
}
