/**
 * A client that outlives its connections: its state, its hook, and what becomes of calls without a connection.
 */
import { describe, expect } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Exit, Fiber, Random, Schedule, Stream } from "effect"
import { FramedClient, NetError, RetryPolicy } from "effect-netkit"
import {
  address,
  after,
  client,
  follow,
  lines,
  onMemory,
  Peer,
  type Settings,
  steady,
  turn,
  word
} from "./support/framedClient.ts"

describe("state", () => {
  onMemory("is followed from dial to dial, with the delays of gRPC", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      const subject = yield* client()
      const { seen } = yield* follow(subject)
      yield* after("1 second")
      yield* after("1600 millis")
      yield* peer.up
      yield* after("2560 millis")
      expect(yield* subject.request("hello")).toBe("re hello")
      yield* peer.down
      yield* after("4096 millis")
      expect(seen).toEqual([
        "Connecting 1",
        "Waiting 1000 ConnectionRefused",
        "Connecting 2",
        "Waiting 2600 ConnectionRefused",
        "Connecting 3",
        "Waiting 5160 ConnectionRefused",
        "Connecting 4",
        `Connected ${address}`,
        "Waiting 9256 ConnectionReset",
        "Connecting 5",
        "Waiting 15810 ConnectionRefused"
      ])
      expect(word(yield* subject.state.get)).toBe("Waiting 15810 ConnectionRefused")
    }))

  onMemory(
    "by default waits 1 second, 1.6 times as long each time up to 2 minutes, by 20 % more or less",
    () =>
      Effect.gen(function* () {
        const subject = yield* Effect.withRandom(client({ retry: undefined }), Random.make("a seed"))
        const factors: Array<number> = []
        let now = 0
        for (let n = 0; n < 15; n++) {
          yield* turn
          const state = yield* subject.state.get
          if (state._tag !== "Waiting") return expect.fail(word(state))
          const delay = DateTime.toEpochMillis(state.until) - now
          factors.push(delay / Math.min(120_000, 1000 * 1.6 ** n))
          now += delay
          yield* after(Duration.millis(delay))
        }
        for (const factor of factors) {
          expect(factor).toBeGreaterThan(0.799)
          expect(factor).toBeLessThan(1.201)
        }
        expect(new Set(factors.map((factor) => factor.toFixed(3))).size).toBeGreaterThan(10)
      })
  )

  onMemory("begins anew after a minute of health, and not before", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const { seen } = yield* follow(yield* client())
      yield* after("59 seconds")
      yield* peer.cut
      yield* after("1 second")
      yield* after("59 seconds")
      yield* peer.cut
      yield* after("1600 millis")
      yield* after("60 seconds")
      yield* peer.cut
      expect(seen).toEqual([
        "Connecting 1",
        `Connected ${address}`,
        "Waiting 60000 ConnectionReset",
        "Connecting 2",
        `Connected ${address}`,
        "Waiting 120600 ConnectionReset",
        "Connecting 3",
        `Connected ${address}`,
        "Waiting 181600 ConnectionReset"
      ])
      yield* after("1 second")
      expect(seen.slice(9)).toEqual(["Connecting 1", `Connected ${address}`])
    }))

  onMemory("ends with Closed when the policy gives up, and so do all calls", () =>
    Effect.gen(function* () {
      const subject = yield* client({ retry: { ...steady, maxAttempts: 2 }, whileDisconnected: "wait" })
      const { fiber, seen } = yield* follow(subject)
      const waiting = yield* Effect.fork(subject.request("hello"))
      const connection = yield* Effect.fork(subject.connection)
      const messages = yield* Effect.fork(Stream.runDrain(subject.messages))
      yield* after("1 second")
      yield* Fiber.join(fiber)
      expect(seen).toEqual([
        "Connecting 1",
        "Waiting 1000 ConnectionRefused",
        "Connecting 2",
        "Closed ConnectionRefused"
      ])
      for (const fiber of [waiting, connection, messages, yield* Effect.fork(subject.send("late"))]) {
        expect(yield* Effect.flip(Fiber.join<unknown, unknown>(fiber as Fiber.Fiber<unknown, unknown>))).toMatchObject({
          _tag: "Disconnected",
          sent: false,
          cause: { _tag: "ConnectionRefused" }
        })
      }
    }))

  onMemory("takes a Schedule or a RetryPolicy as it is", () =>
    Effect.gen(function* () {
      const once = yield* client({ retry: Schedule.recurs(1) })
      const judged = yield* client({ retry: RetryPolicy.make({ retryIf: () => false, maxAttempts: 9 }) })
      yield* turn
      expect(word(yield* once.state.get)).toBe("Closed ConnectionRefused")
      expect(word(yield* judged.state.get)).toBe("Closed ConnectionRefused")
    }))

  onMemory("does not try options again that are wrong", () =>
    Effect.gen(function* () {
      for (const retry of [undefined, Schedule.forever]) {
        const subject = yield* client({ readBuffer: 0, retry })
        yield* turn
        expect(word(yield* subject.state.get)).toBe("Closed InvalidOption")
      }
      const wrong: ReadonlyArray<Settings> = [
        { connect: [] },
        { connect: "nonsense:port" },
        { whileDisconnected: { buffer: 0 } },
        { whileDisconnected: "queue" as "wait" },
        { whileDisconnected: null as never },
        { whileDisconnected: {} as never },
        { retry: null as never },
        { resetAfter: -1 },
        { connectTimeout: NaN },
        { retry: { maxAttempts: 0 } }
      ]
      for (const settings of wrong) {
        expect(yield* Effect.flip(client(settings)), JSON.stringify(settings)).toBeInstanceOf(NetError.InvalidOption)
      }
    }))

  onMemory("tries several addresses in order, each attempt", () =>
    Effect.gen(function* () {
      const spare = new Peer(() => "spare", "127.0.0.1:7799")
      yield* spare.up
      const subject = yield* client({ connect: [address, "127.0.0.1:7799"] })
      expect(yield* subject.request("?")).toBe("spare")
      const first = new Peer(() => "first")
      yield* first.up
      yield* spare.down
      yield* after("1 second")
      expect(yield* subject.request("?")).toBe("first")
    }))
})

