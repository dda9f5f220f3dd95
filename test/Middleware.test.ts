/**
 * Middleware: what goes around handlers, in memory and under TestClock.
 */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Logger, LogLevel, Option, type Scope, Stream, TestClock } from "effect"
import {
  type Connection,
  Framed,
  FramedServer,
  Framing,
  Middleware,
  Net,
  NetError,
  type Network,
  Server
} from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as fc from "fast-check"
import { Rates, resolve } from "../src/internal/rates.ts"
import { recording } from "./support/tracer.ts"

const lines = Framing.lines().pipe(Framing.text())

const inMemory = <A, E>(effect: Effect.Effect<A, E, Network.Network | Scope.Scope>) =>
  Effect.provide(Effect.scoped(effect), MemoryNetwork.layer)

const echo = (connection: Connection.Connection) => Stream.run(connection.stream, connection.sink)

const serve = <E>(handler: Middleware.Handler<E, never>) =>
  Effect.map(Server.serve(Server.make({ listen: "127.0.0.1:0", handler })), ({ address }) => address)

/** All that comes back for a text; a server that has closed at once answers a write with a reset. */
const ask = (address: Net.Listener["address"], text: string) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(address)
    yield* Effect.ignore(connection.write(text))
    yield* connection.shutdown
    const reply = Stream.catchTag(connection.stream, "ConnectionReset", () => Stream.empty)
    return Chunk.join(yield* Stream.runCollect(Stream.decodeText(reply)), "")
  }).pipe(Effect.scoped)

describe("rates", () => {
  const rate = (limit: number, window: number) => new Rates(resolve({ limit, window }))

  it("let the limit through at once, then one after the other", () => {
    const rates = rate(3, 300)
    expect([0, 0, 0, 0].map((now) => rates.take("a", now))).toEqual([0, 0, 0, 100])
    expect(rates.take("b", 0)).toBe(0)
    expect(rates.take("a", 99)).toBe(1)
    expect(rates.take("a", 100)).toBe(0)
    expect([1000, 1000, 1000].map((now) => rates.take("a", now))).toEqual([0, 0, 0])
    expect(rates.take("a", 1000)).toBe(100)
  })

  it("never let more than the limit begin within a window, twice the limit within any", () => {
    fc.assert(fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 60 }),
      (limit, window, gaps) => {
        const rates = rate(limit, window)
        let now = 0
        const begun: Array<number> = []
        for (const gap of gaps) {
          now += gap
          const wait = rates.take("a", now)
          if (wait === 0) begun.push(now)
          // Who waits as long as it was told is let through.
          else expect(rate(limit, window).take("b", now + wait)).toBe(0)
        }
        for (const start of begun) {
          const within = begun.filter((at) => at >= start && at < start + window).length
          expect(within).toBeLessThan(2 * limit)
        }
      }
    ))
  })

  it("forget the keys that owe nothing", () => {
    const rates = rate(1, 10)
    for (let key = 0; key < 100_000; key++) rates.take(key, key)
    expect(rates.size).toBeLessThan(2000)
  })

  it("refuse wrong options at once", () => {
    expect(() => Middleware.rateLimit({ limit: 0, window: "1 second" })).toThrow("limit")
    expect(() => Middleware.rateLimit({ limit: 1, window: 0 })).toThrow("window")
    expect(() => Middleware.rateLimit({ limit: 1, window: Infinity })).toThrow("window")
    expect(() => Middleware.messageRate({ limit: 1, window: -1 })).toThrow("window")
    expect(() => Middleware.messageRate({ limit: 1, window: 1, overflow: "drop" as never })).toThrow("overflow")
  })
})

