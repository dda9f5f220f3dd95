import { describe, expect, it } from "@effect/vitest"
import { type Clock, Duration, Effect, TestClock } from "effect"
import { Deadlines, Entry } from "../src/internal/deadlines.ts"

class Wait extends Entry {
  readonly name: string
  readonly #log: Array<string>
  constructor(name: string, log: Array<string>) {
    super()
    this.name = name
    this.#log = log
  }
  expire(): void {
    this.#log.push(this.name)
  }
}

const setUp = Effect.gen(function* () {
  const log: Array<string> = []
  const deadlines = new Deadlines(yield* Effect.clock, Duration.seconds(10))
  yield* Effect.forkScoped(deadlines.watch)
  return { log, deadlines, wait: (name: string) => new Wait(name, log) }
})

describe("Deadlines", () => {
  it.scoped("expire in the order of arming, each at its own time", () =>
    Effect.gen(function* () {
      const { deadlines, log, wait } = yield* setUp
      deadlines.arm(wait("a"))
      yield* TestClock.adjust("4 seconds")
      deadlines.arm(wait("b"))
      yield* TestClock.adjust("5999 millis")
      expect(log).toEqual([])
      yield* TestClock.adjust("1 millis")
      expect(log).toEqual(["a"])
      yield* TestClock.adjust("4 seconds")
      expect(log).toEqual(["a", "b"])
    }))

  it.scoped("come also after longer than a timer can wait", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const timers = Object.assign(Object.create(clock), {
        sleep: (time: Duration.Duration) => Duration.toMillis(time) < 2 ** 31 ? clock.sleep(time) : Effect.never
      }) as Clock.Clock
      const deadlines = new Deadlines(timers, Duration.days(60))
      yield* Effect.forkScoped(deadlines.watch)
      const log: Array<string> = []
      deadlines.arm(new Wait("a", log))
      yield* TestClock.adjust("59 days")
      expect(log).toEqual([])
      yield* TestClock.adjust("1 day")
      expect(log).toEqual(["a"])
    }))

  it.scoped("start anew when armed again, and never when disarmed", () =>
    Effect.gen(function* () {
      const { deadlines, log, wait } = yield* setUp
      const [a, b, c] = [wait("a"), wait("b"), wait("c")]
      for (const entry of [a, b, c]) deadlines.arm(entry)
      yield* TestClock.adjust("6 seconds")
      deadlines.arm(a)
      deadlines.disarm(b)
      yield* TestClock.adjust("4 seconds")
      expect(log).toEqual(["c"])
      yield* TestClock.adjust("6 seconds")
      expect(log).toEqual(["c", "a"])
      yield* TestClock.adjust("1 hour")
      expect(log).toEqual(["c", "a"])
    }))

  it.scoped("can be armed within an expiry", () =>
    Effect.gen(function* () {
      const { deadlines, log } = yield* setUp
      class Again extends Entry {
        expire(): void {
          log.push("again")
          deadlines.arm(this)
        }
      }
      deadlines.arm(new Again())
      yield* TestClock.adjust("35 seconds")
      expect(log.length).toBe(3)
    }))
})
