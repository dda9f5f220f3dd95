import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  ExecutionStrategy,
  Exit,
  Fiber,
  FiberId,
  Layer,
  Option,
  Scope,
  TestClock
} from "effect"
import { ConnectionPool, Framed, Framing, Net, NetError, Network, Server, SocketAddress } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

/** Waits for what other fibers and the network have under way. */
const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

/** Things that can be pooled: numbered, and seen to be closed. */
class Things {
  opened = 0
  open = new Set<Thing>()
  most = 0
  readonly acquire = Effect.acquireRelease(
    Effect.sync(() => {
      const thing = new Thing(++this.opened)
      this.open.add(thing)
      this.most = Math.max(this.most, this.open.size)
      return thing
    }),
    (thing) => Effect.sync(() => void this.open.delete(thing))
  )
}

class Thing {
  readonly id: number
  constructor(id: number) {
    this.id = id
  }
}

type Pool<A, E = never> = ConnectionPool.ConnectionPool<A, E>

/** One that is borrowed until told to end. */
const borrow = <A, E>(pool: Pool<A, E>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const item = yield* Scope.extend(pool.get, scope)
    return { item, end: (exit: Exit.Exit<unknown, unknown> = Exit.void) => Scope.close(scope, exit) }
  })

const idOf = <E>(pool: Pool<Thing, E>) => pool.use((thing) => Effect.succeed(thing.id))

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)

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

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const lines = Framing.lines().pipe(Framing.text())

/** Answers each line with itself; `bye` ends it, `twice` answers twice, `later` is answered when told. */
const echo = (later: Effect.Effect<void> = Effect.void) =>
  Effect.map(
    Server.serve(Server.make({
      listen: { port: 0 },
      handler: (connection) =>
        Effect.gen(function* () {
          const framed = Framed.make(connection, lines)
          for (let line = yield* framed.receive; Option.isSome(line); line = yield* framed.receive) {
            if (line.value === "bye") return
            if (line.value === "later") yield* later
            yield* framed.send(line.value)
            if (line.value === "twice") yield* framed.send(line.value)
          }
        })
    })),
    ({ address }) => address
  )

describe("ConnectionPool of connections", () => {
  onMemory(
    "one that the peer ended while it was idle is not lent again, and is closed at once",
    () =>
      Effect.gen(function* () {
        const address = yield* echo()
        const pool = yield* ConnectionPool.connect(address)
        yield* pool.use((connection) => connection.write("bye\n"))
        yield* settle
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { closed: 1 } })
      })
  )

  onMemory("one that nobody has read from is watched too", () =>
    Effect.gen(function* () {
      const listener = yield* Net.listen({ port: 0 })
      const pool = yield* ConnectionPool.connect(listener.address, { minConnections: 1 })
      const accepted = yield* listener.accept
      yield* settle
      yield* accepted.write("220 welcome\n")
      yield* settle
      // A greeting is for the first borrower.
      expect((yield* pool.status).idle).toBe(1)
      expect(yield* pool.use((connection) => connection.readUntil("\n"))).toHaveLength(12)
      yield* accepted.write("421 bye\n")
      yield* settle
      expect(yield* pool.status).toMatchObject({ discarded: { unexpectedBytes: 1 }, created: 2 })
    }))

  onMemory(
    "one that its borrower has closed, shut down, or left bytes in is not lent again",
    () =>
      Effect.gen(function* () {
        const address = yield* echo()
        const pool = yield* ConnectionPool.connect(address)
        yield* pool.use((connection) => connection.close)
        yield* pool.use((connection) => connection.shutdown)
        yield* pool.use((connection) =>
          Effect.gen(function* () {
            yield* connection.write("twice\n")
            yield* connection.readExactly(3)
          })
        )
        yield* settle
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { closed: 2, unexpectedBytes: 1 } })
      })
  )

  onMemory(
    "a framed one is watched, and not lent while an answer or a part of one is left",
    () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const address = yield* echo(Deferred.await(gate))
        const pool = yield* ConnectionPool.make({ acquire: Framed.connect(address, lines) })
        expect(yield* pool.use((framed) => framed.request("a"))).toBe("a")
        expect((yield* pool.status).idle).toBe(1)
        yield* pool.use((framed) => framed.request("twice"))
        yield* settle
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { unexpectedBytes: 1 } })
        // The use succeeds, though the answer is still to come.
        const use = yield* Effect.fork(pool.use((framed) => Effect.timeoutOption(framed.request("later"), "1 second")))
        yield* settle
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(use)).toEqual(Option.none())
        expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { unexpectedBytes: 2 } })
        yield* Deferred.succeed(gate, undefined)
        expect(yield* pool.use((framed) => framed.request("b"))).toBe("b")
      })
  )

  onMemory("a session tells its connection", () =>
    Effect.gen(function* () {
      const address = yield* echo()
      const login = Effect.map(Framed.connect(address, lines), (framed) => ({ framed }))
      const pool = yield* ConnectionPool.make({ acquire: login, connection: ({ framed }) => framed })
      yield* pool.use(({ framed }) => framed.send("bye"))
      yield* settle
      expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { closed: 1 } })
      // Nor is a reader that has given up in the way of seeing what comes late.
      yield* pool.use(({ framed }) => Effect.interruptible(Effect.raceFirst(framed.receive, Effect.void)))
      yield* pool.use(({ framed }) => framed.send("unasked"))
      yield* settle
      expect(yield* pool.status).toMatchObject({ idle: 0, discarded: { unexpectedBytes: 1 } })
    }))

  onMemory("a peer that hangs up on every new connection is not dialled in a loop", () =>
    Effect.gen(function* () {
      let accepted = 0
      const { address } = yield* Server.serve(Server.make({
        listen: { port: 0 },
        handler: () => Effect.sync(() => accepted++)
      }))
      yield* ConnectionPool.connect(address, { minConnections: 1 })
      for (let i = 0; i < 20; i++) yield* settle
      expect(accepted).toBe(1)
    }))

  onMemory("a peer that is not there is told with its address", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.connect("127.0.0.1:9")
      expect(yield* Effect.flip(pool.use((connection) => connection.read))).toMatchObject({ _tag: "ConnectionRefused" })
    }))

  it.scoped("is a layer", () => {
    class Backend extends Context.Tag("Backend")<Backend, Pool<Thing>>() {}
    const things = new Things()
    const layer = ConnectionPool.layer(Backend, ConnectionPool.make({ acquire: things.acquire, minConnections: 1 }))
    return Effect.gen(function* () {
      expect(yield* Effect.provide(Effect.flatMap(Backend, idOf), layer)).toBe(1)
      expect(things.open.size).toBe(0)
      expect(Layer.isLayer(layer)).toBe(true)
    })
  })
})
