/**
 * Pools under whatever order of events: invariants under random interleavings, and a real server that hangs up at random.
 */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Option, Scope, TestClock, TestContext } from "effect"
import { ConnectionPool, Framed, Framing, NetError, Server } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import * as fc from "fast-check"

const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

type Step =
  | { readonly do: "acquire" | "settle" | "tick" | "openNext" }
  | { readonly do: "end" | "fail" | "die" | "invalidate" | "interrupt"; readonly at: number }
  | { readonly do: "refuse"; readonly times: number }

const at = fc.nat(1000)
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Step>({ do: "acquire" }) },
    { weight: 4, arbitrary: at.map((at): Step => ({ do: "end", at })) },
    { weight: 4, arbitrary: fc.constant<Step>({ do: "openNext" }) },
    { weight: 2, arbitrary: at.map((at): Step => ({ do: "interrupt", at })) },
    { weight: 1, arbitrary: at.map((at): Step => ({ do: "fail", at })) },
    { weight: 1, arbitrary: at.map((at): Step => ({ do: "die", at })) },
    { weight: 1, arbitrary: at.map((at): Step => ({ do: "invalidate", at })) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }).map((times): Step => ({ do: "refuse", times })) },
    { weight: 3, arbitrary: fc.constant<Step>({ do: "settle" }) },
    { weight: 2, arbitrary: fc.constant<Step>({ do: "tick" }) }
  ),
  { minLength: 5, maxLength: 60 }
)

interface Item {
  holder: number | undefined
  bad: boolean
}

interface Borrower {
  readonly n: number
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

const reset = () => new NetError.ConnectionReset({ operation: "read" })

/** Runs the steps and checks what must hold at each; `settled` lets all fibers run between any two. */
const run = (
  plan: ReadonlyArray<Step>,
  limits: {
    readonly min: number
    readonly max: number
    readonly slow: boolean
    readonly settled: boolean
    readonly checked: boolean
  }
) =>
  Effect.gen(function* () {
    const open = new Set<Item>()
    const opening: Array<Deferred.Deferred<void>> = []
    const ends = new Map<number, Deferred.Deferred<void, unknown>>()
    const held = new Map<number, Item>()
    const borrowers: Array<Borrower> = []
    const served: Array<number> = []
    const violations: Array<string> = []
    const must = (holds: boolean, what: string) => void (holds || violations.push(what))
    let refusals = 0
    let checks = 0
    let n = 0

    const acquire = Effect.acquireRelease(
      Effect.gen(function* () {
        if (limits.slow) {
          const gate = yield* Deferred.make<void>()
          opening.push(gate)
          yield* Effect.interruptible(Deferred.await(gate))
        }
        if (refusals > 0) {
          refusals--
          return yield* Effect.fail("refused" as const)
        }
        const item: Item = { holder: undefined, bad: false }
        open.add(item)
        must(open.size <= limits.max, "more open than allowed")
        return item
      }),
      (item) =>
        Effect.sync(() => {
          must(item.holder === undefined, "closed while it is lent")
          must(open.delete(item), "closed twice")
        })
    )
    const scope = yield* Scope.make()
    const pool = yield* Scope.extend(
      ConnectionPool.make({
        acquire,
        minConnections: limits.min,
        maxConnections: limits.max,
        maxPendingAcquires: 5,
        idleTimeout: "3 seconds",
        maxLifetime: "20 seconds",
        openTimeout: "12 seconds",
        ...(limits.checked
          ? {
            healthCheck: (item: Item) =>
              Effect.suspend(() => {
                if (++checks % 3 !== 0) return Effect.void
                item.bad = true
                return Effect.fail("unhealthy")
              })
          }
          : {})
      }),
      scope
    )

    const borrower = (me: number) =>
      pool.use((item) =>
        Effect.gen(function* () {
          must(!item.bad, "lent though it is bad")
          must(item.holder === undefined, "lent to two")
          must(open.has(item), "lent though it is closed")
          item.holder = me
          held.set(me, item)
          served.push(me)
          const end = yield* Deferred.make<void, unknown>()
          ends.set(me, end)
          return yield* Deferred.await(end)
        }).pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit)) item.bad = true
              item.holder = undefined
              held.delete(me)
              ends.delete(me)
            })
          )
        )
      )

    const pick = <A>(all: Iterable<A>, at: number): A | undefined => {
      const list = [...all]
      return list[at % Math.max(1, list.length)]
    }

    const step = (step: Step): Effect.Effect<unknown> =>
      Effect.gen(function* () {
        switch (step.do) {
          case "acquire": {
            const me = n++
            borrowers.push({ n: me, fiber: yield* Effect.fork(borrower(me)) })
            return
          }
          case "end":
            return yield* Deferred.succeed(
              pick(ends.values(), step.at) ?? (yield* Deferred.make<void, unknown>()),
              undefined
            )
          case "fail":
            return yield* Deferred.fail(
              pick(ends.values(), step.at) ?? (yield* Deferred.make<void, unknown>()),
              reset()
            )
          case "die":
            return yield* Deferred.die(pick(ends.values(), step.at) ?? (yield* Deferred.make<void, unknown>()), "bug")
          case "invalidate": {
            const item = pick(open, step.at)
            if (item === undefined) return
            item.bad = true
            // Who has it goes on; `bad` is about the next one.
            return yield* pool.invalidate(item)
          }
          case "interrupt": {
            const one = pick(borrowers.filter(({ fiber }) => fiber.unsafePoll() === null), step.at)
            return one && (yield* Fiber.interruptFork(one.fiber))
          }
          case "refuse":
            refusals = step.times
            return
          case "openNext": {
            const gate = opening.shift()
            return gate && (yield* Deferred.succeed(gate, undefined))
          }
          case "settle":
            return yield* settle
          case "tick":
            return yield* TestClock.adjust("1 second")
        }
      })

    for (const next of plan) {
      yield* step(next)
      if (limits.settled) yield* settle
      const status = yield* pool.status
      expect(status.idle + status.borrowed + status.opening).toBeLessThanOrEqual(limits.max)
      expect(status.waiting - status.opening).toBeLessThanOrEqual(5)
      if (limits.settled) expect(status.borrowed).toBe(held.size)
      // Nobody waits while something is free.
      if (status.waiting > 0) expect(status.idle).toBe(0)
    }
    // Who was served was served in the order of arrival.
    if (limits.settled && !limits.checked) expect(served).toEqual([...served].sort((a, b) => a - b))

    const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
    yield* settle
    for (const end of ends.values()) yield* Deferred.succeed(end, undefined)
    yield* settle
    yield* Fiber.join(closing)
    expect(open.size).toBe(0)
    expect(yield* pool.status).toMatchObject({ idle: 0, borrowed: 0, waiting: 0, opening: 0, closing: 0 })
    const { created, discarded } = yield* pool.status
    expect(Object.values(discarded).reduce((sum, some) => sum + some, 0)).toBe(created)
    for (const { fiber } of borrowers) yield* Fiber.await(fiber)
    expect(violations).toEqual([])
  }).pipe(Effect.provide([TestContext.TestContext, Logger.remove(Logger.defaultLogger)]))

