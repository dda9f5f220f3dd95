/**
 * Connections that were reset before anything was done for them: counted by reason, and logged once a reason and cool-down with their number,
 * since they come by the thousand. Those that came within a cool-down are told after it, though nobody comes any more.
 */
import * as Effect from "effect/Effect"

/**
 * Why a connection was refused.
 *
 * @category models
 */
export type RejectReason = "denied" | "maxConnections" | "maxConnectionsPerHost" | "acceptRate" | "draining"

/** Milliseconds between two lines for the same reason. */
const coolDown = 5_000

interface Tally {
  total: number
  logged: number
  nextLine: number
  /** Where the last came from. */
  from: unknown
}

const tally = (): Tally => ({ total: 0, logged: 0, nextLine: -Infinity, from: undefined })

export class Rejections {
  readonly #log: (line: Effect.Effect<void>) => void
  readonly #tallies: Readonly<Record<RejectReason, Tally>> = {
    denied: tally(),
    maxConnections: tally(),
    maxConnectionsPerHost: tally(),
    acceptRate: tally(),
    draining: tally()
  }

  constructor(log: (line: Effect.Effect<void>) => void) {
    this.#log = log
  }

  get counts(): Readonly<Record<RejectReason, number>> {
    const { acceptRate, denied, draining, maxConnections, maxConnectionsPerHost } = this.#tallies
    return {
      denied: denied.total,
      maxConnections: maxConnections.total,
      maxConnectionsPerHost: maxConnectionsPerHost.total,
      acceptRate: acceptRate.total,
      draining: draining.total
    }
  }

  add(reason: RejectReason, remoteAddress: unknown, now: number): void {
    const tally = this.#tallies[reason]
    tally.total++
    tally.from = remoteAddress
    this.#tell(reason, tally, now)
  }

  /** Tells what has not been told of, where a cool-down is over. Whether there was anything. */
  flush(now: number): boolean {
    const untold = Object.entries(this.#tallies).filter(([, { logged, total }]) => total > logged)
    for (const [reason, tally] of untold) this.#tell(reason, tally, now)
    return untold.length > 0
  }

  #tell(reason: string, tally: Tally, now: number): void {
    const count = tally.total - tally.logged
    if (count === 0 || now < tally.nextLine) return
    tally.nextLine = now + coolDown
    tally.logged = tally.total
    const log = reason === "draining" ? Effect.logDebug : Effect.logWarning
    this.#log(Effect.annotateLogs(log(`connections refused (${reason}): ${count}`), {
      reason,
      count,
      remoteAddress: String(tally.from)
    }))
  }
}
