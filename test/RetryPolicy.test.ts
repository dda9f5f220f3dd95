import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Clock,
  Config,
  ConfigProvider,
  Data,
  Duration,
  Effect,
  Either,
  Exit,
  Fiber,
  Logger,
  LogLevel,
  Random,
  Schedule,
  Scope,
  TestClock
} from "effect"
import { Net, NetError, Network, RetryBudget, RetryPolicy, SocketAddress, type Transport } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import fc from "fast-check"

const refused = new NetError.ConnectionRefused({
  operation: "connect",
  address: SocketAddress.unsafeParse("127.0.0.1:1"),
  cause: undefined
})

/** The delays of a policy for so many failures, in milliseconds, by a fixed seed. */
const delays = (options: RetryPolicy.Options, failures: number, seed = "seed") =>
  Schedule.run(RetryPolicy.toSchedule(RetryPolicy.make(options)), 0, Array.from({ length: failures }, () => refused))
    .pipe(
      Effect.map((out) => Chunk.toReadonlyArray(out).map(Duration.toMillis)),
      Effect.withRandom(Random.make(seed)),
      Logger.withMinimumLogLevel(LogLevel.None)
    )

/** The n-th delays of many calls. */
const samples = (options: RetryPolicy.Options, nth: number, count = 4000) =>
  Effect.map(
    Effect.forEach(Array.from({ length: count }, (_, i) => i), (i) => delays(options, nth, `seed ${i}`)),
    (calls) => calls.map((call) => call[nth - 1]!)
  )

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

/** How many of the values fall into each tenth of the range; all must be in it. */
const buckets = (values: ReadonlyArray<number>, least: number, most: number) => {
  const counts = new Array<number>(10).fill(0)
  for (const value of values) {
    expect(value).toBeGreaterThanOrEqual(least)
    expect(value).toBeLessThanOrEqual(most)
    counts[Math.min(9, Math.floor((value - least) / (most - least) * 10))]!++
  }
  return counts
}

/** Pearson's statistic against the uniform distribution; with 9 degrees of freedom it is over 27.9 once in a thousand times. */
const chiSquare = (counts: ReadonlyArray<number>) => {
  const expected = mean(counts)
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

const expectUniform = (values: ReadonlyArray<number>, least: number, most: number) => {
  expect(chiSquare(buckets(values, least, most))).toBeLessThan(27.9)
  // Four standard errors of the mean of a uniform distribution.
  expect(Math.abs(mean(values) - (least + most) / 2)).toBeLessThan(4 * (most - least) / Math.sqrt(12 * values.length))
}

/** An effect that fails for ever, and the times of its attempts. */
const failing = <E>(error: E) => {
  const times: Array<number> = []
  const attempt = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    times.push(now)
    return Effect.fail(error)
  })
  return { times, attempt }
}

const run = <A, E>(effect: Effect.Effect<A, E>, time: Duration.DurationInput = "1 hour") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust(time)
    return yield* Fiber.await(fiber)
  })

const exponential = { baseDelay: 100, maxDelay: 10_000, maxAttempts: "unbounded" } as const

