import { describe, expect, it } from "@effect/vitest"
import {
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Logger,
  LogLevel,
  Option,
  type Scope,
  Stream,
  TestClock
} from "effect"
import { type Connection, FramedServer, Framing, Net, type NetError, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { RuntimeNetwork } from "effect-netkit/runtime"

type Body = () => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>

const onMemory = (name: string, body: Body) => it.scoped(name, () => Effect.provide(body(), MemoryNetwork.layer))

const onSockets = (name: string, body: Body) =>
  it.scopedLive(`${name} (sockets)`, () => Effect.provide(body(), RuntimeNetwork.layer))

const listen = { host: "127.0.0.1", port: 0 }
const lines = Framing.lines().pipe(Framing.text())

/** Waits for what the network and other fibers have under way. */
const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))

/** Lets so much time pass, and what comes of it happen. */
const pass = (time: Duration.DurationInput) => Effect.zipRight(TestClock.adjust(time), settle)

type Options = Partial<Server.ServerOptions<never, never>>

/** A server whose handler's failure can be asked for, and a client of it. */
const start = (
  options: Options,
  handler: (connection: Connection.Connection) => Effect.Effect<unknown, NetError.NetError>
) =>
  Effect.gen(function* () {
    const outcome = yield* Deferred.make<unknown, NetError.NetError>()
    const server = yield* Server.serve(Server.make({
      listen,
      ...options,
      handler: (connection) =>
        Effect.tapBoth(handler(connection), {
          onFailure: (error) => Deferred.fail(outcome, error),
          onSuccess: (value) => Deferred.succeed(outcome, value)
        }).pipe(Effect.ignore)
    }))
    const client = yield* Net.connect(server.address, { readBuffer: 1 })
    yield* server.awaitConnections("==", 1)
    yield* settle
    return { server, client, outcome: Deferred.await(outcome), over: Deferred.isDone(outcome) }
  })

const reading = (connection: Connection.Connection) => Stream.runDrain(connection.stream)

describe("firstByteTimeout", () => {
  onMemory("strikes a peer that says nothing, after 30 seconds by default", () =>
    Effect.gen(function* () {
      const { client, outcome, over, server } = yield* start({}, reading)
      yield* pass("29999 millis")
      expect(yield* over).toBe(false)
      yield* pass("1 millis")
      const error = yield* Effect.flip(outcome)
      expect(error).toMatchObject({ _tag: "FirstByteTimeout", operation: "read", address: client.localAddress })
      expect(error.message).toContain("said nothing within 30s")
      expect(yield* client.read).toEqual(Option.none())
      yield* server.awaitConnections("==", 0)
      expect((yield* server.status).ended).toMatchObject({ firstByteTimeout: 1, completed: 0, connectionError: 0 })
    }))

  onMemory("does not run while nobody waits to read", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { outcome, over } = yield* start({}, (connection) => Effect.zipRight(Deferred.await(gate), connection.read))
      yield* pass("1 hour")
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      yield* pass("29 seconds")
      expect(yield* over).toBe(false)
      yield* pass("1 seconds")
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "FirstByteTimeout" })
    }))

  onMemory("has nothing to say after the first byte", () =>
    Effect.gen(function* () {
      const { client, outcome, over } = yield* start({ idleTimeout: "2 minutes" }, reading)
      yield* pass("29 seconds")
      yield* client.write("x")
      yield* pass("119 seconds")
      expect(yield* over).toBe(false)
      yield* pass("1 seconds")
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "IdleTimeout" })
    }))

  onSockets("is told to the handler, which may still write", () =>
    Effect.gen(function* () {
      const { client, outcome } = yield* start({ firstByteTimeout: "50 millis" }, (connection) =>
        Effect.catchTag(reading(connection), "FirstByteTimeout", ({ _tag }) => connection.write(_tag)))
      expect(String(new TextDecoder().decode(yield* client.readExactly(16)))).toBe("FirstByteTimeout")
      expect(yield* client.read).toEqual(Option.none())
      yield* outcome
    }))
})

