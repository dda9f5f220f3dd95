import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Option, Scope, TestClock } from "effect"
import { type Connection, Framed, FramedServer, Framing, Middleware, Net, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { recording } from "./support/tracer.ts"

type Body = () => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>

const onMemory = (name: string, body: Body) =>
  it.scoped(`${name} (memory)`, () => Effect.provide(body(), MemoryNetwork.layer))

/** In memory, and on the sockets of this runtime. */
const everywhere = (name: string, body: Body) => {
  onMemory(name, body)
  it.scopedLive(name, () => Effect.provide(body(), RuntimeNetwork.layer))
}

const listen = { host: "127.0.0.1", port: 0 }
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Waits for what the network and other fibers have under way. */
const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))

const until = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let round = 0; !(yield* condition); round++) {
      expect(round).toBeLessThan(300)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))
    }
  })

const active = (server: Server.Running, count: number) =>
  until(Effect.map(server.status, ({ active }) => active === count))

/** All that comes, up to the end of stream, as text. */
const rest = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    let all = ""
    for (let chunk = yield* connection.read; Option.isSome(chunk); chunk = yield* connection.read) {
      all += text(chunk.value)
    }
    return all
  })

const refused = (address: Server.Running["address"]) =>
  until(Effect.map(Effect.exit(Effect.scoped(Net.connect(address))), Exit.isFailure))

const lines = Framing.lines().pipe(Framing.text())

/** A server with a tracer and a log of the ends of its connections. */
const watched = (handler: Middleware.Handler<unknown, never>) =>
  Effect.gen(function* () {
    const { spans, tracer } = recording()
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, logLevel, message }) => {
      logged.push([logLevel.label, message, Cause.isEmpty(cause) ? "" : Cause.pretty(cause)].join(" ").trim())
    })
    const server = yield* Server.serve(Server.make({ listen, handler: Middleware.logging({ level: "Info" })(handler) }))
      .pipe(Effect.withTracer(tracer), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    const ended = Effect.map(server.status, ({ ended }) => ended)
    return { ended, logged, server, spans }
  })