describe("delays", () => {
  it.effect("without jitter grow by the factor up to the cap", () =>
    Effect.gen(function* () {
      const none = { ...exponential, jitter: "none" } as const
      expect(yield* delays(none, 9)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
      expect(yield* delays({ ...none, factor: 1 }, 3)).toEqual([100, 100, 100])
      expect(yield* delays({ ...none, factor: 10 }, 4)).toEqual([100, 1000, 10_000, 10_000])
      expect(yield* delays({ ...none, baseDelay: 0 }, 3000)).toEqual(new Array(3000).fill(0))
    }))

  it.effect("with full jitter are uniform from 0 to the exponential delay", () =>
    Effect.gen(function* () {
      expectUniform(yield* samples({ ...exponential, jitter: "full" }, 3), 0, 400)
      expectUniform(yield* samples({ ...exponential, jitter: "full", maxDelay: 300 }, 3), 0, 300)
    }))

  it.effect("with equal jitter are uniform in its upper half", () =>
    Effect.gen(function* () {
      expectUniform(yield* samples({ ...exponential, jitter: "equal" }, 3), 200, 400)
    }))

  it.effect("with a ratio are uniform around it, and below the cap", () =>
    Effect.gen(function* () {
      expectUniform(yield* samples({ ...exponential, jitter: 0.2 }, 3), 320, 480)
      expectUniform(yield* samples({ ...exponential, jitter: 0.2, maxDelay: 400 }, 3), 320, 400)
    }))

  it.effect("with decorrelated jitter come uniformly from between the base and three times the one before", () =>
    Effect.gen(function* () {
      expectUniform(yield* samples(exponential, 1), 100, 300)
      const walk = yield* delays({ ...exponential, maxDelay: 600_000 }, 4000)
      const places = walk.slice(1).flatMap((delay, i) => {
        const most = Math.min(600_000, 3 * walk[i]!)
        return [(delay - 100) / (most - 100)]
      })
      expectUniform(places, 0, 1)
      expect(yield* delays({ ...exponential, factor: 1 }, 3)).toEqual([100, 100, 100])
    }))

  it.effect("have a mean of half, three quarters and twice the base, at first", () =>
    Effect.gen(function* () {
      for (const [jitter, expected] of [["full", 50], ["equal", 75], ["decorrelated", 200]] as const) {
        const drawn = yield* samples({ ...exponential, jitter }, 1, 2000)
        expect(Math.abs(mean(drawn) - expected)).toBeLessThan(expected / 20)
      }
    }))

  it.effect("stay finite and within the cap, whatever the options and the number of attempts", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.record({
            jitter: fc.oneof(
              fc.constantFrom("none", "full", "equal", "decorrelated"),
              fc.double({ min: 0, max: 1, noNaN: true })
            ),
            baseDelay: fc.double({ min: 0, max: 1e9, noNaN: true }),
            factor: fc.double({ min: 1, max: 1e6, noNaN: true })
          }),
          fc.double({ min: 1, max: 1000, noNaN: true }),
          fc.string(),
          async (options, times, seed) => {
            const maxDelay = Math.min(2 ** 31 - 1, options.baseDelay * times)
            const policy = { ...options, maxDelay, maxAttempts: "unbounded" } as RetryPolicy.Options
            for (const delay of await Effect.runPromise(delays(policy, 1200, seed))) {
              expect(delay).toBeGreaterThanOrEqual(0)
              // A Duration is whole nanoseconds.
              expect(delay).toBeLessThanOrEqual(maxDelay + 1e-6)
            }
          }
        ),
        { numRuns: 30 }
      )
    ))
})