describe("idleTimeout", () => {
  onMemory(
    "strikes 60 seconds after the last byte by default; earlier bytes put it off",
    () =>
      Effect.gen(function* () {
        const { client, outcome, over, server } = yield* start({}, reading)
        for (let i = 0; i < 5; i++) {
          yield* client.write("x")
          yield* settle
          yield* pass("59 seconds")
        }
        expect(yield* over).toBe(false)
        yield* pass("1 seconds")
        const error = yield* Effect.flip(outcome)
        expect(error).toMatchObject({ _tag: "IdleTimeout", timeout: Duration.seconds(60) })
        yield* server.awaitConnections("==", 0)
        expect((yield* server.status).ended).toMatchObject({ idleTimeout: 1 })
      })
  )

  onMemory(
    "counts the peer's silence alone: not what this side sends, nor the handler's own time",
    () =>
      Effect.gen(function* () {
        const { client, outcome, over } = yield* start({ idleTimeout: "10 seconds" }, (connection) =>
          Effect.gen(function* () {
            yield* connection.read
            yield* Effect.sleep("1 minute")
            yield* Effect.fork(Effect.forever(Effect.zipRight(Effect.sleep("1 seconds"), connection.write("tick"))))
            yield* connection.read
          }))
        yield* client.write("x")
        yield* settle
        yield* pass("1 minute")
        for (let i = 0; i < 9; i++) {
          yield* pass("1 seconds")
        }
        expect(yield* over).toBe(false)
        yield* pass("1 seconds")
        expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "IdleTimeout" })
      })
  )

  onMemory("adds up waits that the handler broke off, without the time between them", () =>
    Effect.gen(function* () {
      const { client, outcome, over } = yield* start({ idleTimeout: "10 seconds" }, (connection) =>
        Effect.zipRight(
          connection.read,
          Effect.forever(
            Effect.zipRight(
              Effect.timeoutOption(connection.readExactly(1), "3 seconds"),
              Effect.raceFirst(Effect.sleep("1 minute"), Server.draining)
            )
          )
        ))
      yield* client.write("x")
      yield* settle
      for (let i = 0; i < 3; i++) {
        yield* pass("3 seconds")
        yield* pass("1 minute")
      }
      expect(yield* over).toBe(false)
      yield* pass("999 millis")
      expect(yield* over).toBe(false)
      yield* pass("1 millis")
      yield* pass("1 minute")
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "IdleTimeout" })
    }))

  onMemory("does not take a readTimeout that strikes earlier for a byte", () =>
    Effect.gen(function* () {
      const { client, outcome } = yield* start({ idleTimeout: "10 seconds", readTimeout: "4 seconds" }, (connection) =>
        Effect.forever(Effect.catchTag(connection.readExactly(1), "ReadTimeout", () =>
          connection.write("still there?"))))
      yield* client.write("x")
      for (let i = 0; i < 3; i++) {
        yield* pass("4 seconds")
      }
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "IdleTimeout" })
    }))

  onMemory("leaves what had come to be read", () =>
    Effect.gen(function* () {
      const { client, outcome } = yield* start({ idleTimeout: "10 seconds" }, (connection) =>
        Effect.catchTag(connection.readExactly(8), "IdleTimeout", () =>
          Effect.gen(function* () {
            const half = yield* connection.readExactly(4)
            return [new TextDecoder().decode(half), (yield* Effect.orDie(Effect.flip(connection.read)))._tag]
          })))
      yield* client.write("half")
      yield* settle
      yield* pass("10 seconds")
      expect(yield* outcome).toEqual(["half", "IdleTimeout"])
    }))

  onMemory("cuts off a handler that does not heed it, closeTimeout later", () =>
    Effect.gen(function* () {
      const { client, server } = yield* start({ idleTimeout: "10 seconds", closeTimeout: "3 seconds" }, (connection) =>
        Effect.zipRight(Effect.ignore(reading(connection)), Effect.never))
      yield* client.write("x")
      yield* settle
      yield* pass("10 seconds")
      yield* pass("2 seconds")
      expect(yield* server.status).toMatchObject({ active: 1 })
      yield* pass("1 seconds")
      expect(yield* Effect.flip(client.read)).toMatchObject({ _tag: "ConnectionReset" })
      expect(yield* server.status).toMatchObject({ active: 0, ended: { idleTimeout: 1, cutOff: 0 } })
    }))

  onMemory("can be opted out of", () =>
    Effect.gen(function* () {
      const never = { idleTimeout: Duration.infinity, firstByteTimeout: Duration.infinity }
      const { client, over } = yield* start(never, reading)
      yield* pass("1 hour")
      yield* client.write("x")
      yield* pass("1 hour")
      expect(yield* over).toBe(false)
    }))

  it.scoped("is logged once, with its reason", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => logged.push(String(message)))
    return Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, handler: reading }))
      const client = yield* Net.connect(server.address)
      yield* settle
      yield* pass("30 seconds")
      yield* server.awaitConnections("==", 0)
      expect(logged.filter((line) => line.includes("said nothing"))).toEqual([
        `read from ${client.localAddress}: the peer said nothing within 30s`
      ])
    }).pipe(
      Logger.withMinimumLogLevel(LogLevel.Debug),
      Effect.provide([MemoryNetwork.layer, Logger.replace(Logger.defaultLogger, logger)])
    )
  })

  onMemory("strikes each of many connections at its own time", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, idleTimeout: "20 seconds", handler: reading }))
      const clients = yield* Effect.replicateEffect(Net.connect(server.address), 50)
      yield* server.awaitConnections("==", 50)
      for (const client of clients) {
        yield* client.write("x")
        yield* settle
        yield* TestClock.adjust("100 millis")
      }
      for (let i = 0; i < 150; i++) yield* TestClock.adjust("100 millis")
      yield* settle
      for (let left = 49; left >= 0; left -= 7) {
        yield* server.awaitConnections("==", left)
        yield* pass("700 millis")
      }
      yield* server.awaitConnections("==", 0)
    }))

  onSockets("strikes between two messages, and answers the first", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(FramedServer.make({
        listen,
        codec: lines,
        idleTimeout: "50 millis",
        handler: () => (line) => line
      }))
      const client = yield* Net.connect(server.address)
      yield* client.write("one\n")
      expect(new TextDecoder().decode(yield* client.readUntil("\n"))).toBe("one\n")
      expect(yield* client.read).toEqual(Option.none())
      yield* client.close
      yield* server.awaitConnections("==", 0)
      expect((yield* server.status).ended.idleTimeout).toBe(1)
    }))
})

