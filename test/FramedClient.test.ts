import { describe, expect, it } from "@effect/vitest"
import {
  Chunk,
  Context,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Random,
  Schedule,
  Scope,
  Stream,
  TestClock
} from "effect"
import {
  type Connection,
  Framed,
  FramedClient,
  Framing,
  Net,
  NetError,
  Network,
  RetryPolicy,
  type SocketAddress
} from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import fc from "fast-check"

const lines = Framing.lines({ maxFrameLength: 64 }).pipe(Framing.text())
const address = "127.0.0.1:7788"

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

/** Lets the network deliver what it has under way, before virtual time goes on. */
const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))
const after = (time: Duration.DurationInput) => Effect.zipRight(TestClock.adjust(time), turn)

/** A peer that comes and goes: every line that came, and the verbs to answer, to break and to vanish. */
class Peer {
  readonly received: Array<string> = []
  readonly sessions: Array<Framed.Framed<string>> = []
  #scope: Scope.CloseableScope | undefined
  readonly #where: SocketAddress.AddressInput
  readonly #answer: (line: string) => string | undefined

  constructor(answer: (line: string) => string | undefined = (line) => `re ${line}`, where = address) {
    this.#answer = answer
    this.#where = where
  }

  readonly up = Effect.gen(this, function* () {
    const scope = this.#scope = yield* Scope.make()
    const listener = yield* Scope.extend(Net.listen(this.#where), scope)
    const serve = (connection: Connection.Connection) => {
      const session = Framed.make(connection, lines)
      this.sessions.push(session)
      return Stream.runForEach(session.messages, (line) => {
        this.received.push(line)
        const answer = this.#answer(line)
        return answer === undefined ? Effect.void : session.send(answer)
      }).pipe(Effect.ignore)
    }
    yield* Stream.runForEach(listener.connections, (connection) => Effect.fork(serve(connection))).pipe(
      Effect.forkIn(scope)
    )
  })

  /** Cuts the last connection off. */
  readonly cut = Effect.suspend(() => Effect.zipRight(Effect.ignore(this.sessions.at(-1)!.connection.reset), turn))

  /** Cuts everything off and listens no more. */
  readonly down = Effect.suspend(() =>
    Effect.forEach(this.sessions, ({ connection }) => Effect.ignore(connection.reset)).pipe(
      Effect.zipRight(Scope.close(this.#scope!, Exit.void)),
      Effect.zipRight(turn)
    )
  )
}

type Settings = Partial<FramedClient.Options<string, string, unknown>>

const steady = { jitter: "none" } as const

const client = (settings: Settings = {}) =>
  FramedClient.make({ connect: address, codec: lines, retry: steady, ...settings })

/** The states from now on, as words. */
const follow = <E>(client: FramedClient.FramedClient<string, string, E>) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(client.state.changes, (state) => Effect.sync(() => void seen.push(word(state))))
    )
    yield* turn
    return { seen, fiber }
  })

const word = (state: FramedClient.State<unknown>): string => {
  const cause = "cause" in state && state.cause !== undefined ? ` ${(state.cause as { _tag: string })._tag}` : ""
  if (state._tag === "Connecting") return `Connecting ${state.attempt}`
  if (state._tag === "Connected") return `Connected ${state.address}`
  return state._tag === "Closed" ? `Closed${cause}` : `Waiting ${DateTime.toEpochMillis(state.until)}${cause}`
}

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

describe("when the connection breaks", () => {
  for (const whileDisconnected of ["fail", "wait"] as const) {
    onMemory(
      `a request that was sent fails, and is not sent again: ${whileDisconnected}`,
      () =>
        Effect.gen(function* () {
          const peer = new Peer(() => undefined)
          yield* peer.up
          const subject = yield* client({ whileDisconnected })
          const asking = yield* Effect.fork(Effect.flip(subject.request("pay")))
          yield* turn
          yield* peer.cut
          const error = yield* Fiber.join(asking)
          expect(error).toMatchObject({ _tag: "Disconnected", sent: true, cause: { _tag: "ConnectionReset" } })
          expect(NetError.isTransient(error)).toBe(false)
          yield* after("1 second")
          expect(peer.received).toEqual(["pay"])
        })
    )
  }

  onMemory("an idempotent one is sent again, where calls wait", () =>
    Effect.gen(function* () {
      let answers = 0
      const peer = new Peer((line) => answers++ === 0 ? undefined : `re ${line}`)
      yield* peer.up
      const subject = yield* client({ whileDisconnected: "wait" })
      const asking = yield* Effect.fork(subject.request("look up", { idempotent: true }))
      yield* turn
      yield* peer.cut
      yield* after("1 second")
      expect(yield* Fiber.join(asking)).toBe("re look up")
      expect(peer.received).toEqual(["look up", "look up"])
      const hasty = yield* client()
      answers = 0
      const failing = yield* Effect.fork(Effect.flip(hasty.request("x", { idempotent: true })))
      yield* turn
      yield* peer.cut
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "Disconnected", sent: true })
    }))