describe("RetryPolicy.retry", () => {
  it.effect("by default tries three times in total, and gives the last error as it is", () =>
    Effect.gen(function* () {
      const { attempt, times } = failing(refused)
      const exit = yield* run(Effect.withRandom(RetryPolicy.retry(attempt, RetryPolicy.make()), Random.make(1)))
      expect(exit).toEqual(Exit.fail(refused))
      expect(times.length).toBe(3)
      expect(times[1]).toBeGreaterThanOrEqual(100)
      expect(times[1]).toBeLessThan(300)
      expect(times[2]! - times[1]!).toBeLessThan(900)
    }))

  it.effect("waits between attempts by the clock", () =>
    Effect.gen(function* () {
      const { attempt, times } = failing(refused)
      const typed: Effect.Effect<never, NetError.ConnectionRefused> = attempt.pipe(
        RetryPolicy.retry(RetryPolicy.make({ maxAttempts: 6, jitter: "none" }))
      )
      yield* run(typed)
      expect(times).toEqual([0, 100, 300, 700, 1500, 3100])
    }))

  it.effect("ends with the first success", () =>
    Effect.gen(function* () {
      let attempts = 0
      const third = Effect.suspend(() => ++attempts < 3 ? Effect.fail(refused) : Effect.succeed("hello"))
      expect(yield* run(RetryPolicy.retry(third, RetryPolicy.make({ maxAttempts: 9 })))).toEqual(Exit.succeed("hello"))
      expect(attempts).toBe(3)
    }))

  it.effect("one attempt is no retry", () =>
    Effect.gen(function* () {
      const { attempt, times } = failing(refused)
      yield* run(RetryPolicy.retry(attempt, RetryPolicy.make({ maxAttempts: 1 })))
      expect(times).toEqual([0])
    }))

  it.effect("never sleeps past maxDuration, which counts from the first attempt", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.make({ maxAttempts: "unbounded", jitter: "none", baseDelay: 100, maxDuration: 1200 })
      const quick = failing(refused)
      yield* run(RetryPolicy.retry(quick.attempt, policy))
      expect(quick.times).toEqual([0, 100, 300, 700])
      const slow = failing(refused)
      yield* run(RetryPolicy.retry(Effect.delay(slow.attempt, 500), policy))
      expect(slow.times.map((time) => time - slow.times[0]! + 500)).toEqual([500, 1100])
      const late = failing(refused)
      yield* run(Effect.retry(Effect.delay(late.attempt, 500), RetryPolicy.toSchedule(policy)))
      expect(late.times.map((time) => time - late.times[0]! + 500)).toEqual([500, 1100, 1800])
    }))

  it.effect("tries transient errors of the SDK again, and no others, unless told", () =>
    Effect.gen(function* () {
      class Busy extends Data.TaggedError("Busy")<{ readonly again: boolean }> {}
      const count = <E>(error: E, policy: RetryPolicy.RetryPolicy<E>) => {
        const { attempt, times } = failing(error)
        return Effect.as(run(RetryPolicy.retry(attempt, policy)), times)
      }
      const invalid = new NetError.InvalidOption({ option: "port", value: 0, expected: "a port" })
      const usual = RetryPolicy.make()
      const ours = RetryPolicy.make({ retryIf: (error: Busy) => error.again })
      expect((yield* count(refused, usual)).length).toBe(3)
      expect((yield* count(invalid, usual)).length).toBe(1)
      expect((yield* count(new Busy({ again: true }), usual)).length).toBe(1)
      expect((yield* count(new Busy({ again: true }), ours)).length).toBe(3)
      expect((yield* count(new Busy({ again: false }), ours)).length).toBe(1)
    }))

  it.effect("does not try defects again, and interruption ends the waiting", () =>
    Effect.gen(function* () {
      let attempts = 0
      const dying = Effect.suspend(() => Effect.die(++attempts))
      expect(yield* run(RetryPolicy.retry(dying, RetryPolicy.make({ retryIf: () => true })))).toEqual(Exit.die(1))
      const fiber = yield* Effect.fork(RetryPolicy.retry(failing(refused).attempt, RetryPolicy.make()))
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
    }))

  it.effect("takes any Schedule instead", () =>
    Effect.gen(function* () {
      const { attempt, times } = failing("whatever")
      const exit = yield* run(
        RetryPolicy.retry(attempt, Schedule.spaced(10).pipe(Schedule.intersect(Schedule.recurs(2))))
      )
      expect(exit).toEqual(Exit.fail("whatever"))
      expect(times).toEqual([0, 10, 20])
    }))

  it.effect("says at debug level what failed and when it goes on", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ cause, logLevel, message }) =>
        void lines.push(`${logLevel.label} ${String(message)}: ${Cause.pretty(cause).split("\n")[0]}`)
      )
      yield* run(Effect.exit(RetryPolicy.retry(failing(refused).attempt, RetryPolicy.make({ jitter: "none" })))).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Logger.withMinimumLogLevel(LogLevel.Debug)
      )
      expect(lines).toEqual([
        "DEBUG attempt 1 failed, the next in 100ms: ConnectionRefused: connect to 127.0.0.1:1: connection refused; is a server listening there?",
        "DEBUG attempt 2 failed, the next in 200ms: ConnectionRefused: connect to 127.0.0.1:1: connection refused; is a server listening there?"
      ])
    }))
})