describe("pools, whatever happens", () => {
  it(
    "hold to their limits, lend to one at a time, in order, never what is bad, and leave nothing open",
    () =>
      fc.assert(
        fc.asyncProperty(
          steps,
          fc.record({
            min: fc.nat(1),
            max: fc.integer({ min: 1, max: 4 }),
            slow: fc.boolean(),
            settled: fc.boolean(),
            checked: fc.boolean()
          }),
          (plan, limits) => Effect.runPromise(run(plan, limits))
        ),
        { numRuns: 150 }
      ),
    60_000
  )
})

const messages = Framing.netstring().pipe(Framing.text())

describe("a pool of real connections", () => {
  it.live(
    "to a server that hangs up at random: no answer is another's, and all are answered",
    () =>
      Effect.scoped(Effect.gen(function* () {
        let random = 7
        const chance = (percent: number) => (random = (random * 16807) % 2147483647) % 100 < percent
        const { address, status } = yield* Server.serve(Server.make({
          listen: { host: "127.0.0.1", port: 0 },
          handler: (connection) =>
            Effect.gen(function* () {
              const framed = Framed.make(connection, messages)
              for (let message = yield* framed.receive; Option.isSome(message); message = yield* framed.receive) {
                // Before the answer, after a part of it, or when nobody expects it.
                if (chance(5)) return
                if (chance(5)) return yield* connection.write(`99:${message.value}`)
                yield* framed.send(message.value)
                if (chance(10)) return
              }
            })
        }))
        const pool = yield* ConnectionPool.make({
          acquire: Framed.connect(address, messages),
          minConnections: 2,
          maxConnections: 4
        })
        const ask = (n: number) =>
          pool.use((framed) => framed.request(`request ${n}`)).pipe(
            Effect.retry({ times: 30, while: NetError.isNetError }),
            Effect.tap((answer) => expect(answer).toBe(`request ${n}`))
          )
        yield* Effect.forEach(Array.from({ length: 500 }, (_, n) => n), ask, { concurrency: 16, discard: true })
        const { created, discarded } = yield* pool.status
        expect(created).toBeGreaterThan(10)
        expect(discarded.closed + discarded.failed).toBeGreaterThan(10)
        expect((yield* status).active).toBeLessThanOrEqual(8)
      })).pipe(Effect.provide(RuntimeNetwork.layer)),
    30_000
  )

  it.live("sees the end of an idle one that nobody reads from, used or not", () =>
    Effect.scoped(Effect.gen(function* () {
      const hangUp = yield* Deferred.make<void>()
      const { address } = yield* Server.serve(Server.make({
        listen: { host: "127.0.0.1", port: 0 },
        handler: (connection) =>
          Effect.raceFirst(
            Deferred.await(hangUp),
            Effect.forever(Effect.flatMap(
              connection.read,
              Option.match({
                onNone: () => Effect.interrupt,
                onSome: connection.write
              })
            ))
          )
      }))
      const pool = yield* ConnectionPool.connect(address, { maxConnections: 2 })
      // One is written to and read from, the other is left as it came.
      yield* pool.use((connection) =>
        Effect.zipRight(
          pool.use(() => Effect.void),
          Effect.zipRight(connection.write("ping"), connection.readExactly(4))
        )
      )
      expect((yield* pool.status).idle).toBe(2)
      yield* Deferred.succeed(hangUp, undefined)
      // Without an acquire: they are not kept in CLOSE_WAIT until somebody asks.
      const gone: Effect.Effect<void> = Effect.flatMap(
        pool.status,
        ({ closing, idle }) => idle + closing === 0 ? Effect.void : Effect.zipRight(settle, gone)
      )
      yield* gone
      expect((yield* pool.status).discarded.closed).toBe(2)
    })).pipe(Effect.provide(RuntimeNetwork.layer)))
})