describe("A drain", () => {
  everywhere(
    "closes idle connections by a typed failure of the read, after which the handler may write",
    () =>
      Effect.gen(function* () {
        const failure = yield* Deferred.make<string>()
        const server = yield* Server.serve(Server.make({
          listen,
          handler: (connection) =>
            Effect.catchAll(
              connection.read,
              (error) => Effect.zipRight(Deferred.succeed(failure, error._tag), connection.write("goodbye"))
            )
        }))
        const client = yield* Net.connect(server.address)
        yield* active(server, 1)
        const report = yield* server.stop
        expect(yield* Deferred.await(failure)).toBe("ConnectionClosed")
        expect(yield* rest(client)).toBe("goodbye")
        expect(report).toMatchObject({ finished: 0, closedIdle: 1, cutOff: 0 })
        expect(yield* server.drained).toBe(report)
        expect(yield* server.stop).toBe(report)
      })
  )

  everywhere(
    "answers what has come before it, and closes a busy connection after its message",
    () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const server = yield* Server.serve(FramedServer.make({
          listen,
          codec: lines,
          handler: () => (line) => line === "slow" ? Effect.as(Deferred.await(gate), "slow") : line
        }))
        const client = yield* Net.connect(server.address)
        yield* client.write("one\nslow\ntwo\n")
        expect(text(yield* client.readUntil("\n"))).toBe("one\n")
        const stopping = yield* Effect.fork(server.stop)
        yield* refused(server.address)
        yield* settle
        yield* client.write("three\n")
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        expect(yield* rest(client)).toBe("slow\ntwo\n")
        expect(yield* Fiber.join(stopping)).toMatchObject({ finished: 1, closedIdle: 0, cutOff: 0 })
      })
  )

  everywhere(
    "is no error of the connections that it ends, idle or busy: not in spans, nor in log lines",
    () =>
      Effect.gen(function* () {
        const { ended, server, spans, logged } = yield* watched(FramedServer.handler({
          codec: lines,
          handler: () => (line) => line === "slow" ? Effect.as(Deferred.await(gate), "slow") : line
        }))
        const gate = yield* Deferred.make<void>()
        const idle = yield* Framed.connect(server.address, lines)
        expect(yield* idle.request("a")).toBe("a")
        const busy = yield* Framed.connect(server.address, lines)
        yield* busy.send("slow")
        yield* active(server, 2)
        yield* settle
        const stopping = yield* Effect.fork(server.stop)
        yield* refused(server.address)
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        expect(yield* busy.receive).toEqual(Option.some("slow"))
        expect(yield* Fiber.join(stopping)).toMatchObject({ finished: 1, closedIdle: 1, cutOff: 0 })
        expect(yield* ended).toMatchObject({ draining: 2 })
        for (const { attributes, status } of spans) {
          expect(attributes.get("netkit.end")).toBe("draining")
          expect(attributes.get("netkit.bytes_written")).toBeGreaterThan(0)
          expect(status).toMatchObject({ _tag: "Ended", exit: Exit.void })
        }
        expect(spans).toHaveLength(2)
        expect(logged).toEqual(Array(2).fill("INFO connection ended: the server drains"))
      })
  )

  everywhere("hides no failure that is not its own", () =>
    Effect.gen(function* () {
      const failures: Record<string, (connection: Connection.Connection) => Effect.Effect<unknown, unknown>> = {
        failed: ({ read }) => Effect.mapError(read, () => new Error("mine")),
        defect: ({ read }) => Effect.ensuring(read, Effect.die("mine")),
        closed: ({ close, read }) => Effect.zipRight(Effect.zipRight(close, Server.draining), read),
        another: ({ read, shutdown, write }) =>
          Effect.catchAll(read, () => Effect.zipRight(shutdown, write("too late")))
      }
      for (const [name, handler] of Object.entries(failures)) {
        const { ended, server, spans, logged } = yield* watched(handler)
        yield* Net.connect(server.address)
        yield* active(server, 1)
        yield* settle
        yield* server.stop
        const [span] = spans
        expect([name, span!.status]).toMatchObject([name, { exit: { _tag: "Failure" } }])
        expect(span!.attributes.has("netkit.end")).toBe(false)
        expect(yield* ended).toMatchObject({ draining: 0 })
        expect(logged).toContainEqual(expect.stringMatching(/^INFO connection ended: .*(mine|closed by this side)/))
      }
    }))

  everywhere("waits for the rest of a message that has come in part", () =>
    Effect.gen(function* () {
      const parts: Record<string, (connection: Connection.Connection) => Effect.Effect<unknown, unknown>> = {
        frame: FramedServer.handler({ codec: lines, handler: () => (line) => line }),
        exactly: (connection: Connection.Connection) =>
          Effect.forever(Effect.flatMap(connection.readExactly(8), connection.write)),
        until: (connection: Connection.Connection) =>
          Effect.forever(Effect.flatMap(connection.readUntil("\n"), connection.write))
      }
      for (const handler of Object.values(parts)) {
        const server = yield* Server.serve(Server.make({ listen, handler }))
        const client = yield* Net.connect(server.address)
        yield* client.write("half")
        yield* active(server, 1)
        yield* settle
        const stopping = yield* Effect.fork(server.stop)
        yield* refused(server.address)
        yield* settle
        yield* client.write("way\n")
        expect(yield* rest(client)).toBe("halfway\n")
        expect(yield* Fiber.join(stopping)).toMatchObject({ finished: 1, closedIdle: 0 })
      }
    }))

  everywhere("lets a relay come to its end, though nothing comes for a while", () =>
    Effect.gen(function* () {
      const origin = yield* Net.listen(listen)
      const server = yield* Server.serve(Server.make({
        listen,
        handler: (connection) => Effect.flatMap(Net.connect(origin.address), (other) => Net.relay(connection, other))
      }))
      const client = yield* Net.connect(server.address)
      const other = yield* origin.accept
      yield* client.write("one ")
      expect(text(yield* other.readExactly(4))).toBe("one ")
      const stopping = yield* Effect.fork(server.stop)
      yield* refused(server.address)
      yield* settle
      yield* client.write("two")
      yield* client.shutdown
      expect(yield* rest(other)).toBe("two")
      yield* other.write("three")
      yield* other.shutdown
      expect(yield* rest(client)).toBe("three")
      expect(yield* Fiber.join(stopping)).toMatchObject({ finished: 1, closedIdle: 0, cutOff: 0 })
    }))

  everywhere("is told to handlers that wait for something else", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({
        listen,
        handler: (connection) => Effect.zipRight(Server.draining, connection.write("goodbye"))
      }))
      const client = yield* Net.connect(server.address)
      yield* active(server, 1)
      yield* Effect.fork(server.stop)
      expect(yield* rest(client)).toBe("goodbye")
      expect(yield* server.drained).toMatchObject({ finished: 1 })
    }))

  it.scoped("is never told outside of a server", () =>
    Effect.gen(function* () {
      expect(Option.isNone(yield* Fiber.poll(yield* Effect.fork(Server.draining)))).toBe(true)
      expect(yield* Effect.raceFirst(Server.draining, Effect.as(Effect.yieldNow(), "other"))).toBe("other")
    }))

  everywhere("resets who waits for a handler", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const server = yield* Server.serve(
        Server.make({ listen, maxConnections: 1, handler: () => Deferred.await(gate) })
      )
      yield* Net.connect(server.address)
      yield* active(server, 1)
      const waiting = yield* Net.connect(server.address)
      yield* settle
      const stopping = yield* Effect.fork(server.stop)
      // Where a socket cannot send RST its end is a FIN.
      yield* Effect.ignore(waiting.read)
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(stopping)).finished).toBe(1)
    }))

  onMemory("counts what it cut off, and how long it took", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(
        Server.make({ listen, drainTimeout: "3 seconds", handler: () => Effect.never })
      )
      const client = yield* Net.connect(server.address)
      yield* active(server, 1)
      const stopping = yield* Effect.fork(server.stop)
      yield* settle
      yield* TestClock.adjust("2999 millis")
      expect(Option.isNone(yield* Fiber.poll(stopping))).toBe(true)
      yield* TestClock.adjust("1 millis")
      const report = yield* Fiber.join(stopping)
      expect(report).toMatchObject({ finished: 0, closedIdle: 0, cutOff: 1 })
      expect(Duration.toMillis(report.duration)).toBe(3000)
      expect(yield* Effect.flip(client.read)).toMatchObject({ _tag: "ConnectionReset" })
    }))

  onMemory("gives a last reply as long as it has itself", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const server = yield* Server.serve(Server.make({
        listen,
        writeBuffer: 10_000_000,
        closeTimeout: "1 second",
        handler: (connection) => Effect.zipRight(Deferred.await(gate), connection.write(new Uint8Array(1_000_000)))
      }))
      const client = yield* Net.connect(server.address)
      yield* active(server, 1)
      const stopping = yield* Effect.fork(server.stop)
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      yield* TestClock.adjust("10 seconds")
      expect((yield* client.readExactly(1_000_000)).length).toBe(1_000_000)
      expect(yield* Fiber.join(stopping)).toMatchObject({ finished: 1, cutOff: 0 })
    }))

  everywhere("goes on though the one who asked for it was interrupted", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const server = yield* Server.serve(Server.make({ listen, handler: () => Deferred.await(gate) }))
      yield* Net.connect(server.address)
      yield* active(server, 1)
      const stopping = yield* Effect.fork(server.stop)
      yield* settle
      yield* Fiber.interrupt(stopping)
      yield* Deferred.succeed(gate, undefined)
      expect(yield* server.drained).toMatchObject({ finished: 1 })
    }))

  const underLoad = (client: (connection: Connection.Connection) => Effect.Effect<unknown, unknown>): Body => () =>
    Effect.gen(function* () {
      let handled = 0
      const server = yield* Server.serve(FramedServer.make({
        listen,
        codec: lines,
        handler: () => (line) => ++handled % 3 === 0 ? Effect.as(Effect.yieldNow(), line) : line
      }))
      const one = Effect.scoped(Effect.gen(function* () {
        const connection = yield* Net.connect(server.address)
        yield* Effect.fork(Effect.ignore(Effect.forever(client(connection))))
        let answers = 0
        while (Exit.isSuccess(yield* Effect.exit(connection.readUntil("\n")))) answers++
        return answers
      }))
      const clients = yield* Effect.fork(Effect.replicateEffect(one, 10, { concurrency: "unbounded" }))
      yield* until(Effect.sync(() => handled > 500))
      expect((yield* server.stop).cutOff).toBe(0)
      const answers = (yield* Fiber.join(clients)).reduce((sum, n) => sum + n, 0)
      expect(answers).toBe(handled)
    })

  everywhere(
    "answers every request that a handler has seen, of clients that send now and then",
    underLoad((connection) => Effect.zipRight(connection.write("some\nmore\n"), settle))
  )

  it.scopedLive("answers every request that a handler has seen, of clients that never pause", () =>
    Effect.provide(
      underLoad((connection) => Effect.zipRight(connection.write("on and on\n".repeat(1000)), Effect.yieldNow()))(),
      RuntimeNetwork.layer
    ))
})

