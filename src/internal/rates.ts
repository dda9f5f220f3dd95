/**
 * Rates of things by key: at most `limit` at once, and `limit` a `window` in the long run (the generic cell rate algorithm).
 * A key costs one number while it is in debt and nothing after that.
 */
import * as Duration from "effect/Duration"
import { InvalidOption } from "../NetError.ts"
import * as Options from "./options.ts"

/** How often. */
export interface RateLimitOptions {
  /** How many may come at once. */
  readonly limit: number
  /** The time in which the whole `limit` comes back, one after the other. */
  readonly window: Duration.DurationInput
}

export interface Rate {
  /** Milliseconds that each one costs. */
  readonly cost: number
  /** Milliseconds that may be owed. */
  readonly credit: number
}

/** Throws `InvalidOption`, also for a window in which anything would be let through, or nothing ever again. */
export const resolve = ({ limit, window }: RateLimitOptions, within = ""): Rate => {
  const many = Options.whole(`${within}limit`, limit, undefined, 1, "a whole number from 1")
  const option = `${within}window`
  const millis = Duration.toMillis(Options.duration(option, window, 0))
  if (!(millis > 0 && millis < Infinity)) throw new InvalidOption({ option, value: window, expected: "a finite time" })
  const cost = millis / many
  return { cost, credit: cost * (many - 1) }
}

export class Rates {
  readonly #rate: Rate
  /** Until when each key has spent its time. */
  readonly #spent = new Map<unknown, number>()
  #sweepAt = 1024

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /** Keys that are held. */
  get size(): number {
    return this.#spent.size
  }

  /** Milliseconds until there will be one; 0 where there is. */
  wait(key: unknown, now: number): number {
    return Math.max(0, (this.#spent.get(key) ?? 0) - this.#rate.credit - now)
  }

  /** Takes one, and gives 0; or takes none, and gives the milliseconds until there will be one. */
  take(key: unknown, now: number): number {
    const spent = Math.max(now, this.#spent.get(key) ?? 0)
    const wait = spent - this.#rate.credit - now
    if (wait > 0) return wait
    this.#spent.set(key, spent + this.#rate.cost)
    if (this.#spent.size > this.#sweepAt) this.#sweep(now)
    return 0
  }

  #sweep(now: number): void {
    for (const [key, spent] of this.#spent) if (spent <= now) this.#spent.delete(key)
    this.#sweepAt = Math.max(1024, 2 * this.#spent.size)
  }
}
