import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, LogLevel, Schedule, Scope, TestClock } from "effect"
import { type Network, Server, Udp, UdpServer, type UdpSocket } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const text = ({ bytes }: UdpSocket.Datagram) => new TextDecoder().decode(bytes)

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))
const listen = { port: 0 }

describe("UdpServer", () => {
  onMemory("answers with what a handler gives, at once or later", () =>
    Effect.gen(function* () {
      const server = yield* UdpServer.make({
        listen,
        handler: (datagram) => {
          const request = text(datagram)
          if (request === "bytes") return datagram.bytes
          if (request === "effect") return Effect.succeed("text of an effect")
          if (request === "later") return Effect.as(Effect.sleep("1 second"), "text of a fiber")
        }
      }).serve
      const client = yield* Udp.connect(server.address)
      expect(text(yield* Udp.request(client, "bytes"))).toBe("bytes")
      expect(text(yield* Udp.request(client, "effect"))).toBe("text of an effect")
      yield* client.send("nothing")
      const asking = yield* Effect.fork(Udp.request(client, "later", { schedule: Schedule.stop }))
      yield* turn
      expect((yield* server.status).active).toBe(1)
      yield* TestClock.adjust("1 second")
      expect(text(yield* Fiber.join(asking))).toBe("text of a fiber")
      expect(yield* server.status).toEqual({ active: 0, waiting: 0, closing: 0, accepted: 4 })
    }))

  it("needs nothing where its handler gives plain answers", () => {
    const server: Server.Server<never, UdpServer.Running> = UdpServer.make({ listen, handler: () => "text" })
    expect(Server.isServer(server)).toBe(true)
  })

  onMemory("runs so many handlers, queues so many datagrams, and drops the rest", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const goOn = yield* Deferred.make<void>()
      const server = yield* UdpServer.make({
        listen,
        concurrency: 2,
        capacity: 3,
        handler: (datagram) =>
          Effect.zipRight(Deferred.await(goOn), Effect.sync(() => void handled.push(text(datagram))))
      }).serve
      const client = yield* Udp.connect(server.address)
      yield* client.sendMany(["1", "2", "3", "4", "5", "6", "7"])
      expect(yield* server.status).toMatchObject({ active: 2, waiting: 3, accepted: 7 })
      expect((yield* server.socket.stats).dropped).toBe(2)
      yield* Deferred.succeed(goOn, undefined)
      yield* turn
      expect(handled).toEqual(["1", "2", "5", "6", "7"])
    }))

  onMemory("one after the other keeps the order, also of a thousand that end at once", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const begun = yield* Deferred.make<void>()
      const server = yield* UdpServer.make({
        listen,
        concurrency: 1,
        handler: (datagram) => {
          handled.push(text(datagram))
          return handled.length === 1 ? Deferred.await(begun) : undefined
        }
      }).serve
      const client = yield* Udp.connect(server.address)
      const messages = Array.from({ length: 1000 }, (_, i) => String(i))
      yield* client.sendMany(messages)
      expect((yield* server.status).waiting).toBe(999)
      yield* Deferred.succeed(begun, undefined)
      yield* turn
      expect(handled).toEqual(messages)
    }))

  onMemory("a handler has a scope of its own, closed before its answer leaves", () =>
    Effect.gen(function* () {
      const closed: Array<string> = []
      const server = yield* UdpServer.make({
        listen,
        handler: (datagram) =>
          Effect.as(Effect.addFinalizer(() => Effect.sync(() => void closed.push(text(datagram)))), "done")
      }).serve
      const client = yield* Udp.connect(server.address)
      yield* Udp.request(client, "one")
      yield* Udp.request(client, "two")
      expect(closed).toEqual(["one", "two"])
    }))

  onMemory("interrupts what is not done after drainTimeout, and drops what waits", () =>
    Effect.gen(function* () {
      const ended: Array<boolean> = []
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(
        UdpServer.make({
          listen,
          concurrency: 1,
          drainTimeout: "3 seconds",
          handler: () =>
            Effect.onExit(Effect.never, (exit) => Effect.sync(() => void ended.push(Exit.isInterrupted(exit))))
        }).serve,
        scope
      )
      const client = yield* Udp.connect(server.address)
      yield* client.sendMany(["1", "2", "3"])
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* turn
      yield* TestClock.adjust(Duration.millis(2999))
      expect(ended).toEqual([])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      expect(ended).toEqual([true])
    }))

  onMemory("says what became of a handler, and goes on", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(({ annotations, cause, logLevel }) => {
        logged.push(`${logLevel.label} ${cause._tag}`)
        expect([...annotations]).toHaveLength(1)
      })
      const server = yield* UdpServer.make({
        listen,
        handler: (datagram) => {
          if (text(datagram) === "throw") throw new Error("thrown")
          if (text(datagram) === "fail") return Effect.fail("failed")
          return text(datagram) === "later" ? Effect.zipRight(turn, Effect.fail("failed")) : new Uint8Array(70_000)
        }
      }).serve.pipe(
        Logger.withMinimumLogLevel(LogLevel.Debug),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      const client = yield* Udp.connect(server.address)
      yield* client.sendMany(["throw", "fail", "answer too much", "later"])
      yield* Effect.repeatN(turn, 2)
      expect(logged).toEqual(["ERROR Die", "ERROR Fail", "ERROR Fail", "ERROR Fail"])
      expect((yield* server.status).active).toBe(0)
    }))

  onMemory("is a server like any other", () =>
    Effect.gen(function* () {
      const echo = UdpServer.make({ listen: "127.0.0.1:4000", handler: ({ bytes }) => bytes })
      expect(Server.isServer(echo)).toBe(true)
      yield* Effect.scoped(Effect.gen(function* () {
        yield* Layer.build(Server.layer(echo))
        expect(text(yield* Udp.request(yield* Udp.connect("127.0.0.1:4000"), "layer"))).toBe("layer")
      }))
      const running = yield* Effect.fork(Server.run(echo))
      yield* turn
      expect(text(yield* Udp.request(yield* Udp.connect("127.0.0.1:4000"), "run"))).toBe("run")
      yield* Fiber.interrupt(running)
      yield* Udp.bind("127.0.0.1:4000")
    }))
})