  onMemory("what had not been written goes out with the next, before later calls", () =>
    Effect.gen(function* () {
      const listener = yield* Net.listen(address)
      const subject = yield* client({
        whileDisconnected: "wait",
        codec: Framing.lines({ maxFrameLength: 1e6 }).pipe(Framing.text())
      })
      const stalled = yield* listener.accept
      const large = "x".repeat(400_000)
      const calls = [yield* Effect.fork(Effect.exit(subject.send(`1${large}`)))]
      for (const name of ["2", "3"]) calls.push(yield* Effect.fork(Effect.exit(subject.send(name))))
      yield* turn
      yield* stalled.reset
      yield* turn
      calls.push(yield* Effect.fork(Effect.exit(subject.send("4"))))
      yield* Effect.fork(after("1 second"))
      const next = Framed.make(yield* listener.accept, lines)
      const got = yield* Stream.runCollect(Stream.take(next.messages, 3))
      expect(Chunk.toReadonlyArray(got)).toEqual(["2", "3", "4"])
      const [first, ...others] = yield* Effect.forEach(calls, Fiber.join)
      expect(first).toMatchObject({ cause: { error: { _tag: "Disconnected", sent: true } } })
      expect(others).toEqual([Exit.void, Exit.void, Exit.void])
    }))

  onMemory("bytes that are no frame are a reason, too", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => "x".repeat(100))
      yield* peer.up
      const subject = yield* client()
      yield* subject.connection
      yield* peer.sessions[0]!.connection.write("x".repeat(100))
      const error = yield* Effect.flip(subject.request("hello"))
      expect(error).toMatchObject({ _tag: "Disconnected", cause: { _tag: "FrameTooLarge" } })
    }))

  onMemory("silence within readTimeout is one", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const subject = yield* client({ readTimeout: "10 seconds" })
      const { seen } = yield* follow(subject)
      const asking = yield* Effect.fork(Effect.flip(subject.request("hello")))
      yield* after("10 seconds")
      expect(yield* Fiber.join(asking)).toMatchObject({ sent: true, cause: { _tag: "ReadTimeout" } })
      expect(seen.at(-1)).toBe("Waiting 11000 ReadTimeout")
    }))

  onMemory("a message that cannot be encoded is refused, and breaks nothing", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      expect(yield* Effect.flip(subject.request("x".repeat(100)))).toMatchObject({ _tag: "FrameTooLarge" })
      expect(yield* subject.request("y")).toBe("re y")
    }))

  onMemory("by closing the present connection, there is another", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      const first = yield* subject.connection
      yield* first.close
      yield* turn
      const next = yield* Effect.fork(subject.connection)
      yield* after("1 second")
      expect(yield* Fiber.join(next)).not.toBe(first)
    }))
})