describe("maxConnectionAge", () => {
  onMemory("ends a connection between two messages, however busy it is", () =>
    Effect.gen(function* () {
      const { client, outcome, over } = yield* start({ maxConnectionAge: "1 minute" }, (connection) =>
        FramedServer.handler({ codec: lines, handler: () => (line) => line })(connection))
      for (let i = 0; i < 5; i++) {
        yield* client.write("x\n")
        yield* client.readUntil("\n")
        yield* pass("10 seconds")
      }
      yield* client.write("half")
      yield* pass("10 seconds")
      expect(yield* over).toBe(false)
      yield* client.write("way\n")
      expect(new TextDecoder().decode(yield* client.readUntil("\n"))).toBe("halfway\n")
      const error = yield* Effect.flip(outcome)
      expect(error).toMatchObject({ _tag: "ConnectionExpired", age: Duration.minutes(1) })
      expect(yield* client.read).toEqual(Option.none())
    }))

  onMemory("cuts it off after drainTimeout more", () =>
    Effect.gen(function* () {
      const { client, server } = yield* start(
        { maxConnectionAge: "1 minute", drainTimeout: "10 seconds", idleTimeout: Duration.infinity },
        (connection) => connection.readExactly(2)
      )
      yield* client.write("x")
      yield* settle
      yield* pass("1 minute")
      yield* pass("9 seconds")
      expect(yield* server.status).toMatchObject({ active: 1 })
      yield* pass("1 seconds")
      expect(yield* Effect.flip(client.read)).toMatchObject({ _tag: "ConnectionReset" })
      expect((yield* server.status).ended.expired).toBe(1)
    }))

  onSockets("is told to the handler at its read", () =>
    Effect.gen(function* () {
      const { client, outcome } = yield* start({ maxConnectionAge: "50 millis" }, reading)
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "ConnectionExpired" })
      expect(yield* client.read).toEqual(Option.none())
    }))
})