describe("rateLimit", () => {
  it.effect("closes who comes too often, and lets him in later", () =>
    inMemory(Effect.gen(function* () {
      const address = yield* serve(Middleware.rateLimit({ limit: 2, window: "10 seconds" })(echo))
      expect(yield* Effect.replicateEffect(ask(address, "hello"), 3)).toEqual(["hello", "hello", ""])
      yield* TestClock.adjust("5 seconds")
      expect(yield* Effect.replicateEffect(ask(address, "hello"), 2)).toEqual(["hello", ""])
    })))

  it.effect("is told from trouble of the network, as is that of messages", () =>
    inMemory(Effect.gen(function* () {
      const rate = { limit: 1, window: "10 seconds" } as const
      const handlers: ReadonlyArray<Middleware.Handler<unknown>> = [
        Middleware.rateLimit(rate)(echo),
        FramedServer.handler({
          codec: lines,
          handler: Middleware.messageRate({ ...rate, overflow: "fail" })(() => (line: string) => line)
        })
      ]
      const ends = yield* Effect.forEach(handlers, (handler) =>
        Effect.gen(function* () {
          const server = yield* Server.serve(Server.make({ listen: "127.0.0.1:0", handler }))
          yield* Effect.replicateEffect(ask(server.address, "a\nb\n"), 3)
          yield* server.awaitConnections("==", 0)
          const { completed, connectionError, rateLimited } = (yield* server.status).ended
          return { completed, connectionError, rateLimited }
        }))
      expect(ends).toEqual([
        { completed: 1, connectionError: 0, rateLimited: 2 },
        { completed: 0, connectionError: 0, rateLimited: 3 }
      ])
    })))

  it.effect("counts by a key of one's own", () =>
    inMemory(Effect.gen(function* () {
      const key = ({ remoteAddress }: Connection.Connection) => remoteAddress
      const address = yield* serve(Middleware.rateLimit({ limit: 1, window: "10 seconds", key })(echo))
      expect(yield* Effect.replicateEffect(ask(address, "hello"), 2)).toEqual(["hello", "hello"])
    })))
})