describe("closing the scope", () => {
  onMemory("flushes what was sent, fails what is under way, ends the streams", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const scope = yield* Scope.make()
      const subject = yield* Scope.extend(client(), scope)
      const { fiber, seen } = yield* follow(subject)
      const messages = yield* Effect.fork(Stream.runCollect(subject.messages))
      const asking = yield* Effect.fork(Effect.flip(subject.request("question")))
      yield* turn
      yield* subject.send("last words")
      yield* Scope.close(scope, Exit.void)
      yield* turn
      expect(peer.received).toEqual(["question", "last words"])
      expect(yield* Fiber.join(asking)).toMatchObject({ sent: true, cause: { _tag: "ConnectionClosed" } })
      expect(Chunk.size(yield* Fiber.join(messages))).toBe(0)
      yield* Fiber.join(fiber)
      expect(seen.at(-1)).toBe("Closed")
      expect(yield* Effect.flip(subject.request("?"))).toMatchObject({
        sent: false,
        cause: { _tag: "ConnectionClosed" }
      })
      expect(yield* Effect.flip(subject.connection)).toMatchObject({ _tag: "Disconnected" })
    }))

  onMemory("fails what waits", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const subject = yield* Scope.extend(client({ whileDisconnected: "wait" }), scope)
      const waiting = yield* Effect.fork(Effect.flip(subject.request("?")))
      yield* turn
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toMatchObject({ sent: false, cause: { _tag: "ConnectionClosed" } })
    }))

  onMemory("at once after the start leaves nobody waiting", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const subject = yield* Scope.extend(client({ whileDisconnected: "wait" }), scope)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Effect.flip(subject.request("?"))).toMatchObject({ sent: false })
    }))
})

describe("messages", () => {
  onMemory("come across connections; a part of one is dropped with its connection", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      const taking = yield* Effect.fork(Stream.runCollect(Stream.take(subject.messages, 3)))
      yield* subject.connection
      yield* peer.sessions[0]!.connection.write("one\ntwo\nthr")
      yield* turn
      yield* peer.cut
      yield* after("1 second")
      yield* peer.sessions[1]!.send("four")
      expect(Chunk.toReadonlyArray(yield* Fiber.join(taking))).toEqual(["one", "two", "four"])
    }))

  onMemory("that nobody takes hold up no answers", () =>
    Effect.gen(function* () {
      const peer = new Peer((line) => line === "more" ? undefined : line)
      yield* peer.up
      const subject = yield* client()
      yield* subject.connection
      yield* peer.sessions[0]!.sendAll(Array.from({ length: 5000 }, (_, i) => `note ${i}`))
      yield* turn
      expect(yield* subject.request("still there?")).toBe("still there?")
      const kept = yield* Stream.runCollect(Stream.take(subject.messages, 1024))
      expect(Chunk.unsafeLast(kept)).toBe("note 1023")
    }))

  onMemory("of a slow taker slow the peer and are all there", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      const gate = yield* Deferred.make<void>()
      const taking = yield* Effect.fork(
        Stream.runCount(Stream.take(Stream.tap(subject.messages, () => Deferred.await(gate)), 100_000))
      )
      yield* subject.connection
      const sending = yield* Effect.fork(
        Effect.repeatN(peer.sessions[0]!.sendAll(Array.from({ length: 1000 }, (_, i) => `a longer note ${i}`)), 99)
      )
      yield* Effect.repeatN(turn, 20)
      expect((yield* Fiber.poll(sending))._tag).toBe("None")
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(taking)).toBe(100_000)
    }))
})

