/**
 * When to try again, in the field's terms: how often, after which delays with which jitter, for how long, on which errors,
 * on which budget. A policy is a value that compiles to a `Schedule`.
 * Delays stay within `maxDelay` whatever the number of attempts; the error that surfaces is that of the last attempt.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import { hasProperty, isRecord } from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import * as Checks from "./internal/options.ts"
import { duration } from "./internal/settings.ts"
import { InvalidOption, isTransient } from "./NetError.ts"
import * as RetryBudget from "./RetryBudget.ts"

/**
 * Marks every retry policy.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/RetryPolicy")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * How delays are spread, so that clients which failed together do not come back together. With d for the exponential delay
 * `min(maxDelay, baseDelay * factor ** n)`, the next delay is a random one
 *
 * - `"none"`: d itself;
 * - `"full"`: from 0 to d;
 * - `"equal"`: from d/2 to d;
 * - `"decorrelated"`: from `baseDelay` to `factor` times the delay before, at most `maxDelay`;
 * - a number from 0 to 1: by so much of d to either side of it, at most `maxDelay`; 0.2 is plus or minus 20 %.
 *
 * The names are those of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
 *
 * @category models
 */
export type Jitter = "none" | "full" | "equal" | "decorrelated" | number

/**
 * @category options
 */
export interface Options<in E = unknown> {
  /** How often to try in total, the first attempt included. Default 3. */
  readonly maxAttempts?: number | "unbounded" | undefined
  /** The delay that all others grow from. Default 100 milliseconds. */
  readonly baseDelay?: Duration.DurationInput | undefined
  /** No delay is longer. At most 24 days, as timers go; default 30 seconds, or `baseDelay` where that is longer. */
  readonly maxDelay?: Duration.DurationInput | undefined
  /** What delays grow by, from 1. Default 2; 3 for decorrelated jitter. */
  readonly factor?: number | undefined
  /** Default `"decorrelated"`. */
  readonly jitter?: Jitter | undefined
  /** No attempt begins later than this after the first; an attempt under way is not cut off. Default infinity. */
  readonly maxDuration?: Duration.DurationInput | undefined
  /** What retries are paid from; without one they cost nothing. Default: none. */
  readonly budget?: RetryBudget.RetryBudget | undefined
  /** Which errors to try again after. Default: `NetError.isTransient`, which is false for errors that are not this SDK's. */
  readonly retryIf?: ((error: E) => boolean) | undefined
}

/**
 * A policy for effects that fail with `E`.
 *
 * @category models
 */
export interface RetryPolicy<in E = unknown> {
  readonly [TypeId]: TypeId
  /** `Infinity` for unbounded. */
  readonly maxAttempts: number
  readonly baseDelay: Duration.Duration
  readonly maxDelay: Duration.Duration
  readonly factor: number
  readonly jitter: Jitter
  readonly maxDuration: Duration.Duration
  readonly budget: RetryBudget.RetryBudget | undefined
  readonly retryIf: (error: E) => boolean
}

/**
 * All that an option `retry` may be: a policy, what one is made from, or any `Schedule`.
 *
 * @category options
 */
export type Retry<E> = RetryPolicy<E> | Options<E> | Schedule.Schedule<unknown, E>

/**
 * Whether a value is a retry policy.
 *
 * @category guards
 */
export const isRetryPolicy = (u: unknown): u is RetryPolicy<never> => hasProperty(u, TypeId)

/**
 * A policy. A wrong option throws `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Net, RetryPolicy } from "effect-netkit"
 *
 * const patient = RetryPolicy.make({ maxAttempts: 10, maxDelay: "5 seconds", jitter: "full" })
 * const hello = Effect.gen(function*() {
 *   const connection = yield* Net.connect("127.0.0.1:7788")
 *   yield* connection.write("hello\n")
 *   return yield* connection.readUntil("\n")
 * }).pipe(Effect.scoped, RetryPolicy.retry(patient))
 * ```
 *
 * @category constructors
 */