describe("a budget", () => {
  const budget = () => RetryBudget.make({ ttl: "10 seconds", minRetriesPerSecond: 0, percentCanRetry: 0.2 })

  it.effect("keeps retries to a fifth of the calls, over all policies that share it", () =>
    Effect.gen(function* () {
      const shared = budget()
      const a = RetryPolicy.make({ budget: shared, baseDelay: 0 })
      const b = RetryPolicy.make({ budget: shared, baseDelay: 0, maxAttempts: 9 })
      const { attempt, times } = failing(refused)
      for (let call = 0; call < 50; call++) {
        expect(yield* Effect.exit(RetryPolicy.retry(attempt, call % 2 === 0 ? a : b))).toEqual(Exit.fail(refused))
      }
      expect(times.length).toBe(50 + 10)
    }))

  it.effect("is paid for by calls that succeed, and not charged for what is not tried again", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.make({ budget: budget(), baseDelay: 0, maxAttempts: 2 })
      for (let call = 0; call < 10; call++) yield* RetryPolicy.retry(Effect.succeed(call), policy)
      yield* Effect.exit(RetryPolicy.retry(Effect.fail("not ours"), policy))
      yield* Effect.exit(
        RetryPolicy.retry(failing(refused).attempt, RetryPolicy.make({ maxAttempts: 1, budget: policy.budget }))
      )
      expect(yield* policy.budget!.balance).toBe(2)
    }))

  it.effect("as a plain Schedule counts the calls that fail", () =>
    Effect.gen(function* () {
      const shared = RetryBudget.make({ minRetriesPerSecond: 0, percentCanRetry: 1 })
      const { attempt, times } = failing(refused)
      yield* Effect.exit(
        Effect.retry(attempt, RetryPolicy.toSchedule(RetryPolicy.make({ budget: shared, baseDelay: 0 })))
      )
      expect(times.length).toBe(2)
    }))
})

describe("RetryPolicy.make", () => {
  it("throws InvalidOption for what cannot be meant", () => {
    const wrong: ReadonlyArray<RetryPolicy.Options> = [
      { maxAttempts: 0 },
      { maxAttempts: 1.5 },
      { maxAttempts: NaN },
      { maxAttempts: "many" as "unbounded" },
      { baseDelay: -1 },
      { baseDelay: NaN },
      { baseDelay: "2 seconds", maxDelay: "1 second" },
      { baseDelay: Infinity },
      { maxDelay: Infinity },
      { maxDelay: "25 days" },
      { factor: 0.9 },
      { factor: NaN },
      { factor: Infinity },
      { jitter: -0.1 },
      { jitter: 1.1 },
      { jitter: NaN },
      { jitter: "half" as "full" },
      { maxDuration: -1 },
      { maxDuration: "-1 second" },
      { factor: Symbol.iterator as never },
      { budget: null as never },
      { retryIf: true as never }
    ]
    for (const options of wrong) {
      expect(() => RetryPolicy.make(options), JSON.stringify(options)).toThrow(NetError.InvalidOption)
    }
  })

  it("has the defaults of the field; a base over 30 seconds is a cap of its own", () => {
    expect(RetryPolicy.make()).toMatchObject({
      maxAttempts: 3,
      baseDelay: Duration.millis(100),
      maxDelay: Duration.seconds(30),
      factor: 3,
      jitter: "decorrelated",
      maxDuration: Duration.infinity,
      budget: undefined
    })
    expect(RetryPolicy.make({ jitter: "full" }).factor).toBe(2)
    expect(RetryPolicy.make({ baseDelay: "1 minute" }).maxDelay).toEqual(Duration.minutes(1))
    expect(RetryPolicy.isRetryPolicy(RetryPolicy.make())).toBe(true)
  })
})

describe("RetryPolicy.config", () => {
  const load = (settings: Record<string, string>, defaults?: RetryPolicy.Options) =>
    Effect.either(Effect.withConfigProvider(
      Config.nested(RetryPolicy.config(defaults), "retry"),
      ConfigProvider.fromMap(new Map(Object.entries(settings)))
    ))

  it.effect("reads what is there, over the defaults given", () =>
    Effect.gen(function* () {
      const settings = {
        "retry.maxAttempts": "unbounded",
        "retry.baseDelay": "1 second",
        "retry.jitter": "0.2",
        "retry.budget.percentCanRetry": "0.5"
      }
      const policy = Either.getOrThrow(yield* load(settings, { factor: 1.6, baseDelay: "2 seconds" }))
      expect(policy).toMatchObject({ maxAttempts: Infinity, baseDelay: Duration.seconds(1), jitter: 0.2, factor: 1.6 })
      expect(RetryBudget.isRetryBudget(policy.budget)).toBe(true)
      expect(Either.getOrThrow(yield* load({}))).toMatchObject({
        maxAttempts: 3,
        budget: undefined,
        jitter: "decorrelated"
      })
      expect(Either.getOrThrow(yield* load({ "retry.jitter": "full" })).jitter).toBe("full")
    }))

  it.effect.each(
    [
      [{ "retry.maxAttempts": "0" }, "retry.maxAttempts"],
      [{ "retry.maxAttempts": "many" }, "retry.maxAttempts"],
      [{ "retry.baseDelay": "soon" }, "retry.baseDelay"],
      [{ "retry.baseDelay": "-1 second" }, "retry.baseDelay"],
      [{ "retry.jitter": "half" }, "retry.jitter"],
      [{ "retry.factor": "0" }, "factor"],
      [{ "retry.budget.ttl": "1 hour" }, "ttl"]
    ] as const
  )("names the setting that is wrong: %j", ([settings, name]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(yield* load(settings))
      expect(String(error)).toContain(name)
    }))
})