describe("onConnect", () => {
  onMemory("runs on every connection before anything else", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client({
        onConnect: (session) => Effect.zipRight(session.request("login"), session.request("password")),
        whileDisconnected: "wait"
      })
      yield* subject.request("one")
      yield* peer.cut
      const two = yield* Effect.fork(subject.request("two"))
      yield* after("1 second")
      expect(yield* Fiber.join(two)).toBe("re two")
      expect(peer.received).toEqual(["login", "password", "one", "login", "password", "two"])
    }))

  onMemory(
    "that fails, or takes too long, is a failed attempt, whose connection is closed",
    () =>
      Effect.gen(function* () {
        const peer = new Peer()
        yield* peer.up
        const answers = [Effect.fail({ _tag: "WrongPassword" }), Effect.never, Effect.void]
        const subject = yield* client({ onConnect: () => answers.shift()!, connectTimeout: "3 seconds" })
        const { seen } = yield* follow(subject)
        const first = yield* Effect.flip(subject.request("hello"))
        expect(first).toMatchObject({ _tag: "Disconnected", sent: false, cause: { _tag: "WrongPassword" } })
        yield* after("1 second")
        yield* after("3 seconds")
        yield* after("1600 millis")
        expect(seen).toEqual([
          "Connecting 1",
          "Waiting 1000 WrongPassword",
          "Connecting 2",
          "Waiting 5600 ConnectTimeout",
          "Connecting 3",
          `Connected ${address}`
        ])
        expect(yield* peer.sessions[0]!.connection.read).toMatchObject({ _tag: "None" })
        expect(yield* subject.request("hello")).toBe("re hello")
      })
  )

  onMemory("that dies ends the client, and whoever waits for it", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client({ onConnect: () => Effect.die("boom") })
      expect(yield* Effect.exit(subject.request("hello"))).toEqual(Exit.die("boom"))
      expect(yield* subject.state.get).toEqual({ _tag: "Closed", cause: undefined })
    }))

  onMemory("has a scope that lives as long as the connection", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      let open = 0
      const subject = yield* FramedClient.make({
        connect: address,
        codec: lines,
        retry: steady,
        onConnect: () => Effect.acquireRelease(Effect.sync(() => ++open), () => Effect.sync(() => --open))
      })
      yield* subject.connection
      expect(open).toBe(1)
      yield* peer.cut
      expect(open).toBe(0)
      yield* after("1 second")
      expect(open).toBe(1)
    }))
})

