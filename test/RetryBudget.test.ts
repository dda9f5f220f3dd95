import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { NetError, RetryBudget } from "effect-netkit"
import fc from "fast-check"

/** What is done to a budget, as tower's tests write it: `+` deposit, `y` withdraw granted, `n` withdraw refused, a number waits so many ms. */
const script = (options: RetryBudget.RetryBudgetOptions, steps: string) =>
  Effect.gen(function* () {
    const budget = RetryBudget.make(options)
    for (const step of steps.split(" ")) {
      if (step === "+") yield* budget.deposit
      else if (step === "y" || step === "n") expect(yield* budget.withdraw).toBe(step === "y")
      else yield* TestClock.adjust(Number(step))
    }
  })

const none = { ttl: "1 second", minRetriesPerSecond: 0 } as const

describe("RetryBudget", () => {
  it.effect("is empty without deposits and without a reserve", () => script({ ...none, percentCanRetry: 1 }, "n"))

  it.effect("a deposit is forgotten after its time to live", () =>
    script({ ...none, percentCanRetry: 1 }, "+ 3000 n + 900 y n + 1000 n"))

  it.effect("two deposits of a half buy one retry, as long as both count", () =>
    script({ ...none, percentCanRetry: 0.5 }, "+ + 901 y n 2001 + 301 + 501 y n 2001 n + 901 + 200 n"))

  it.effect("a percentage over 1 buys several retries a call", () => script({ ...none, percentCanRetry: 2 }, "+ y y n"))

  it.effect("the reserve is exact, and comes back", () =>
    script({ ...none, minRetriesPerSecond: 5, percentCanRetry: 1 }, "y y y y y n + y n 1000 y y y y y n"))

  it.effect("a retry that was taken counts against later deposits while it lives", () =>
    script({ ttl: "10 seconds", minRetriesPerSecond: 0.1, percentCanRetry: 1 }, "y n 5000 + y n 5000 y n"))

  it.effect("by default pays 10 retries a second and one for five calls, over 10 seconds", () =>
    Effect.gen(function* () {
      const budget = RetryBudget.make()
      expect(yield* budget.balance).toBe(100)
      for (let call = 0; call < 4; call++) yield* budget.deposit
      expect(yield* budget.balance).toBe(100)
      yield* budget.deposit
      expect(yield* budget.balance).toBe(101)
    }))

  it.effect("a clock that is set back makes nothing expire", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(60_000)
      const budget = RetryBudget.make({ ...none, percentCanRetry: 1 })
      yield* budget.deposit
      yield* TestClock.setTime(0)
      expect(yield* budget.withdraw).toBe(true)
      expect(yield* budget.withdraw).toBe(false)
    }))

  it.effect("never grants more than was paid in within the time to live", () =>
    Effect.promise(() =>
      fc.assert(fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 3 }),
        fc.array(fc.oneof(fc.constant("call"), fc.constant("retry"), fc.integer({ min: 1, max: 700 })), {
          maxLength: 60
        }),
        (calls, minRetriesPerSecond, steps) =>
          Effect.runPromise(Effect.gen(function* () {
            const clock = yield* Effect.clock
            let now = 0
            const budget = RetryBudget.make({ ...none, minRetriesPerSecond, percentCanRetry: 1 / calls })
            const deposits: Array<number> = []
            const granted: Array<number> = []
            const within = (times: Array<number>, ms: number) => times.filter((at) => at > now - ms).length
            const at: Effect.Effect<void> = Effect.forEach(steps, (step) => {
              if (typeof step === "number") return Effect.sync(() => void (now += step))
              if (step === "call") return Effect.map(budget.deposit, () => void deposits.push(now))
              return Effect.map(budget.withdraw, (yes) => {
                if (yes) granted.push(now)
                expect(within(granted, 900)).toBeLessThanOrEqual(
                  // What was granted just before a deposit expired may have been paid by it.
                  within(deposits, 2000) / calls + minRetriesPerSecond + 1e-3
                )
              })
            }, { discard: true })
            yield* Effect.withClock(at, {
              ...clock,
              currentTimeMillis: Effect.sync(() => now),
              unsafeCurrentTimeMillis: () => now
            })
          }))
      ))
    ))

  it("throws InvalidOption for what cannot be meant", () => {
    for (
      const options of [
        { percentCanRetry: -0.1 },
        { percentCanRetry: NaN },
        { percentCanRetry: 1001 },
        { percentCanRetry: null as never },
        { minRetriesPerSecond: -1 },
        { minRetriesPerSecond: Infinity },
        { ttl: "999 millis" },
        { ttl: "61 seconds" },
        { ttl: "nonsense" as "1 second" }
      ] as const
    ) expect(() => RetryBudget.make(options)).toThrow(NetError.InvalidOption)
  })
})