export const make = <E = unknown>(options: Options<E> = {}): RetryPolicy<E> => {
  const { budget, jitter = "decorrelated", maxAttempts = 3, retryIf = isTransient } = options
  const baseDelay = Checks.duration("baseDelay", options.baseDelay, "100 millis")
  const maxDelay = Checks.duration("maxDelay", options.maxDelay, Duration.max(baseDelay, "30 seconds"))
  const { factor = jitter === "decorrelated" ? 3 : 2 } = options
  must(Duration.toMillis(maxDelay) <= longestDelay, "maxDelay", options.maxDelay, "at most 24 days")
  must(Duration.lessThanOrEqualTo(baseDelay, maxDelay), "baseDelay", options.baseDelay, "at most maxDelay")
  must(typeof factor === "number" && factor >= 1 && factor < Infinity, "factor", factor, "a number from 1")
  must(
    typeof jitter === "number" ? jitter >= 0 && jitter <= 1 : jitters.includes(jitter),
    "jitter",
    jitter,
    `one of ${jitters.join(", ")} or a number from 0 to 1`
  )
  must(budget === undefined || RetryBudget.isRetryBudget(budget), "budget", budget, "a RetryBudget")
  must(typeof retryIf === "function", "retryIf", retryIf, "a function")
  return {
    [TypeId]: TypeId,
    maxAttempts: maxAttempts === "unbounded"
      ? Infinity
      : Checks.whole("maxAttempts", maxAttempts, 3, 1, 'a whole number from 1, or "unbounded"'),
    baseDelay,
    maxDelay,
    factor,
    jitter,
    maxDuration: Checks.duration("maxDuration", options.maxDuration, Duration.infinity),
    budget,
    retryIf
  }
}

const jitters: ReadonlyArray<Jitter> = ["none", "full", "equal", "decorrelated"]

/** Milliseconds. What a timer of JavaScript can wait. */
const longestDelay = 2 ** 31 - 1

const must = (holds: boolean, option: string, value: unknown, expected: string): void => {
  if (!holds) throw new InvalidOption({ option, value, expected })
}

/**
 * A policy from the configuration: `maxAttempts`, `baseDelay`, `maxDelay`, `factor`, `jitter`, `maxDuration`, each optional, and
 * `percentCanRetry`, `minRetriesPerSecond`, `ttl` nested in `budget`, of which one is enough to have a budget. What is not
 * configured is as in `defaults`. Nest it in a name of your own.
 *
 * @example
 * ```ts
 * import { Config } from "effect"
 * import { RetryPolicy } from "effect-netkit"
 *
 * const policy = RetryPolicy.config({ maxAttempts: 5 }).pipe(Config.nested("retry"))
 * ```
 *
 * @category constructors
 */
export const config = <E = unknown>(defaults: Options<E> = {}): Config.Config<RetryPolicy<E>> =>
  Config.mapOrFail(Config.all([settings, budgetSettings]), ([configured, budget]) =>
    Either.try({
      try: () => {
        const paid = given(budget)
        return make<E>({
          ...defaults,
          ...given(configured),
          ...Object.keys(paid).length > 0 && { budget: RetryBudget.make(paid) }
        })
      },
      catch: (error) => {
        if (error instanceof InvalidOption) return ConfigError.InvalidData([error.option], error.message)
        throw error
      }
    }))

/** A number, or a word that `make` knows or refuses. */
const numberOr = (name: string): Config.Config<number | string> =>
  Config.map(Config.nonEmptyString(name), (text) => Number.isNaN(Number(text)) ? text : Number(text))

const settings = Config.all({
  maxAttempts: Config.option(numberOr("maxAttempts") as Config.Config<number | "unbounded">),
  baseDelay: Config.option(duration("baseDelay")),
  maxDelay: Config.option(duration("maxDelay")),
  factor: Config.option(Config.number("factor")),
  jitter: Config.option(numberOr("jitter") as Config.Config<Jitter>),
  maxDuration: Config.option(duration("maxDuration"))
})

const budgetSettings = Config.nested(
  Config.all({
    percentCanRetry: Config.option(Config.number("percentCanRetry")),
    minRetriesPerSecond: Config.option(Config.number("minRetriesPerSecond")),
    ttl: Config.option(duration("ttl"))
  }),
  "budget"
)

type Given<A> = { readonly [K in keyof A]?: A[K] extends Option.Option<infer B> ? B : never }

const given = <A extends { readonly [name: string]: Option.Option<unknown> }>(settings: A): Given<A> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => Option.isSome(value) ? [[name, value.value]] : [])
  ) as Given<A>

/**
 * Tries again by a policy, or by any `Schedule`, which retries as `Effect.retry` does: after every error that it does not filter.
 * Only failures are tried again, neither defects nor interruption. Each retry is logged at debug level with its delay and the error.
 *
 * @category combinators
 */