describe("Several servers", () => {
  const two = (log: Array<string>, gate: Deferred.Deferred<void>) =>
    [7001, 7002].map((port) =>
      Server.make({
        listen: { host: "127.0.0.1", port },
        handler: () => Effect.zipRight(Deferred.await(gate), Effect.sync(() => log.push(String(port))))
      })
    ) as [Server.Server, Server.Server]

  const stopTogether = (
    start: (a: Server.Server, b: Server.Server) => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>
  ) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      yield* Scope.extend(start(...two(log, gate)), scope)
      const clients = yield* Effect.forEach([7001, 7002], (port) => Net.connect({ host: "127.0.0.1", port }))
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settle
      for (const { remoteAddress } of clients) {
        expect(yield* Effect.flip(Net.connect(remoteAddress))).toMatchObject({ _tag: "ConnectionRefused" })
      }
      expect(log).toEqual([])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      expect(log.sort()).toEqual(["7001", "7002"])
    })

  onMemory(
    "of one composition of Layers all stop accepting before any of them waits",
    () => stopTogether((a, b) => Layer.build(Layer.provideMerge(Server.layer(a), Server.layer(b))))
  )

  onMemory(
    "of one Scope all stop accepting before any of them waits",
    () => stopTogether((a, b) => Effect.all([a.serve, b.serve]))
  )

  onMemory("listen again where only a part of the composition was closed", () =>
    Effect.gen(function* () {
      const memoMap = yield* Layer.makeMemoMap
      const gate = yield* Deferred.make<void>()
      const [a, b] = two([], gate)
      const scopes = [yield* Scope.make(), yield* Scope.make()] as const
      yield* Layer.buildWithMemoMap(Server.layer(a), memoMap, scopes[0])
      yield* Layer.buildWithMemoMap(Server.layer(b), memoMap, scopes[1])
      const client = yield* Net.connect({ host: "127.0.0.1", port: 7001 })
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scopes[0], Exit.void))
      yield* settle
      const other = Effect.exit(Effect.scoped(Net.connect({ host: "127.0.0.1", port: 7002 })))
      expect(Exit.isFailure(yield* other)).toBe(true)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      yield* client.close
      expect(Exit.isFailure(yield* other)).toBe(true)
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      expect(Exit.isSuccess(yield* other)).toBe(true)
      yield* Scope.close(scopes[1], Exit.void)
      expect(Exit.isFailure(yield* other)).toBe(true)
    }))

  onMemory("that handlers start have nothing to do with the Layers of their server", () =>
    Effect.gen(function* () {
      const outer = Server.make({
        listen: { host: "127.0.0.1", port: 7001 },
        handler: (connection) =>
          Effect.zipRight(
            Effect.scoped(Server.serve(Server.make({ listen, handler: () => Effect.void }))),
            connection.write("done")
          )
      })
      yield* Layer.build(Server.layer(outer))
      const client = yield* Net.connect({ host: "127.0.0.1", port: 7001 })
      expect(yield* rest(client)).toBe("done")
      yield* Net.connect({ host: "127.0.0.1", port: 7001 })
    }))
})