describe("Net.connect", () => {
  /** A memory network that refuses the first dials, and counts all. */
  const refusing = (times: number) => {
    const memory = MemoryNetwork.make()
    const state = { dials: 0 }
    const transport: Transport.Transport = {
      ...memory,
      connect: (request, events) =>
        ++state.dials > times
          ? memory.connect(request, events)
          : memory.connect({ ...request, endpoint: { host: "127.0.0.1", port: 1 } }, events)
    }
    return { state, layer: Network.layer(transport) }
  }

  it.scoped("dials again by the policy; a failed attempt leaves nothing in the scope", () => {
    const { layer, state } = refusing(2)
    return Effect.gen(function* () {
      const listener = yield* Net.listen({ port: 0 })
      const scope = yield* Scope.make()
      const finalizers = () =>
        (scope as unknown as { state: { finalizers?: Map<unknown, unknown> } }).state.finalizers?.size ?? 0
      const dialling = yield* Effect.fork(Scope.extend(
        Net.connect(listener.address, { retry: { jitter: "none", maxDelay: "1 second", baseDelay: "1 second" } }),
        scope
      ))
      for (const dials of [1, 2, 3]) {
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))
        expect(state.dials).toBe(dials)
        expect(finalizers()).toBe(dials === 3 ? 1 : 0)
        yield* TestClock.adjust("1 second")
      }
      const connection = yield* Fiber.join(dialling)
      const accepted = yield* listener.accept
      yield* connection.write("hello\n")
      expect(new TextDecoder().decode(yield* accepted.readUntil("\n"))).toBe("hello\n")
      yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* accepted.read
      expect(yield* Effect.flip(connection.write("more"))).toMatchObject({ _tag: "ConnectionClosed" })
    }).pipe(Effect.provide(layer))
  })

  it.scoped("gives up with the error of the last dial", () => {
    const { layer, state } = refusing(9)
    return Effect.gen(function* () {
      const error = yield* Effect.flip(
        Net.connect("127.0.0.1:2", { retry: RetryPolicy.make({ baseDelay: 0, maxAttempts: 4 }) })
      )
      expect(error._tag).toBe("ConnectionRefused")
      expect(state.dials).toBe(4)
    }).pipe(Effect.provide(layer))
  })

  it.scoped("takes a Schedule, with which wrong options fail at once all the same", () => {
    const { layer, state } = refusing(9)
    return Effect.gen(function* () {
      yield* Effect.flip(Net.connect("127.0.0.1:2", { retry: Schedule.recurs(4) }))
      expect(state.dials).toBe(5)
      for (const retry of [Schedule.forever, { retryIf: () => true, maxAttempts: "unbounded" } as const]) {
        const error = yield* Effect.flip(Net.connect("127.0.0.1:2", { retry, readBuffer: 0 }))
        expect(error).toMatchObject({ _tag: "InvalidOption", option: "readBuffer" })
      }
      const wrong = yield* Effect.flip(Net.connect("127.0.0.1:2", { retry: { maxAttempts: 0 } }))
      expect(wrong).toMatchObject({ _tag: "InvalidOption", option: "maxAttempts" })
      expect(state.dials).toBe(5)
    }).pipe(Effect.provide(layer))
  })
})
