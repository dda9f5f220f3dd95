/**
 * One connection of a server, from the moment it was accepted until its descriptor is released.
 * It stands in the list of closes that take too long, in the set of those that are served, and among those whose time is kept.
 */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { ConnectionStats } from "../Connection.ts"
import { isNetError, type NetError } from "../NetError.ts"
import type { SocketAddress } from "../SocketAddress.ts"
import type { ConnectionImpl } from "./connection.ts"
import { Entry } from "./deadlines.ts"
import { isDrained } from "./draining.ts"
import { LazyScope } from "./lazyScope.ts"
import type { Member } from "./liveSet.ts"
import type { Operation, SocketErrorProps } from "./socketError.ts"
import type { ServerMetrics, Traffic } from "./serverMetrics.ts"
import type { Watched } from "./watch.ts"

/**
 * Why a connection of a server has ended: its handler succeeded, failed by itself (a defect counts), failed with an error of the connection, or was
 * interrupted; or the server was draining, or cut it off; or one of its time limits was reached, or the rate of a `Middleware`.
 *
 * @category models
 */
export type EndReason =
  | "completed"
  | "failed"
  | "connectionError"
  | "interrupted"
  | "draining"
  | "cutOff"
  | "firstByteTimeout"
  | "idleTimeout"
  | "readTimeout"
  | "writeTimeout"
  | "throughputTooLow"
  | "expired"
  | "rateLimited"

/** Who keeps the time of a session. */
export interface Timekeeper {
  look(session: Session, now: number): number
}

/**
 * One connection of a server, as `Running.connections` shows it: it waits for a handler, has one, or is being closed after that.
 *
 * @category models
 */
export interface ConnectionInfo extends ConnectionStats {
  readonly remoteAddress: SocketAddress
  readonly localAddress: SocketAddress
  readonly state: "waiting" | "active" | "closing"
}

const ofConnections: ReadonlySet<Operation> = new Set(["read", "write", "decode"])

const nothing: Traffic = { read: 0, written: 0 }

/** The limits that are told by the error that a handler ends with. */
const limits: ReadonlyMap<string, EndReason> = new Map([
  ["ReadTimeout", "readTimeout"],
  ["WriteTimeout", "writeTimeout"],
  ["RateLimited", "rateLimited"]
])

export class Session extends Entry implements Member, Watched {
  readonly connection: ConnectionImpl
  readonly scope = new LazyScope()
  slot = -1
  place = -1
  lookAt = 0
  state: ConnectionInfo["state"] = "waiting"
  /** The host that it counts for, where there is a limit. */
  host: string | undefined
  /** The handler, while it runs. */
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  /** The drain found it idle. */
  dismissed = false
  /** Why it ends, where that was known before its handler ended. */
  ending: EndReason | undefined = undefined

  /** What a time limit made of it. */
  error: NetError | undefined = undefined
  /** When its handler was started. */
  startedAt = 0
  readonly metrics: ServerMetrics
  readonly #timekeeper: Timekeeper
  #counted: Traffic = nothing

  constructor(
    connection: ConnectionImpl,
    timekeeper: Timekeeper,
    metrics: ServerMetrics,
    host: string | undefined
  ) {
    super()
    this.connection = connection
    this.#timekeeper = timekeeper
    this.metrics = metrics
    this.host = host
  }

  get info(): ConnectionInfo {
    const { connection, state } = this
    const { localAddress, remoteAddress } = connection
    return { remoteAddress, localAddress, state, ...connection.figures }
  }

  /** Brings its bytes over to the metrics. Whether there were any. */
  countTraffic(): boolean {
    const { inbound, outbound } = this.connection
    const now = { read: inbound.total, written: outbound.total }
    const moved = this.metrics.traffic(now, this.#counted)
    if (moved) this.#counted = now
    return moved
  }

  look(now: number): number {
    return this.#timekeeper.look(this, now)
  }

  /** Its close took longer than `closeTimeout`. */
  expire(): void {
    this.cutOff()
  }

  cutOff(): void {
    this.ending ??= "cutOff"
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
    this.connection.unsafeReset()
  }

  /** Whether it is an error of this connection, and not of another one, to a backend say. A decoder by itself knows none. */
  isOwn(error: unknown): error is NetError {
    if (!isNetError(error)) return false
    const { address = this.connection.remoteAddress, operation } = error as Partial<SocketErrorProps>
    return operation !== undefined && ofConnections.has(operation) && address === this.connection.remoteAddress
  }

  reasonOf(exit: Exit.Exit<unknown, unknown>): EndReason {
    if (this.ending !== undefined) return this.ending
    if (exit._tag === "Success") return "completed"
    if (Cause.isInterruptedOnly(exit.cause)) return "interrupted"
    if (isDrained(exit.cause)) return "draining"
    const failure = Cause.failureOption(exit.cause)
    if (failure._tag === "None" || !this.isOwn(failure.value)) return "failed"
    return limits.get(failure.value._tag) ?? "connectionError"
  }
}