export const retry: {
  <E, R2 = never>(
    policy: RetryPolicy<E> | Schedule.Schedule<unknown, E, R2>
  ): <A, E1 extends E, R>(effect: Effect.Effect<A, E1, R>) => Effect.Effect<A, E1, R | R2>
  <A, E, R, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    policy: RetryPolicy<E> | Schedule.Schedule<unknown, E, R2>
  ): Effect.Effect<A, E, R | R2>
} = dual(
  2,
  <A, E, R, R2>(
    effect: Effect.Effect<A, E, R>,
    policy: RetryPolicy<E> | Schedule.Schedule<unknown, E, R2>
  ): Effect.Effect<A, E, R | R2> => {
    if (Schedule.isSchedule(policy)) return Effect.retry(effect, policy)
    const begun = policy.budget === undefined
      ? Clock.currentTimeMillis
      : Effect.zipRight(policy.budget.deposit, Clock.currentTimeMillis)
    return Effect.flatMap(begun, (now) => Effect.retry(effect, schedule(policy, { ...initial, begun: now })))
  }
)

/**
 * The policy as a `Schedule` of errors, whose output is the delay. It sees no call before its first failure: `maxDuration` counts from
 * there, and only calls that fail pay into the budget. `retry` counts from the beginning, and every call.
 *
 * @category conversions
 */
export const toSchedule = <E>(policy: RetryPolicy<E>): Schedule.Schedule<Duration.Duration, E> =>
  schedule(policy, initial)

/**
 * What an option `retry` means. Throws `InvalidOption`.
 *
 * @internal
 */
export const fromOption = <E>(
  retry: Retry<E>,
  defaults: Options<E> = {}
): RetryPolicy<E> | Schedule.Schedule<unknown, E> => {
  if (Schedule.isSchedule(retry) || isRetryPolicy(retry)) return retry
  must(isRecord(retry), "retry", retry, "a RetryPolicy, what one is made from, or a Schedule")
  return make({ ...defaults, ...Object.fromEntries(Object.entries(retry).filter(([, value]) => value !== undefined)) })
}

interface State {
  /** Attempts that have failed before. */
  readonly failed: number
  /** The last delay, in milliseconds. */
  readonly delay: number
  /** When the first attempt began, if that is known. */
  readonly begun: number | undefined
}

const initial: State = { failed: 0, delay: 0, begun: undefined }

const schedule = <E>(policy: RetryPolicy<E>, first: State): Schedule.Schedule<Duration.Duration, E> =>
  Schedule.makeWithState(first, (now, error: E, state) =>
    Effect.gen(function* () {
      const begun = state.begun ?? now
      if (state.begun === undefined && policy.budget !== undefined) yield* policy.budget.deposit
      const failed = state.failed + 1
      const delay = yield* draw(range(policy, state))
      const allowed = failed < policy.maxAttempts && policy.retryIf(error) &&
        now + delay <= begun + Duration.toMillis(policy.maxDuration) &&
        (policy.budget === undefined || (yield* policy.budget.withdraw))
      const wait = Duration.millis(delay)
      if (!allowed) return [{ failed, delay, begun }, wait, ScheduleDecision.done]
      yield* Effect.logDebug(`attempt ${failed} failed, the next in ${Duration.format(wait)}`, Cause.fail(error))
      return [{ failed, delay, begun }, wait, ScheduleDecision.continueWith(ScheduleInterval.after(now + delay))]
    }))

/** From where to where the next delay is random. */
const range = (policy: RetryPolicy<never>, { delay, failed }: State): readonly [least: number, most: number] => {
  const { factor, jitter } = policy
  const base = Duration.toMillis(policy.baseDelay)
  const max = Duration.toMillis(policy.maxDelay)
  if (jitter === "decorrelated") return [base, Math.min(max, factor * Math.max(base, delay))]
  // The power becomes infinite some time, and no delay times infinity is none at all.
  const grown = Math.min(max, base * Math.min(factor ** failed, Number.MAX_VALUE))
  if (jitter === "full") return [0, grown]
  if (jitter === "equal") return [grown / 2, grown]
  const ratio = jitter === "none" ? 0 : jitter
  return [grown * (1 - ratio), Math.min(max, grown * (1 + ratio))]
}

/** Whole milliseconds, as timers have, where the range has any. */
const draw = ([least, most]: readonly [number, number]): Effect.Effect<number> =>
  least === most ? Effect.succeed(least) : Effect.map(
    Random.next,
    (random) => Math.min(most, Math.max(least, Math.round(least + random * (most - least))))
  )