describe("requests by identifier", () => {
  const number = (line: string) => /^\d+/.exec(line)?.[0]
  const correlation = { request: number, answer: number }

  onMemory(
    "are answered in any order, beside other messages, by a client and by a plain connection",
    () =>
      Effect.gen(function* () {
        const peer = new Peer(() => undefined)
        yield* peer.up
        const subject = yield* client({ correlation })
        yield* subject.connection
        const plain = yield* Framed.requests(yield* Framed.connect(address, lines), { correlation })
        for (const [i, { messages, request }] of [subject, plain].entries()) {
          yield* turn
          const asking: Array<Fiber.Fiber<string, unknown>> = yield* Effect.forEach(["1 a", "2 b", "3 c"], (line) =>
            Effect.fork<string, unknown, never>(request(line)))
          yield* turn
          yield* peer.sessions[i]!.sendAll(["notice", "3 C", "9 stray", "1 A", "2 B"])
          expect(yield* Effect.forEach(asking, Fiber.join)).toEqual(["1 A", "2 B", "3 C"])
          const others = yield* Stream.runCollect(Stream.take<string, unknown, never>(messages, 2))
          expect(Chunk.toReadonlyArray(others)).toEqual(["notice", "9 stray"])
        }
      })
  )

  onMemory("a late answer to an interrupted one is dropped, and its identifier is free", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const subject = yield* client({ correlation })
      const asking = yield* Effect.fork(subject.request("1 a"))
      yield* turn
      expect(yield* Effect.flip(subject.request("1 again"))).toMatchObject({
        _tag: "FrameMalformed",
        reason: "a request 1 is under way"
      })
      expect(yield* Effect.flip(subject.request("none"))).toMatchObject({ _tag: "FrameMalformed" })
      yield* Fiber.interrupt(asking)
      yield* peer.sessions[0]!.sendAll(["1 late", "notice"])
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(subject.messages, 1)))).toEqual(["notice"])
      const again = yield* Effect.fork(subject.request("1 b"))
      yield* turn
      yield* peer.sessions[0]!.send("1 B")
      expect(yield* Fiber.join(again)).toBe("1 B")
      expect(peer.received).toEqual(["1 a", "1 b"])
    }))

  onMemory("a correlation that throws is a defect of the call, or of the client", () =>
    Effect.gen(function* () {
      const peer = new Peer((line) => line)
      yield* peer.up
      const boom = new Error("boom")
      const id = (line: string) => {
        if (line === "bad") throw boom
        return line
      }
      const subject = yield* client({ correlation: { request: id, answer: id } })
      yield* subject.connection
      expect(yield* Effect.exit(subject.request("bad"))).toEqual(Exit.die(boom))
      expect(yield* subject.request("good")).toBe("good")
      const under = yield* Effect.fork(Effect.exit(subject.request("way")))
      yield* peer.sessions[0]!.send("bad")
      yield* Fiber.join(under)
      yield* turn
      expect(yield* Effect.exit(subject.request("good"))).toEqual(Exit.die(boom))
    }))
})

