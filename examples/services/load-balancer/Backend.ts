/**
 * The servers behind a balancer: what is known of each, and which of them gets the next connection. Plain data, no sockets.
 */
import type { SocketAddress } from "effect-netkit"

/** How many checks in a row change the state of a backend. */
export interface Thresholds {
  /** Successes that bring it up. */
  readonly rise: number
  /** Failures that take it down. */
  readonly fall: number
}

export class Backend {
  readonly address: SocketAddress.SocketAddress
  /** Taken for up until something else is known. */
  up = true
  /** Gets no new connections; those that it has go on. */
  draining = false
  /** Connections that it has now, those included that are being dialled. */
  active = 0
  /** Connections that were relayed, or are. */
  served = 0
  /** Dials that failed, other than those of checks. */
  failed = 0
  /** Checks in a row that spoke against the present state. */
  #against = 0

  constructor(address: SocketAddress.SocketAddress) {
    this.address = address
  }

  /** Takes the result of a check. Whether it changed the state. */
  checked(success: boolean, { fall, rise }: Thresholds): boolean {
    this.#against = success === this.up ? 0 : this.#against + 1
    if (this.#against < (success ? rise : fall)) return false
    this.#against = 0
    this.up = success
    return true
  }

  /** A dial for a client has failed, which takes it down at once. Whether that changed the state. */
  refused(): boolean {
    this.failed++
    this.#against = 0
    const changed = this.up
    this.up = false
    return changed
  }

  toString(): string {
    const state = `${this.up ? "up" : "down"}${this.draining ? " draining" : ""}`
    return `${this.address} ${state}: ${this.active} active, ${this.served} served, ${this.failed} failed`
  }
}

/**
 * The backend with the fewest connections among those that may have one more and were not tried; of equals, the one that has served
 * least. While all are down, those that are: a check may be late to see one come back, and trying costs nobody anything.
 */
export const choose = (
  backends: ReadonlyArray<Backend>,
  tried: ReadonlySet<Backend>,
  maxConnections: number
): Backend | undefined =>
  backends
    .filter((backend) => !backend.draining && !tried.has(backend) && backend.active < maxConnections)
    .reduce<Backend | undefined>((best, next) => best === undefined || isBetter(next, best) ? next : best, undefined)

const isBetter = (a: Backend, b: Backend): boolean => {
  if (a.up !== b.up) return a.up
  return a.active === b.active ? a.served < b.served : a.active < b.active
}
