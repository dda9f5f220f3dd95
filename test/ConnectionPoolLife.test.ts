/**
 * The life of what is pooled: health, age, idleness, the drain, and pools by key.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Scope, TestClock } from "effect"
import { ConnectionPool, SocketAddress } from "effect-netkit"
import { borrow, idOf, settle, tagOf, Things } from "./support/connectionPool.ts"

describe("a health check", () => {
  it.scoped("that fails, or says no, closes it and takes another", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: things.acquire,
        healthCheck: ({ id }) => id === 2 ? Effect.succeed(false) : id === 3 ? Effect.fail("no") : Effect.void
      })
      const held = yield* Effect.all([borrow(pool), borrow(pool), borrow(pool)])
      for (const { end } of held) yield* end()
      expect(yield* idOf(pool)).toBe(1)
      expect(yield* pool.status).toMatchObject({ idle: 1, discarded: { unhealthy: 2 } })
    }))

  it.scoped("that fails for all opens a new one, ahead of who came later", () =>
    Effect.gen(function* () {
      const things = new Things()
      const gate = yield* Deferred.make<void>()
      const pool = yield* ConnectionPool.make({
        acquire: things.acquire,
        maxConnections: 1,
        healthCheck: ({ id }) => id === 1 ? Effect.as(Deferred.await(gate), false) : Effect.succeed(true)
      })
      expect(yield* idOf(pool)).toBe(1)
      const order: Array<string> = []
      const first = yield* Effect.fork(pool.use(() => Effect.sync(() => order.push("first"))))
      yield* settle
      const second = yield* Effect.fork(pool.use(() => Effect.sync(() => order.push("second"))))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll([first, second])
      expect(order).toEqual(["first", "second"])
      expect(things.opened).toBe(2)
    }))

  it.scoped("counts against the time of the acquire", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: things.acquire,
        maxConnections: 1,
        healthCheck: ({ id }) => id === 1 ? Effect.never : Effect.void
      })
      yield* idOf(pool)
      const late = yield* Effect.fork(Effect.uninterruptible(tagOf(idOf(pool))))
      yield* settle
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(late)).toBe("PoolTimeout")
      expect(things.open.size).toBe(0)
      expect(yield* idOf(pool)).toBe(2)
    }))

  it.scoped("that is interrupted, or dies, closes it", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: things.acquire,
        maxConnections: 1,
        healthCheck: ({ id }) => id === 1 ? Effect.never : Effect.die("bug")
      })
      yield* idOf(pool)
      const first = yield* Effect.fork(idOf(pool))
      yield* settle
      yield* Fiber.interrupt(first)
      expect(yield* pool.status).toMatchObject({ idle: 0, borrowed: 0, discarded: { interrupted: 1 } })
      expect(yield* idOf(pool)).toBe(2)
      expect(Cause.pretty(yield* Effect.flip(Effect.sandbox(idOf(pool))))).toContain("bug")
      expect(things.open.size).toBe(0)
    }))
})

describe("time", () => {
  it.scoped("idle ones go after `idleTimeout`, the longest idle first, down to the minimum", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({ acquire: things.acquire, minConnections: 1 })
      const held = yield* Effect.all([borrow(pool), borrow(pool), borrow(pool)])
      yield* held[0]!.end()
      yield* TestClock.adjust("30 seconds")
      yield* held[1]!.end()
      yield* held[2]!.end()
      yield* TestClock.adjust("30 seconds")
      expect([...things.open].map(({ id }) => id)).toEqual([2, 3])
      yield* TestClock.adjust("10 minutes")
      expect(things.open.size).toBe(1)
      expect(yield* pool.status).toMatchObject({ idle: 1, created: 3, discarded: { idle: 2 } })
    }))

  it.scoped("a use starts the time of being idle anew", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({ acquire: things.acquire })
      for (let i = 0; i < 5; i++) {
        expect(yield* idOf(pool)).toBe(1)
        yield* TestClock.adjust("59 seconds")
      }
      yield* TestClock.adjust("1 seconds")
      expect(things.open.size).toBe(0)
    }))

  it.scoped("one older than `maxLifetime` goes when it is idle, or comes back", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: things.acquire,
        idleTimeout: "1 hour",
        maxLifetime: "10 minutes"
      })
      const [held, idle] = yield* Effect.all([borrow(pool), borrow(pool)])
      yield* idle.end()
      yield* TestClock.adjust("10 minutes")
      expect([...things.open]).toEqual([held.item])
      yield* held.end()
      expect(things.open.size).toBe(0)
      expect((yield* pool.status).discarded.expired).toBe(2)
    }))

  it.scoped("the minimum is opened from the start, and again for what is lost", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: things.acquire,
        minConnections: 3,
        maxLifetime: "1 minutes"
      })
      expect(things.open.size).toBe(3)
      yield* TestClock.adjust("1 minutes")
      expect(yield* pool.status).toMatchObject({ idle: 3, created: 6 })
    }))

  it.scoped("a minimum that cannot be opened is tried again at growing intervals", () =>
    Effect.gen(function* () {
      let attempts = 0
      const pool = yield* ConnectionPool.make({
        acquire: Effect.suspend(() => {
          attempts++
          return Effect.fail("no" as const)
        }),
        minConnections: 1
      })
      expect(attempts).toBe(1)
      yield* TestClock.adjust("100 millis")
      expect(attempts).toBe(2)
      yield* TestClock.adjust("200 millis")
      expect(attempts).toBe(3)
      yield* TestClock.adjust("10 minutes")
      expect(attempts).toBeGreaterThan(25)
      expect(attempts).toBeLessThan(60)
      // An acquire does not wait for the next attempt.
      expect(yield* Effect.flip(pool.use(Effect.succeed))).toBe("no")
    }))
})

describe("drain", () => {
  const opened = (things: Things, options: ConnectionPool.Limits = {}) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.extend(ConnectionPool.make({ acquire: things.acquire, ...options }), scope)
      return { pool, close: Scope.close(scope, Exit.void) }
    })

  it.scoped("closes the idle ones, refuses who waits and who comes, waits for what is lent", () =>
    Effect.gen(function* () {
      const things = new Things()
      const { close, pool } = yield* opened(things, { maxConnections: 2 })
      const [a, b] = yield* Effect.all([borrow(pool), borrow(pool)])
      const waiting = yield* Effect.fork(tagOf(idOf(pool)))
      yield* settle
      const closing = yield* Effect.fork(close)
      expect(yield* Fiber.join(waiting)).toBe("PoolClosed")
      expect(yield* tagOf(idOf(pool))).toBe("PoolClosed")
      yield* a.end()
      yield* settle
      expect([...things.open]).toEqual([b.item])
      expect(yield* Fiber.poll(closing)).toEqual(Option.none())
      yield* b.end()
      yield* Fiber.join(closing)
      expect(things.open.size).toBe(0)
      expect((yield* pool.status).discarded.drained).toBe(2)
    }))

  it.scoped("takes away what is still lent after `drainTimeout`", () =>
    Effect.gen(function* () {
      const things = new Things()
      const { close, pool } = yield* opened(things, { drainTimeout: "3 seconds" })
      const { end } = yield* borrow(pool)
      const closing = yield* Effect.fork(close)
      yield* settle
      yield* TestClock.adjust("2999 millis")
      expect(things.open.size).toBe(1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      expect(things.open.size).toBe(0)
      yield* end()
      expect(yield* pool.status).toMatchObject({ idle: 0, borrowed: 0, discarded: { drained: 1 } })
    }))

  it.scoped("gives up what is being opened", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.extend(
        ConnectionPool.make({ acquire: Effect.never, minConnections: 2, maxConnections: 3 }),
        scope
      )
      const waiting = yield* Effect.fork(tagOf(pool.use(Effect.succeed)))
      yield* settle
      expect((yield* pool.status).opening).toBe(2)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toBe("PoolClosed")
      expect((yield* pool.status).opening).toBe(0)
    }))
})

describe("keyed", () => {
  it.scoped("has a pool with limits for each key, forgotten when nothing is left", () =>
    Effect.gen(function* () {
      const opened: Array<string> = []
      const pools = yield* ConnectionPool.makeKeyed({
        acquire: (key: SocketAddress.SocketAddress) =>
          Effect.sync(() => {
            opened.push(String(key))
            return { key }
          }),
        maxConnections: 1,
        maxPendingAcquires: 0
      })
      const a = SocketAddress.inet("10.0.0.1", 1)
      const b = SocketAddress.inet("10.0.0.2", 1)
      yield* pools.use(a, () =>
        pools.use(b, () =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(pools.use(SocketAddress.inet("10.0.0.1", 1), Effect.succeed))
            expect(error.message).toMatch(/^acquire a connection to 10\.0\.0\.1:1: no more than 0 may wait/)
          })))
      yield* Effect.scoped(pools.get(a))
      expect(opened).toEqual(["10.0.0.1:1", "10.0.0.2:1"])
      expect((yield* pools.status).map(([key, { idle }]) => [String(key), idle])).toEqual([
        ["10.0.0.1:1", 1],
        ["10.0.0.2:1", 1]
      ])
      yield* TestClock.adjust("60 seconds")
      expect(yield* pools.status).toEqual([])
      yield* pools.use(a, Effect.succeed)
      expect(opened).toHaveLength(3)
    }))

  it.scoped("a key whose connection was bad when it was looked at stays the same key", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pools = yield* ConnectionPool.makeKeyed({
        acquire: (_: string) => things.acquire,
        healthCheck: () => Effect.succeed(false)
      })
      yield* pools.use("a", Effect.succeed)
      yield* pools.use("a", () =>
        Effect.gen(function* () {
          expect((yield* pools.status).map(([key, { borrowed }]) => [key, borrowed])).toEqual([["a", 1]])
        }))
      expect(things.opened).toBe(2)
    }))

  it.scoped("drains all keys at once", () =>
    Effect.gen(function* () {
      const things = new Things()
      const scope = yield* Scope.make()
      const pools = yield* Scope.extend(
        ConnectionPool.makeKeyed({ acquire: (_: string) => things.acquire, drainTimeout: "1 second" }),
        scope
      )
      yield* Effect.scoped(Effect.gen(function* () {
        yield* pools.get("a")
        yield* pools.get("b")
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* settle
        expect(yield* tagOf(pools.use("c", Effect.succeed))).toBe("PoolClosed")
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(closing)
      }))
      expect(things.open.size).toBe(0)
    }))
})