describe("minThroughput", () => {
  const minThroughput = { bytesPerSecond: 100, grace: "5 seconds" } as const
  const trickle = (client: Connection.Connection, bytes: number, seconds: number) =>
    Effect.gen(function* () {
      for (let i = 0; i < seconds; i++) {
        yield* Effect.ignore(client.write(new Uint8Array(bytes)))
        yield* settle
        yield* pass("1 seconds")
      }
    })

  onMemory("strikes a peer that trickles, and says how much came", () =>
    Effect.gen(function* () {
      const { client, outcome, over, server } = yield* start({ minThroughput }, reading)
      yield* trickle(client, 120, 20)
      expect(yield* over).toBe(false)
      yield* trickle(client, 50, 10)
      const error = yield* Effect.flip(outcome)
      expect(error).toMatchObject({ _tag: "ThroughputTooLow", operation: "read", limit: 100 })
      expect((error as NetError.ThroughputTooLow).measured).toBeLessThan(100)
      expect((yield* server.status).ended.throughputTooLow).toBe(1)
    }))

  onMemory("counts pauses within a message, not between two", () =>
    Effect.gen(function* () {
      for (
        const handler of [
          FramedServer.handler({ codec: lines, handler: () => () => {} }),
          (connection: Connection.Connection) => Effect.forever(connection.readUntil("\n")),
          (connection: Connection.Connection) => Effect.forever(connection.readExactly(4))
        ]
      ) {
        const { client, outcome, over } = yield* start({ minThroughput }, handler as never)
        for (let i = 0; i < 5; i++) {
          yield* client.write("one\n")
          yield* settle
          yield* pass("20 seconds")
        }
        expect(yield* over).toBe(false)
        yield* client.write("tw")
        yield* settle
        yield* pass("4 seconds")
        yield* pass("999 millis")
        expect(yield* over).toBe(false)
        yield* pass("5 seconds")
        expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "ThroughputTooLow" })
      }
    }))

  onMemory("does not count the handler's own time", () =>
    Effect.gen(function* () {
      const { client, over } = yield* start({ minThroughput }, (connection) =>
        Effect.forever(
          Effect.zipRight(connection.readExactly(1), Effect.raceFirst(Effect.sleep("1 minute"), Server.draining))
        ))
      for (let i = 0; i < 5; i++) {
        yield* client.write("x")
        yield* settle
        yield* pass("1 minute")
      }
      expect(yield* over).toBe(false)
    }))

  onMemory("strikes a peer that takes too little while a write waits", () =>
    Effect.gen(function* () {
      const { client, outcome, over } = yield* start(
        { minThroughput, writeTimeout: "1 hour", writeBuffer: 1024 },
        (connection) => connection.write(new Uint8Array(5_000_000))
      )
      const take = (times: number, pause: Duration.DurationInput) =>
        Effect.repeatN(Effect.zipRight(client.read, Effect.zipRight(settle, pass(pause))), times - 1)
      yield* take(20, "4 seconds")
      expect(yield* over).toBe(false)
      yield* take(1, "10 minutes")
      yield* pass("10 minutes")
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "ThroughputTooLow", operation: "write" })
    }))

  onSockets("strikes a peer that trickles", () =>
    Effect.gen(function* () {
      const { client, outcome } = yield* start(
        { minThroughput: { bytesPerSecond: 1_000_000, grace: "100 millis" } },
        (connection) => connection.readExactly(1000)
      )
      yield* Effect.fork(Effect.forever(Effect.zipRight(client.write("x"), Effect.sleep("10 millis"))))
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "ThroughputTooLow" })
    }))

  onSockets("strikes a peer that takes too little", () =>
    Effect.gen(function* () {
      const { client, outcome } = yield* start(
        { minThroughput: { bytesPerSecond: 1_000_000_000, grace: "100 millis" } },
        (connection) => Effect.forever(connection.write(new Uint8Array(1_000_000)))
      )
      yield* client.readExactly(1)
      expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "ThroughputTooLow", operation: "write" })
    }))
})

describe("writeTimeout", () => {
  onMemory(
    "is put off by every byte that the peer takes, before the writer has room again",
    () =>
      Effect.gen(function* () {
        const { client, outcome, over } = yield* start(
          { writeTimeout: "10 seconds", writeBuffer: 1024 },
          (connection) => connection.write(new Uint8Array(2_000_000))
        )
        for (let i = 0; i < 10; i++) {
          yield* client.read
          yield* settle
          yield* pass("9 seconds")
        }
        expect(yield* over).toBe(false)
        yield* pass("10 seconds")
        yield* pass("10 seconds")
        expect(yield* Effect.flip(outcome)).toMatchObject({ _tag: "WriteTimeout" })
      })
  )
})

describe("The time limits of a server", () => {
  onMemory("are checked before it listens", () =>
    Effect.gen(function* () {
      for (
        const wrong of [
          { firstByteTimeout: -1 },
          { idleTimeout: 0 },
          { maxConnectionAge: Number.NaN },
          { minThroughput: { bytesPerSecond: 0 } },
          { minThroughput: { bytesPerSecond: Infinity } },
          { minThroughput: { bytesPerSecond: 1, grace: 0 } }
        ]
      ) {
        const started = Server.serve(Server.make({ listen, handler: reading, ...wrong }))
        expect(yield* Effect.flip(started)).toMatchObject({ _tag: "InvalidOption" })
      }
    }))

  onMemory("hold in a drain, and a drain for whom they have struck", () =>
    Effect.gen(function* () {
      const { client, server } = yield* start({ idleTimeout: "10 seconds", drainTimeout: "1 hour" }, (connection) =>
        connection.readExactly(2))
      yield* client.write("x")
      yield* settle
      const stopping = yield* Effect.fork(server.stop)
      yield* pass("9 seconds")
      expect(yield* Fiber.poll(stopping)).toEqual(Option.none())
      yield* pass("1 seconds")
      expect(yield* Fiber.join(stopping)).toMatchObject({ finished: 1, cutOff: 0 })
      expect((yield* server.status).ended.idleTimeout).toBe(1)
      expect(Exit.isSuccess(yield* Effect.exit(client.close))).toBe(true)
    }))
})