describe("messageRate", () => {
  const shouting = (overflow: Middleware.MessageRateOptions<string, string>["overflow"]) =>
    Middleware.messageRate({ limit: 2, window: "2 seconds", overflow })(
      (): FramedServer.OnMessage<string, string> => (line) =>
        line === "stream" ? Stream.make("a", "b") : line === "effect" ? Effect.succeed("e") : line.toUpperCase()
    )
  const served = (overflow: Middleware.MessageRateOptions<string, string>["overflow"]) =>
    serve(FramedServer.handler({ codec: lines, handler: shouting(overflow) }))

  it.effect("lets the peer wait", () =>
    inMemory(Effect.gen(function* () {
      const address = yield* served("wait")
      const client = yield* Framed.connect(address, lines)
      yield* client.sendAll(["a", "b", "stream", "effect", "c"])
      const receive = Effect.map(client.receive, Option.getOrThrow)
      expect(yield* Effect.replicateEffect(receive, 2)).toEqual(["A", "B"])
      const rest = yield* Effect.fork(Effect.replicateEffect(receive, 4))
      yield* TestClock.adjust("999 millis")
      expect(rest.unsafePoll()).toBe(null)
      yield* TestClock.adjust("2 seconds")
      expect(rest.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 millis")
      expect(yield* rest).toEqual(["a", "b", "e", "C"])
    })))

  it.effect("answers in the message's place", () =>
    inMemory(Effect.gen(function* () {
      const address = yield* served((message) => `${message}: slow down`)
      expect(yield* ask(address, "a\nb\nc\n")).toBe("A\nB\nc: slow down\n")
    })))

  it.effect("ends the connection", () =>
    inMemory(Effect.gen(function* () {
      const address = yield* served("fail")
      expect(yield* ask(address, "a\nb\nc\nd\n")).toBe("A\nB\n")
    })))

  it.effect("goes around handlers of plain replies, and of none", () => {
    const wait = Middleware.messageRate({ limit: 2, window: "2 seconds" })
    const slow = Middleware.messageRate({ limit: 2, window: "2 seconds", overflow: () => "slow down" })
    const wrong = Middleware.messageRate({ limit: 2, window: "2 seconds", overflow: () => 1 })
    const listen = "127.0.0.1:0"
    const codec = lines
    const all: Server.Server = FramedServer.make({ listen, codec, handler: slow(() => (line) => line.toUpperCase()) })
    const some: Server.Server = FramedServer.make({
      listen,
      codec,
      handler: slow((session) => (line) => line === "a" ? session.send("one") : line === "b" ? undefined : line)
    })
    const none: Server.Server = FramedServer.make({ listen, codec, handler: slow(() => (line) => void line) })
    const effects: Server.Server = FramedServer.make({ listen, codec, handler: wait(() => () => Effect.void) })
    // @ts-expect-error a length is no line
    FramedServer.make({ listen, codec, handler: wait(() => (line: string) => line.length) })
    // @ts-expect-error nor is a number that is given instead
    FramedServer.make({ listen, codec, handler: wrong(() => (line: string) => line) })
    return inMemory(Effect.gen(function* () {
      const asked = (server: Server.Server, text: string) =>
        Effect.flatMap(Server.serve(server), ({ address }) => ask(address, text))
      expect(yield* asked(all, "a\nb\nc\n")).toBe("A\nB\nslow down\n")
      expect(yield* asked(some, "a\nb\nc\n")).toBe("one\nslow down\n")
      expect(yield* asked(none, "a\nb\nc\n")).toBe("slow down\n")
      expect(yield* asked(effects, "a\nb\n")).toBe("")
    }))
  })
})

describe("authenticate", () => {
  it("throws InvalidOption for a time that is none", () => {
    const options = { codec: Framing.lines(), authenticate: () => Effect.void, timeout: "-1 second" } as const
    expect(() => Middleware.authenticate(options)).toThrow(NetError.InvalidOption)
  })

  const known = Middleware.authenticate({
    codec: lines,
    authenticate: (token, session) =>
      token === "secret"
        ? Effect.succeed("admin")
        : Effect.zipRight(session.send("denied"), Effect.fail("who?" as const))
  })((connection, name) =>
    FramedServer.handler({ codec: lines, handler: () => (line: string) => `${name}: ${line}` })(connection)
  )

  it.effect("hands over who it is, and what came with the first message", () =>
    inMemory(Effect.gen(function* () {
      const address = yield* serve(known)
      expect(yield* ask(address, "secret\nhello\nagain\n")).toBe("admin: hello\nadmin: again\n")
      expect(yield* ask(address, "guess\nhello\n")).toBe("denied\n")
      expect(yield* ask(address, "")).toBe("")
    })))

  it.effect("does not wait for ever", () =>
    inMemory(Effect.gen(function* () {
      const address = yield* serve(known)
      const client = yield* Net.connect(address)
      const end = yield* Effect.fork(client.read)
      yield* TestClock.adjust("10 seconds")
      expect(yield* end).toEqual(Option.none())
    })))
})

describe("logging", () => {
  it.effect("says how each connection ended, and from where the handler's own lines come", () =>
    inMemory(Effect.gen(function* () {
      const logged: Array<readonly [string, unknown]> = []
      const logger = Logger.make(({ annotations, message }) => {
        logged.push([String(message), Object.fromEntries(annotations)])
      })
      const handler = (connection: Connection.Connection) => Effect.zipRight(Effect.log("mine"), echo(connection))
      yield* Effect.gen(function* () {
        const address = yield* serve(Middleware.logging({ level: "Info" })(handler))
        yield* ask(address, "hello")
        const failing = yield* serve(Middleware.logging({ level: "Info" })(() => Effect.fail(new Error("no luck"))))
        yield* ask(failing, "hello")
      }).pipe(Effect.scoped, Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const remoteAddress = expect.stringMatching(/^127\.0\.0\.1:\d+$/)
      expect(logged[0]).toEqual(["mine", { remoteAddress }])
      expect(logged[1]).toEqual(["connection ended: done", {
        remoteAddress,
        bytesRead: 5,
        bytesWritten: 5,
        duration: "0"
      }])
      expect(logged.map(([message]) => message)).toContainEqual(
        expect.stringMatching(/^connection ended: Error: no luck/)
      )
    })).pipe(Logger.withMinimumLogLevel(LogLevel.Info)))
})

describe("tracing", () => {
  it.effect("a span a connection, with addresses, bytes and outcome; the handler's spans are its children", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recording()
      const handler = (connection: Connection.Connection) => Effect.withSpan(echo(connection), "inner")
      const traced = Middleware.tracing({ name: "echo", attributes: { tenant: 1 } })(handler)
      yield* inMemory(Effect.flatMap(
        serve((connection) => Effect.withTracer(traced(connection), tracer)),
        (address) => ask(address, "hello")
      ))
      expect(spans.map(({ kind, name }) => [name, kind])).toEqual([["echo", "server"], ["inner", "internal"]])
      const [outer, inner] = spans
      expect(inner!.parent).toEqual(Option.some(outer))
      expect(Object.fromEntries(outer!.attributes)).toEqual({
        tenant: 1,
        "network.transport": "tcp",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": expect.any(Number),
        "network.local.address": "127.0.0.1",
        "network.local.port": expect.any(Number),
        "netkit.bytes_read": 5,
        "netkit.bytes_written": 5
      })
      expect(outer!.status).toMatchObject({ _tag: "Ended", exit: Exit.void })
    }))
})
