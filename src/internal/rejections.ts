/**
 * Connections that were reset before anything was done for them: counted by reason, and logged once a reason and cool-down with their number,
 * since they come by the thousand.
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
}

const tally = (): Tally => ({ total: 0, logged: 0, nextLine: -Infinity })

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
    if (now < tally.nextLine) return
    tally.nextLine = now + coolDown
    const count = tally.total - tally.logged
    tally.logged = tally.total
    const log = reason === "draining" ? Effect.logDebug : Effect.logWarning
    this.#log(Effect.annotateLogs(log(`connections refused (${reason}): ${count}`), {
      reason,
      count,
      remoteAddress: String(remoteAddress)
    }))
  }
}