describe("under random cuts", () => {
  type Deed = "answer" | "cut before" | "cut after" | "half an answer"

  /** A server that does what it is told at each line, and all that is asked once it has nothing to be told. */
  const server = (deeds: Array<Deed>, processed: Array<string>) =>
    Effect.gen(function* () {
      const listener = yield* Net.listen({ port: 0 })
      const serve = (connection: Connection.Connection) => {
        const session = Framed.make(connection, lines)
        return Stream.runForEach(session.messages, (line) => {
          const deed = deeds.shift() ?? "answer"
          if (deed === "cut before") return Effect.fail("cut")
          processed.push(line)
          if (deed === "answer") return session.send(`${line} answered`)
          if (deed === "half an answer") return Effect.zipRight(connection.write(`${line} ans`), Effect.fail("cut"))
          return Effect.zipRight(session.send(`${line} answered`), Effect.fail("cut"))
        }).pipe(Effect.catchAll(() => Effect.ignore(connection.reset)))
      }
      yield* Effect.forkScoped(
        Stream.runForEach(listener.connections, (connection) => Effect.fork(serve(connection)))
      )
      return listener.address
    })

  const deed = fc.oneof(
    { arbitrary: fc.constant<Deed>("answer"), weight: 6 },
    { arbitrary: fc.constantFrom<Deed>("cut before", "cut after", "half an answer"), weight: 1 }
  )
  const call = fc.record({ idempotent: fc.boolean(), interrupted: fc.integer({ min: 0, max: 9 }).map((n) => n === 0) })
  const rule = fc.constantFrom<FramedClient.WhileDisconnected>("fail", "wait", { buffer: 3 })

  it.effect(
    "every call settles once, with its own answer or with an error that is true",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(deed, { maxLength: 80 }),
            fc.array(call, { minLength: 1, maxLength: 60 }),
            rule,
            fc.boolean(),
            fc.boolean(),
            (deeds, calls, whileDisconnected, byId, roomy) =>
              Effect.gen(function* () {
                const processed: Array<string> = []
                const settled = calls.map(() => 0)
                const subject = yield* FramedClient.make({
                  connect: yield* server([...deeds], processed),
                  codec: lines,
                  retry: { baseDelay: 0 },
                  whileDisconnected,
                  // Where there is room for no more than a byte, most calls wait to be written.
                  ...roomy ? {} : { writeBuffer: 1 },
                  correlation: byId ? { request: (line) => line, answer: (line) => line.split(" ")[0] } : undefined
                })
                const fibers = yield* Effect.forEach(calls, ({ idempotent, interrupted }, i) =>
                  Effect.gen(function* () {
                    const asking = yield* Effect.fork(
                      Effect.onExit(subject.request(`${i}`, { idempotent }), () => Effect.sync(() => settled[i]!++))
                    )
                    if (i % 7 === 0) yield* turn
                    if (interrupted) yield* Fiber.interruptFork(asking)
                    return asking
                  }))
                const exits = yield* Effect.forEach(fibers, Fiber.await)
                // Who is interrupted before the first step has not even asked.
                expect(settled).toEqual(calls.map(({ interrupted }, i) => interrupted ? Math.min(1, settled[i]!) : 1))
                for (const [i, exit] of exits.entries()) {
                  const times = processed.filter((line) => line === `${i}`).length
                  if (!calls[i]!.idempotent) expect(times).toBeLessThanOrEqual(1)
                  if (Exit.isSuccess(exit)) {
                    expect(exit.value).toBe(`${i} answered`)
                    expect(times).toBeGreaterThanOrEqual(1)
                  } else if (exit.cause._tag === "Fail") {
                    if (exit.cause.error._tag !== "Disconnected") return expect.fail(exit.cause.error.message)
                    if (!exit.cause.error.sent) expect(times).toBe(0)
                    if (whileDisconnected === "wait") expect(exit.cause.error.sent && !calls[i]!.idempotent).toBe(true)
                  } else expect(calls[i]!.interrupted).toBe(true)
                }
                // It lives on, and no answer to an earlier call is left over.
                while (true) {
                  const last = yield* Effect.exit(Effect.zipRight(subject.connection, subject.request("last")))
                  if (Exit.isSuccess(last)) return expect(last.value).toBe("last answered")
                  yield* turn
                }
              }).pipe(
                Effect.asVoid,
                Effect.scoped,
                Effect.provide(Network.layer(MemoryNetwork.make(roomy ? {} : { bufferSize: 1 }))),
                Effect.runPromise
              )
          ),
          { numRuns: 100, timeout: 5000 }
        )
      ),
    60_000
  )
})

describe("Framed.requests", () => {
  onMemory("in order, beside messages that answer none; ends with the stream", () =>
    Effect.gen(function* () {
      const peer = new Peer((line) => line === "?" ? undefined : `re ${line}`)
      yield* peer.up
      const { messages, request } = yield* Framed.requests(yield* Framed.connect(address, lines))
      yield* turn
      yield* peer.sessions[0]!.send("welcome")
      yield* turn
      expect(yield* Effect.forEach(["a", "b", "c"], request, { concurrency: 3 })).toEqual(["re a", "re b", "re c"])
      const unanswered = yield* Effect.fork(Effect.flip(request("?")))
      yield* turn
      yield* peer.sessions[0]!.connection.shutdown
      expect(yield* Fiber.join(unanswered)).toMatchObject({ _tag: "UnexpectedEnd" })
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(messages))).toEqual(["welcome"])
    }))

  onMemory("fails with the connection, and with its scope", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const one = yield* Framed.requests(yield* Framed.connect(address, lines))
      const asking = yield* Effect.fork(Effect.flip(one.request("?")))
      yield* turn
      yield* peer.cut
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ConnectionReset" })
      expect(yield* Effect.flip(Stream.runDrain(one.messages))).toMatchObject({ _tag: "ConnectionReset" })
      const scope = yield* Scope.make()
      const two = yield* Scope.extend(Framed.requests(yield* Framed.connect(address, lines)), scope)
      const waiting = yield* Effect.fork(Effect.flip(two.request("?")))
      yield* turn
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "ConnectionClosed" })
      yield* Stream.runDrain(two.messages)
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
