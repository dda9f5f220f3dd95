import { describe, expect, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Option,
  pipe,
  Scope,
  Stream,
  TestClock
} from "effect"
import { Net, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const listen = { port: 0 } as const

/** Waits for what the network and other fibers have under way. */
const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

describe("Server", () => {
  onMemory("gives each handler a scope of its own, closed when it ends", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { address } = yield* Server.serve(Server.make({
        listen,
        handler: (connection) =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer((exit) => Effect.sync(() => log.push(`finalizer ${exit._tag}`)))
            yield* Effect.forkScoped(Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("child"))))
            yield* connection.read
            if (log.length === 0) return yield* Effect.fail("no")
          })
      }))
      const client = yield* Net.connect(address)
      yield* settle
      yield* client.shutdown
      expect(yield* client.read).toEqual(Option.none())
      expect(log).toEqual(["child", "finalizer Failure"])
    }))

  onMemory(
    "logs a handler's failure once, and those of fibers that it forked as Effect does",
    () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${message}`))
        const handlers: ReadonlyArray<() => Effect.Effect<unknown, string, Scope.Scope>> = [
          () => Effect.fail("refused"),
          () => Effect.addFinalizer(() => Effect.die("in a finalizer")),
          () => {
            throw new Error("before it began")
          },
          () => Effect.zipRight(Effect.fork(Effect.fail("in a child")), Effect.zipRight(settle, Effect.fail("later")))
        ]
        for (const handler of handlers) {
          const { address } = yield* Server.serve(Server.make({ listen, handler })).pipe(
            Logger.withMinimumLogLevel(LogLevel.Debug),
            Effect.provide(Logger.replace(Logger.defaultLogger, logger))
          )
          yield* (yield* Net.connect(address)).read
          yield* settle
        }
        const failed = "ERROR connection handler failed"
        const unhandled = "DEBUG Fiber terminated with an unhandled error"
        expect(lines).toEqual([failed, failed, failed, unhandled, failed])
      })
  )

  onMemory("logs what the peer did at debug level, what a backend did as an error", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${message}`))
      const backend = yield* Net.listen("127.0.0.1:7790")
      const handlers: ReadonlyArray<Server.ServerOptions<unknown, Network.Network | Scope.Scope>["handler"]> = [
        (connection) => connection.readExactly(1),
        () => Net.connect("127.0.0.1:7789"),
        () => Effect.flatMap(Net.connect(backend.address), (connection) => connection.readExactly(1))
      ]
      yield* Effect.fork(Effect.forever(Effect.scoped(Effect.flatMap(backend.accept, ({ shutdown }) => shutdown))))
      for (const handler of handlers) {
        const server = yield* Server.serve(Server.make({ listen, handler })).pipe(
          Logger.withMinimumLogLevel(LogLevel.Debug),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
        const client = yield* Net.connect(server.address)
        yield* client.shutdown
        yield* client.read
        yield* settle
        const { connectionError, failed } = (yield* server.status).ended
        expect({ connectionError, failed }).toEqual(
          handler === handlers[0] ? { connectionError: 1, failed: 0 } : { connectionError: 0, failed: 1 }
        )
      }
      const failed = "connection handler failed"
      expect(lines).toEqual([`DEBUG ${failed}`, `ERROR ${failed}`, `ERROR ${failed}`])
    }))

  onMemory("gives handlers the services of whoever starts it", () =>
    Effect.gen(function* () {
      class Greeting extends Context.Tag("Greeting")<Greeting, string>() {}
      const greeter = Server.make({
        listen,
        handler: (connection) => Effect.flatMap(Greeting, connection.write)
      })
      const { address } = yield* Effect.provideService(greeter.serve, Greeting, "hello")
      const client = yield* Net.connect(address)
      expect(new TextDecoder().decode(yield* client.readExactly(5))).toBe("hello")
    }))

  onMemory("serves at most `maxConnections` clients, and the next when one is done", () =>
    Effect.gen(function* () {
      const { address, status } = yield* Server.serve(Server.make({
        listen,
        maxConnections: 2,
        handler: (connection) => Effect.zipRight(connection.write("x"), connection.read)
      }))
      const clients = yield* Effect.all(Array.from({ length: 5 }, () => Net.connect(address)))
      const first = yield* Effect.forEach(clients, (client) => Effect.fork(client.readExactly(1)))
      yield* settle
      const served = yield* Effect.filter(first, (fiber) => Effect.map(Fiber.poll(fiber), Option.isSome))
      expect(served.length).toBe(2)
      expect((yield* status).active).toBe(2)
      for (const client of clients) yield* client.shutdown
      yield* Fiber.joinAll(first)
    }))

  onMemory("drains: handlers finish, nobody new is served, finalizers are waited for", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      let finalized = false
      const { address } = yield* Scope.extend(
        Server.serve(Server.make({
          listen,
          handler: (connection) =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer(() => Effect.sync(() => (finalized = true)))
              yield* connection.readExactly(1)
              yield* Deferred.await(gate)
              yield* connection.write("done")
            })
        })),
        scope
      )
      const client = yield* Net.connect(address)
      yield* client.write("x")
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settle
      expect(yield* Effect.flip(Net.connect(address))).toMatchObject({ _tag: "ConnectionRefused" })
      yield* Deferred.succeed(gate, undefined)
      expect(new TextDecoder().decode(yield* client.readExactly(4))).toBe("done")
      yield* Fiber.join(closing)
      expect(finalized).toBe(true)
    }))

  onMemory("resets what is left after drainTimeout", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { address } = yield* Scope.extend(
        Server.serve(Server.make({ listen, drainTimeout: "3 seconds", handler: () => Effect.never })),
        scope
      )
      const client = yield* Net.connect(address)
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      const reading = yield* Effect.fork(Effect.flip(client.read))
      yield* TestClock.adjust("2 seconds")
      yield* settle
      expect(yield* Fiber.poll(reading)).toEqual(Option.none())
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(reading))._tag).toBe("ConnectionReset")
      yield* Fiber.join(closing)
    }))

  onMemory(
    "resets a connection whose peer takes nothing, closeTimeout after its handler",
    () =>
      Effect.gen(function* () {
        const { address, status } = yield* Server.serve(Server.make({
          listen,
          closeTimeout: "3 seconds",
          writeBuffer: 10_000_000,
          handler: (connection) => connection.write(new Uint8Array(200_000))
        }))
        const client = yield* Net.connect(address)
        yield* settle
        expect(yield* status).toMatchObject({ active: 0, closing: 1 })
        yield* TestClock.adjust("3 seconds")
        yield* settle
        expect(yield* status).toMatchObject({ active: 0, closing: 0, accepted: 1 })
        expect((yield* Effect.flip(Stream.runDrain(client.stream)))._tag).toBe("ConnectionReset")
      })
  )

  onMemory("runs as a Layer", () =>
    Effect.gen(function* () {
      const server = Server.make({ listen: { port: 7788 }, handler: (connection) => connection.write("up") })
      yield* Layer.build(Server.layer(server))
      const client = yield* Net.connect({ port: 7788 })
      expect(new TextDecoder().decode(yield* client.readExactly(2))).toBe("up")
      expect(Server.isServer(server)).toBe(true)
    }))

  onMemory("runs as a Layer that gives what was started", () => {
    class Up extends Context.Tag("Up")<Up, Server.Running>() {}
    const server = Server.make({ listen: { port: 0 }, handler: (connection) => connection.write("up") })
    const asked = Effect.scoped(Effect.gen(function* () {
      const { address, status } = yield* Up
      const client = yield* Net.connect(address)
      expect(new TextDecoder().decode(yield* client.readExactly(2))).toBe("up")
      expect((yield* status).accepted).toBe(1)
      return address
    }))
    return Effect.gen(function* () {
      const address = yield* Effect.provide(asked, Server.layerAs(Up, server))
      expect((yield* Effect.flip(Net.connect(address)))._tag).toBe("ConnectionRefused")
    })
  })

  onMemory("runs as a Layer wherever `Server.layer` is passed on", () =>
    Effect.gen(function* () {
      const at = (port: number) =>
        Server.make({ listen: { port }, handler: (connection) => connection.write(String(port)) })
      yield* Layer.build(Layer.mergeAll(pipe(at(7001), Server.layer), ...[at(7002), at(7003)].map(Server.layer)))
      for (const port of [7001, 7002, 7003]) {
        const client = yield* Net.connect({ port })
        expect(new TextDecoder().decode(yield* client.readExactly(4))).toBe(String(port))
      }
    }))

  onMemory("checks its options before it listens", () =>
    Effect.gen(function* () {
      for (
        const wrong of [
          { maxConnections: 0 },
          { maxConnections: 1.5 },
          { drainTimeout: Number.NaN },
          { closeTimeout: -1 },
          { listen: { port: 70000 } }
        ]
      ) {
        const server = Server.make({ listen, handler: () => Effect.void, ...wrong })
        expect(yield* Effect.flip(server.serve)).toMatchObject({ _tag: "InvalidOption" })
      }
    }))
})
