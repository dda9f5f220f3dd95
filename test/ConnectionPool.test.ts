/**
 * Acquiring from a pool: whom it serves first, how long, and what becomes of what was used.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, FiberId, Option, TestClock } from "effect"
import { ConnectionPool, NetError } from "effect-netkit"
import { borrow, idOf, settle, tagOf, Thing, Things } from "./support/connectionPool.ts"

describe("ConnectionPool", () => {
  it.scoped("opens when needed, and lends the one used last first", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({ acquire: things.acquire })
      expect(things.opened).toBe(0)
      const first = yield* borrow(pool)
      const second = yield* borrow(pool)
      const third = yield* borrow(pool)
      yield* third.end()
      yield* first.end()
      yield* second.end()
      expect((yield* borrow(pool)).item.id).toBe(2)
      expect((yield* borrow(pool)).item.id).toBe(1)
      expect((yield* borrow(pool)).item.id).toBe(3)
      expect(yield* pool.status).toMatchObject({ idle: 0, borrowed: 3, created: 3 })
    }))

  it.scoped("lends at most `maxConnections`, and serves who waits in order", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({ acquire: things.acquire, maxConnections: 2 })
      const held = [yield* borrow(pool), yield* borrow(pool)]
      const order: Array<number> = []
      const gates = yield* Effect.all(Array.from({ length: 4 }, () => Deferred.make<void>()))
      const waiting = yield* Effect.forEach(gates, (gate, n) =>
        Effect.fork(pool.use(() =>
          Effect.suspend(() => {
            order.push(n)
            return Deferred.await(gate)
          })
        )))
      yield* settle
      expect(yield* pool.status).toMatchObject({ borrowed: 2, waiting: 4 })
      yield* held[1]!.end()
      yield* settle
      expect(order).toEqual([0])
      yield* held[0]!.end()
      for (const gate of gates) {
        yield* Deferred.succeed(gate, undefined)
        yield* settle
      }
      yield* Fiber.joinAll(waiting)
      expect(order).toEqual([0, 1, 2, 3])
      expect(things.opened).toBe(2)
    }))

  it.scoped("an acquire fails after `acquireTimeout`, and leaves the row", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({ acquire: things.acquire, maxConnections: 1 })
      const held = yield* borrow(pool)
      const late = yield* Effect.fork(Effect.flip(idOf(pool)))
      yield* settle
      yield* TestClock.adjust("4999 millis")
      expect(yield* Fiber.poll(late)).toEqual(Option.none())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(late)
      expect(error).toMatchObject({ _tag: "PoolTimeout", operation: "acquire", borrowed: 1, opening: 0, waiting: 0 })
      expect(error.message).toBe("acquire: none within 5s (1 in use, 0 being opened, 0 waiting)")
      expect(NetError.isTransient(error)).toBe(true)
      yield* held.end()
      expect(yield* pool.status).toMatchObject({ idle: 1, waiting: 0 })
      expect(yield* idOf(pool)).toBe(1)
    }))

  it.scoped("an acquire with no time gets what is idle, or nothing", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: Effect.zipRight(Deferred.await(gate), things.acquire),
        acquireTimeout: 0
      })
      const late = yield* Effect.fork(tagOf(idOf(pool)))
      yield* settle
      yield* TestClock.adjust(0)
      expect(yield* Fiber.join(late)).toBe("PoolTimeout")
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      expect(yield* idOf(pool)).toBe(1)
    }))

  it.scoped("refuses at once when too many wait", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: things.acquire,
        maxConnections: 1,
        maxPendingAcquires: 1
      })
      const held = yield* borrow(pool)
      const waiting = yield* Effect.fork(idOf(pool))
      yield* settle
      const error = yield* Effect.flip(idOf(pool))
      expect(error).toMatchObject({ _tag: "PoolExhausted", limit: 1, borrowed: 1, waiting: 1 })
      expect(error.message).toBe("acquire: no more than 1 may wait (1 in use, 0 being opened, 1 waiting)")
      yield* held.end()
      expect(yield* Fiber.join(waiting)).toBe(1)
    }))

  it.scoped("`maxPendingAcquires: 0` still lets one wait for what is opened for it", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const things = new Things()
      const pool = yield* ConnectionPool.make({
        acquire: Effect.zipRight(Deferred.await(gate), things.acquire),
        maxConnections: 1,
        maxPendingAcquires: 0
      })
      const first = yield* Effect.fork(idOf(pool))
      yield* settle
      expect(yield* tagOf(idOf(pool))).toBe("PoolExhausted")
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(first)).toBe(1)
    }))

  it.scoped("who is interrupted while it waits leaves the row, and the next is served", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({ acquire: things.acquire, maxConnections: 1 })
      const held = yield* borrow(pool)
      const first = yield* Effect.fork(idOf(pool))
      const second = yield* Effect.fork(idOf(pool))
      yield* settle
      yield* Fiber.interrupt(first)
      expect((yield* pool.status).waiting).toBe(1)
      yield* held.end()
      expect(yield* Fiber.join(second)).toBe(1)
    }))

  it.scoped("what was given to one who is interrupted in that moment goes to the next", () =>
    Effect.gen(function* () {
      const things = new Things()
      const pool = yield* ConnectionPool.make({ acquire: things.acquire, maxConnections: 1 })
      const held = yield* borrow(pool)
      const first = yield* Effect.fork(idOf(pool))
      const second = yield* Effect.fork(idOf(pool))
      yield* settle
      // It is given what comes back before it has run again, and will never use it.
      first.unsafeInterruptAsFork(FiberId.none)
      yield* held.end()
      expect(yield* Fiber.join(second)).toBe(1)
      yield* settle
      expect(yield* pool.status).toMatchObject({ idle: 1, borrowed: 0, waiting: 0 })
    }))

  it.scoped("one that is opened goes to who waits longest, also if it was opened for another", () =>
    Effect.gen(function* () {
      const things = new Things()
      const gate = yield* Deferred.make<void>()
      let slow = false
      const pool = yield* ConnectionPool.make({
        acquire: Effect.suspend(() => slow ? Effect.zipRight(Deferred.await(gate), things.acquire) : things.acquire),
        maxConnections: 2
      })
      const held = yield* borrow(pool)
      slow = true
      const first = yield* Effect.fork(idOf(pool))
      const second = yield* Effect.fork(idOf(pool))
      yield* settle
      yield* held.end()
      expect(yield* Fiber.join(first)).toBe(1)
      expect(yield* Fiber.join(second)).toBe(1)
      // Nobody waits for the one that is still being opened; it is kept.
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      expect(yield* pool.status).toMatchObject({ idle: 2, opening: 0, created: 2 })
    }))

  it.scoped("if opening fails, who waits longest fails with its error, and the next is tried", () =>
    Effect.gen(function* () {
      const things = new Things()
      let attempts = 0
      const pool = yield* ConnectionPool.make({
        acquire: Effect.suspend(() => ++attempts === 1 ? Effect.fail("no" as const) : things.acquire),
        maxConnections: 1
      })
      expect(yield* Effect.flip(idOf(pool))).toBe("no")
      expect(yield* idOf(pool)).toBe(1)
      expect(yield* pool.status).toMatchObject({ failed: 1, created: 1 })
    }))

  it.scoped("ten thousand who wait for what cannot be opened all fail, one attempt after another", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const no = Effect.fail("no" as const)
      let attempts = 0
      const pool = yield* ConnectionPool.make({
        acquire: Effect.suspend(() => ++attempts === 1 ? Effect.zipRight(Deferred.await(gate), no) : no),
        maxConnections: 1,
        maxPendingAcquires: 10_000
      })
      const all = yield* Effect.forEach(Array.from({ length: 10_000 }), () => Effect.fork(pool.use(Effect.succeed)))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of all) expect(yield* Effect.flip(Fiber.join(fiber))).toBe("no")
      expect(yield* pool.status).toMatchObject({ opening: 0, waiting: 0, failed: 10_000 })
    }))

  it.scoped("opening that takes too long is given up, and its room is free again", () =>
    Effect.gen(function* () {
      const things = new Things()
      let attempts = 0
      const pool = yield* ConnectionPool.make({
        acquire: Effect.suspend(() => ++attempts === 1 ? Effect.never : things.acquire),
        maxConnections: 1,
        openTimeout: "20 seconds"
      })
      const first = yield* Effect.fork(tagOf(idOf(pool)))
      yield* settle
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(first)).toBe("PoolTimeout")
      expect((yield* pool.status).opening).toBe(1)
      yield* TestClock.adjust("15 seconds")
      expect((yield* pool.status).opening).toBe(0)
      expect(yield* idOf(pool)).toBe(1)
    }))

  describe("after a use", () => {
    const outcomes: ReadonlyArray<
      readonly [string, (thing: Thing) => Effect.Effect<unknown, unknown>, ConnectionPool.DiscardReason | undefined]
    > = [
      ["success", () => Effect.void, undefined],
      ["an error of the user's", () => Effect.fail(new Error("no such row")), undefined],
      ["an error of the connection", () => Effect.fail(new NetError.ConnectionReset({ operation: "read" })), "failed"],
      [
        "an error caused by one of the connection",
        () => Effect.fail(new Error("query", { cause: new NetError.ConnectionReset({ operation: "read" }) })),
        "failed"
      ],
      ["an error of another pool", () => Effect.fail(new NetError.PoolClosed({ operation: "acquire" })), undefined],
      ["an interruption", () => Effect.interrupt, "interrupted"],
      ["a defect", () => Effect.die("bug"), "failed"]
    ]
    for (const [name, f, reason] of outcomes) {
      for (const how of ["use", "get"] as const) {
        it.scoped(`${how}: ${name} ${reason === undefined ? "gives it back" : "closes it"}`, () =>
          Effect.gen(function* () {
            const things = new Things()
            const pool = yield* ConnectionPool.make({ acquire: things.acquire })
            yield* Effect.exit(how === "use" ? pool.use(f) : Effect.scoped(Effect.flatMap(pool.get, f)))
            const { discarded, idle } = yield* pool.status
            expect(idle).toBe(reason === undefined ? 1 : 0)
            expect(things.open.size).toBe(idle)
            if (reason !== undefined) expect(discarded[reason]).toBe(1)
          }))
      }
    }

    it.scoped("a timeout within the use closes it: the reply may come yet", () =>
      Effect.gen(function* () {
        const things = new Things()
        const pool = yield* ConnectionPool.make({ acquire: things.acquire })
        const use = yield* Effect.fork(Effect.flip(pool.use(() => Effect.timeout(Effect.never, "1 second"))))
        yield* settle
        yield* TestClock.adjust("1 second")
        expect((yield* Fiber.join(use))._tag).toBe("TimeoutException")
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { failed: 1 } })
      }))

    it.scoped("`invalidateOn` decides which errors close it", () =>
      Effect.gen(function* () {
        const things = new Things()
        const pool = yield* ConnectionPool.make({ acquire: things.acquire, invalidateOn: (error) => error === "bad" })
        yield* Effect.flip(pool.use(() => Effect.fail("fine")))
        expect(yield* idOf(pool)).toBe(1)
        yield* Effect.flip(pool.use(() => Effect.fail("bad")))
        expect(yield* idOf(pool)).toBe(2)
      }))

    it.scoped("an `invalidateOn` that throws is a defect, and keeps nothing", () =>
      Effect.gen(function* () {
        const things = new Things()
        const pool = yield* ConnectionPool.make({
          acquire: things.acquire,
          maxConnections: 1,
          invalidateOn: () => {
            throw new Error("bug")
          }
        })
        const cause = yield* Effect.sandbox(pool.use(() => Effect.fail("no"))).pipe(Effect.flip)
        expect(Cause.pretty(cause)).toContain("bug")
        expect(yield* idOf(pool)).toBe(2)
      }))

    it.scoped("a use that throws before it makes an effect is one that died", () =>
      Effect.gen(function* () {
        const things = new Things()
        const pool = yield* ConnectionPool.make({ acquire: things.acquire, maxConnections: 1 })
        yield* Effect.exit(pool.use((): Effect.Effect<void> => {
          throw new Error("bug")
        }))
        expect(yield* idOf(pool)).toBe(2)
      }))
  })

  describe("invalidate", () => {
    it.scoped("closes an idle one at once", () =>
      Effect.gen(function* () {
        const things = new Things()
        const pool = yield* ConnectionPool.make({ acquire: things.acquire })
        const { end, item } = yield* borrow(pool)
        yield* end()
        yield* pool.invalidate(item)
        yield* pool.invalidate(item)
        expect(things.open.size).toBe(0)
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { invalidated: 1 } })
        expect(yield* idOf(pool)).toBe(2)
      }))

    it.scoped("closes one in use when it comes back, and who waits gets another", () =>
      Effect.gen(function* () {
        const things = new Things()
        const pool = yield* ConnectionPool.make({ acquire: things.acquire, maxConnections: 1 })
        const { end, item } = yield* borrow(pool)
        const next = yield* Effect.fork(idOf(pool))
        yield* settle
        yield* pool.invalidate(item)
        expect(things.open.has(item)).toBe(true)
        yield* end()
        yield* end()
        expect(yield* Fiber.join(next)).toBe(2)
        expect(things.most).toBe(1)
      }))

    it.scoped("one that was just given to who waits is not lent after all", () =>
      Effect.gen(function* () {
        const things = new Things()
        const pool = yield* ConnectionPool.make({ acquire: things.acquire, maxConnections: 1 })
        const { end, item } = yield* borrow(pool)
        const first = yield* Effect.fork(idOf(pool))
        const second = yield* Effect.fork(idOf(pool))
        yield* settle
        // It has not run again when this happens.
        yield* end()
        yield* pool.invalidate(item)
        expect(yield* Fiber.join(first)).toBe(2)
        expect(yield* Fiber.join(second)).toBe(2)
        expect(things.most).toBe(1)
      }))

    it.scoped("leaves alone what is another pool's", () =>
      Effect.gen(function* () {
        const things = new Things()
        const a = yield* ConnectionPool.make({ acquire: things.acquire })
        const b = yield* ConnectionPool.make({ acquire: things.acquire })
        const { item } = yield* borrow(a)
        yield* b.invalidate(item)
        expect(things.open.size).toBe(1)
        expect(yield* a.status).toMatchObject({ borrowed: 1 })
      }))
  })

  it.scoped("`Infinity` is no limit", () =>
    Effect.gen(function* () {
      const things = new Things()
      const limits = { maxConnections: Infinity, maxPendingAcquires: Infinity }
      const pool = yield* ConnectionPool.make({ acquire: things.acquire, ...limits })
      yield* Effect.forEach(Array.from({ length: 50 }), () => borrow(pool))
      expect(yield* pool.status).toMatchObject({ borrowed: 50, created: 50 })
    }))

  it.scoped("pools are told from other values, and by kind", () =>
    Effect.gen(function* () {
      const { isConnectionPool, isKeyedConnectionPool } = ConnectionPool
      const pool = yield* ConnectionPool.make({ acquire: Effect.void })
      const keyed = yield* ConnectionPool.makeKeyed({ acquire: (_: string) => Effect.void })
      expect([pool, keyed, {}].map(isConnectionPool)).toEqual([true, false, false])
      expect([pool, keyed, {}].map(isKeyedConnectionPool)).toEqual([false, true, false])
    }))

  it.effect("wrong limits are told", () =>
    Effect.gen(function* () {
      const failing = (limits: ConnectionPool.Limits) =>
        Effect.scoped(Effect.flip(ConnectionPool.make({ acquire: Effect.void, ...limits })))
      expect(yield* failing({ maxConnections: 0 })).toMatchObject({ _tag: "InvalidOption", option: "maxConnections" })
      expect(yield* failing({ minConnections: 3, maxConnections: 2 })).toMatchObject({ option: "minConnections" })
      expect(yield* failing({ maxPendingAcquires: -1 })).toMatchObject({ option: "maxPendingAcquires" })
      expect(yield* failing({ idleTimeout: -1 })).toMatchObject({ option: "idleTimeout" })
    }))
})