describe("while there is no connection", () => {
  onMemory('"fail": a call waits for the first attempt alone', () =>
    Effect.gen(function* () {
      const subject = yield* client()
      const first = yield* Effect.fork(Effect.flip(subject.send("first")))
      yield* turn
      expect(yield* Fiber.join(first)).toMatchObject({ sent: false, cause: { _tag: "ConnectionRefused" } })
      const error = yield* Effect.flip(subject.request("second"))
      expect(error.message).toBe(
        `send: not sent, for there is no connection: connect to ${address}: connection refused; is a server listening there?`
      )
      expect(NetError.isTransient(error)).toBe(true)
      const peer = new Peer()
      yield* peer.up
      yield* after("1 second")
      expect(yield* subject.request("third")).toBe("re third")
      expect(peer.received).toEqual(["third"])
    }))

  onMemory(
    '"wait": calls go out in their order with the next connection, but for those interrupted',
    () =>
      Effect.gen(function* () {
        const peer = new Peer()
        const subject = yield* client({ whileDisconnected: "wait" })
        yield* turn
        const calls = yield* Effect.forEach(["a", "b", "c", "d"], (line) => Effect.fork(subject.request(line)))
        yield* turn
        const sending = yield* Effect.fork(subject.send("e"))
        yield* turn
        yield* Fiber.interrupt(calls[1]!)
        yield* peer.up
        yield* after("1 second")
        expect(yield* Effect.forEach([0, 2, 3], (i) => Fiber.join(calls[i]!))).toEqual(["re a", "re c", "re d"])
        yield* Fiber.join(sending)
        expect(peer.received).toEqual(["a", "c", "d", "e"])
      })
  )

  onMemory('"buffer": so many wait, a further one fails', () =>
    Effect.gen(function* () {
      const peer = new Peer()
      const subject = yield* client({ whileDisconnected: { buffer: 2 } })
      const waiting = yield* Effect.forEach(["a", "b"], (line) => Effect.fork(subject.request(line)))
      yield* turn
      expect(yield* Effect.flip(subject.send("c"))).toMatchObject({ _tag: "Disconnected", sent: false })
      yield* Fiber.interrupt(waiting[0]!)
      const third = yield* Effect.fork(subject.send("c"))
      yield* peer.up
      yield* after("1 second")
      yield* Fiber.join(third)
      expect(yield* Fiber.join(waiting[1]!)).toBe("re b")
      expect(peer.received).toEqual(["b", "c"])
    }))
})

describe("FramedClient.layer", () => {
  class Ledger extends Context.Tag("Ledger")<Ledger, FramedClient.FramedClient<string>>() {
    static readonly layer = FramedClient.layer(Ledger, { connect: address, codec: lines, whileDisconnected: "wait" })
  }

  onMemory("is the client as a service", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const answer = yield* Effect.provide(Effect.flatMap(Ledger, (ledger) => ledger.request("balance")), Ledger.layer)
      expect(answer).toBe("re balance")
      expect(FramedClient.isFramedClient(yield* client())).toBe(true)
    }))
})