describe("A server that is suspended", () => {
  everywhere(
    "keeps its connections and takes no new ones, until it is resumed at the same address",
    () =>
      Effect.gen(function* () {
        const server = yield* Server.serve(Server.make({
          listen,
          handler: (connection) => Effect.forever(Effect.flatMap(connection.readExactly(1), connection.write))
        }))
        const answers = (client: Connection.Connection) =>
          Effect.gen(function* () {
            yield* client.write("x")
            expect(text(yield* client.readExactly(1))).toBe("x")
          })
        const client = yield* Net.connect(server.address)
        yield* answers(client)
        yield* server.suspend
        yield* server.suspend
        yield* refused(server.address)
        yield* answers(client)
        yield* server.resume
        yield* server.resume
        yield* answers(yield* Net.connect(server.address))
        yield* server.suspend
        expect(yield* server.stop).toMatchObject({ closedIdle: 2 })
        yield* server.resume
        yield* refused(server.address)
      })
  )

  onMemory("tells what keeps it from listening again", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, handler: () => Effect.void }))
      yield* server.suspend
      const other = yield* Scope.make()
      yield* Scope.extend(Net.listen(server.address), other)
      expect(yield* Effect.flip(server.resume)).toMatchObject({ _tag: "AddressInUse" })
      yield* Scope.close(other, Exit.void)
      yield* server.resume
      yield* Net.connect(server.address)
    }))
})
