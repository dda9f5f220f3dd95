/**
 * The race itself, over attempts that a test settles by hand or by the clock; and the order of addresses.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { interleave, race, type Settle } from "../src/internal/race.ts"

interface Runner {
  readonly wins: boolean
  readonly after: number
}

/** What the rules come to, reckoned on paper: when each begins, who wins, and all times at which something happens. */
const onPaper = (runners: ReadonlyArray<Runner>, delay: number) => {
  const begins: Array<number> = []
  const times = new Set<number>()
  let winner: { readonly index: number; readonly at: number } | undefined
  let now = 0
  for (const [index, { after, wins }] of runners.entries()) {
    if (winner !== undefined && winner.at < now) break
    begins.push(now)
    if (wins && (winner === undefined || now + after < winner.at)) winner = { index, at: now + after }
    times.add(now).add(now + after)
    now += wins ? delay : Math.min(delay, after)
  }
  return { begins, winner: winner?.index, times: [...times].sort((a, b) => a - b) }
}

/** Begins a race whose runners take their time by the clock, and notes who is under way. */
const start = (runners: ReadonlyArray<Runner>, delay: number) =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const begins: Array<number> = []
    const underWay = new Set<Runner>()
    const begin = (runner: Runner, settle: Settle<Runner>) => {
      begins.push(clock.unsafeCurrentTimeMillis())
      underWay.add(runner)
      Effect.runFork(Effect.map(clock.sleep(Duration.millis(runner.after)), () => {
        if (underWay.delete(runner)) runner.wins ? settle.won(runner) : settle.lost()
      }))
      return () => void underWay.delete(runner)
    }
    const racing = yield* Effect.fork(race(runners, begin, Duration.millis(delay)))
    return { racing, begins, underWay }
  })

/** No two of the times that these add up to are the same. */
const field = fc.array(fc.record({ wins: fc.boolean(), steps: fc.integer({ min: 0, max: 5 }) }), {
  minLength: 1,
  maxLength: 6
}).map((runners) => runners.map(({ steps, wins }, i): Runner => ({ wins, after: 64 * steps + 2 ** i })))
const delays = fc.integer({ min: 1, max: 4 }).map((steps) => 64 * steps)

describe("race", () => {
  it.effect.prop(
    "each begins, and the first wins, when RFC 8305 says",
    [field, delays],
    ([runners, delay]) =>
      Effect.gen(function* () {
        const { begins, racing, underWay } = yield* start(runners, delay)
        const paper = onPaper(runners, delay)
        for (const time of paper.times) yield* TestClock.setTime(time)
        const exit = yield* Fiber.await(racing)
        expect(exit).toEqual(paper.winner === undefined ? Exit.fail(undefined) : Exit.succeed(runners[paper.winner]))
        expect(begins).toEqual(paper.begins)
        expect(underWay.size).toBe(0)
      }),
    { fastCheck: { numRuns: 25 } }
  )

  it.effect("interrupted, it gives up all that is under way, and begins no more", () =>
    Effect.gen(function* () {
      const slow = [1000, 2000, 3000, 4000].map((after) => ({ wins: true, after }))
      const { begins, racing, underWay } = yield* start(slow, 100)
      yield* TestClock.setTime(150)
      expect(underWay.size).toBe(2)
      yield* Fiber.interrupt(racing)
      expect(underWay.size).toBe(0)
      yield* TestClock.setTime(5000)
      expect(begins).toEqual([0, 100])
    }))
})

describe("interleave", () => {
  const addresses = fc.uniqueArray(fc.record({ family: fc.constantFrom(4, 6), n: fc.nat(99) }), {
    selector: ({ n }) => n
  })

  it("lets the families take turns, keeps the order within each, and loses none", () => {
    fc.assert(fc.property(addresses, (items) => {
      const order = interleave(items, ({ family }) => family)
      expect(order.length).toBe(items.length)
      expect(order[0]).toBe(items[0])
      for (const family of [4, 6]) {
        const of = (list: typeof items) => list.filter((item) => item.family === family)
        expect(of([...order])).toEqual(of(items))
      }
      const families = order.map(({ family }) => family)
      const lastTurn = 2 * Math.min(...[4, 6].map((family) => families.filter((f) => f === family).length))
      for (let i = 1; i < lastTurn; i++) expect(families[i]).not.toBe(families[i - 1])
    }))
  })
})
