/**
 * A retry budget: how many retries the calls of a client, or of several, pay for together. While most calls succeed it never
 * matters; when a server is down it keeps retries to a fraction of the calls, so that they do not keep the server down.
 * The token bucket of Finagle's `RetryBudget` and tower's `TpsBudget`, on Effect's Clock.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Options from "./internal/options.ts"
import { InvalidOption } from "./NetError.ts"

/**
 * Marks every retry budget.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/RetryBudget")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * @category options
 */
export interface RetryBudgetOptions {
  /** How much of a retry each call pays for: 0.2 is one retry for five calls. From 0 to 1000; default 0.2. */
  readonly percentCanRetry?: number | undefined
  /** Retries a second that are allowed beyond that, for clients that call rarely. Default 10. */
  readonly minRetriesPerSecond?: number | undefined
  /** How long calls and retries count. From 1 second to 1 minute; default 10 seconds. */
  readonly ttl?: Duration.DurationInput | undefined
}

/**
 * Mutable, and meant to be shared by all policies whose calls go to the same place.
 *
 * @category models
 */
export interface RetryBudget {
  readonly [TypeId]: TypeId
  /** A call was made. `RetryPolicy.retry` does this. */
  readonly deposit: Effect.Effect<void>
  /** Takes a retry from the budget; false if it has none left. `RetryPolicy` does this. */
  readonly withdraw: Effect.Effect<boolean>
  /** How many retries are left just now. */
  readonly balance: Effect.Effect<number>
}

/**
 * Whether a value is a retry budget.
 *
 * @category guards
 */
export const isRetryBudget = (u: unknown): u is RetryBudget => hasProperty(u, TypeId)

/**
 * A budget with its reserve: at first `minRetriesPerSecond` for each second of `ttl`. A wrong option throws `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Net, RetryBudget, RetryPolicy } from "effect-netkit"
 *
 * const budget = RetryBudget.make({ percentCanRetry: 0.1 })
 * const dial = Net.connect("db.example:5432", { retry: RetryPolicy.make({ maxAttempts: 5, budget }) })
 * ```
 *
 * @category constructors
 */
export const make = (options: RetryBudgetOptions = {}): RetryBudget => {
  const { percentCanRetry = 0.2, minRetriesPerSecond = 10 } = options
  between("percentCanRetry", percentCanRetry, 1000)
  between("minRetriesPerSecond", minRetriesPerSecond, 1e6)
  const ttl = Duration.toMillis(Options.duration("ttl", options.ttl, "10 seconds"))
  if (!(ttl >= 1000 && ttl <= 60_000)) {
    throw new InvalidOption({ option: "ttl", value: options.ttl, expected: "a duration from 1 second to 1 minute" })
  }
  return new Bucket(Math.round(percentCanRetry * retry), Math.round(minRetriesPerSecond * ttl / 1000) * retry, ttl)
}

const between = (option: string, value: number, most: number): void => {
  if (typeof value === "number" && value >= 0 && value <= most) return
  throw new InvalidOption({ option, value, expected: `a number from 0 to ${most}` })
}

/** What one retry costs. Whole numbers, so that five deposits of a fifth are one retry exactly. */
const retry = 1_000_000

/** The time to live passes in so many steps: what was paid in or out counts for between nine and ten of them. */
const slots = 10

class Bucket implements RetryBudget {
  readonly [TypeId]: TypeId = TypeId
  readonly deposit: Effect.Effect<void>
  readonly withdraw: Effect.Effect<boolean>
  readonly balance: Effect.Effect<number>
  readonly #paid: Array<number> = new Array(slots).fill(0)
  readonly #reserve: number
  readonly #width: number
  #slot = 0

  constructor(deposit: number, reserve: number, ttl: number) {
    this.#reserve = reserve
    this.#width = ttl / slots
    this.deposit = Effect.map(Clock.currentTimeMillis, (now) => this.#pay(now, deposit))
    this.withdraw = Effect.map(Clock.currentTimeMillis, (now) => {
      const enough = this.#balance(now) >= retry
      if (enough) this.#pay(now, -retry)
      return enough
    })
    this.balance = Effect.map(Clock.currentTimeMillis, (now) => Math.max(0, Math.floor(this.#balance(now) / retry)))
  }

  #pay(now: number, amount: number): void {
    this.#expire(now)
    this.#paid[this.#slot % slots]! += amount
  }

  #balance(now: number): number {
    this.#expire(now)
    return this.#paid.reduce((sum, amount) => sum + amount, this.#reserve)
  }

  #expire(now: number): void {
    const slot = Math.floor(now / this.#width)
    // A clock that was set back makes nothing expire.
    for (let past = Math.max(this.#slot + 1, slot - slots + 1); past <= slot; past++) this.#paid[past % slots] = 0
    this.#slot = Math.max(this.#slot, slot)
  }
}
