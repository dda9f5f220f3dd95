import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Fiber, Logger, Option, type Scope, TestClock } from "effect"
import { type Connection, Net, type Network, Server, SocketAddress } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { RuntimeNetwork } from "effect-netkit/runtime"

type Body = () => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

const onMemory = (name: string, body: Body) =>
  it.scoped(`${name} (memory)`, () => Effect.provide(body(), MemoryNetwork.layer).pipe(quiet))

const everywhere = (name: string, body: Body) => {
  onMemory(name, body)
  it.scopedLive(name, () => Effect.provide(body(), RuntimeNetwork.layer).pipe(quiet))
}

const listen = { host: "127.0.0.1", port: 0 }

const echo = (connection: Connection.Connection) =>
  Effect.forever(Effect.flatMap(connection.readExactly(1), connection.write))

const until = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let round = 0; !(yield* condition); round++) {
      expect(round).toBeLessThan(300)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))
    }
  })

const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 30)))

/** Whether a client is answered; only when it is, or has been turned away, this is done. */
const answered = (client: Connection.Connection) =>
  Effect.zipRight(client.write("x"), client.readExactly(1)).pipe(Effect.exit, Effect.map(Exit.isSuccess))

/** Clients; one that is turned away may learn it already while it connects. */
const connectAll = ({ address }: { readonly address: SocketAddress.AddressInput }, count: number) =>
  Effect.map(
    Effect.replicateEffect(Effect.option(Net.connect(address)), count),
    (clients) => clients.flatMap(Option.toArray)
  )

const served = (clients: ReadonlyArray<Connection.Connection>) =>
  Effect.map(Effect.forEach(clients, answered), (answers) => answers.filter(Boolean).length)

const rejected = (server: Server.Running) => Effect.map(server.status, ({ rejected }) => rejected)

describe("maxConnections", () => {
  everywhere(
    "lets the others wait until there is room, and more at once when it is raised",
    () =>
      Effect.gen(function* () {
        const server = yield* Server.serve(Server.make({ listen, maxConnections: 2, handler: echo }))
        const clients = yield* connectAll(server, 5)
        const answers = yield* Effect.forEach(clients, (client) => Effect.fork(answered(client)))
        const done = Effect.map(Effect.forEach(answers, Fiber.poll), (polls) => polls.filter(Option.isSome).length)
        yield* until(Effect.map(done, (count) => count === 2))
        yield* settle
        expect(yield* done).toBe(2)
        expect(yield* server.status).toMatchObject({ active: 2 })
        yield* server.update({ maxConnections: 3 })
        yield* until(Effect.map(done, (count) => count === 3))
        const first = yield* Effect.filter(clients, (_, i) => Effect.map(Fiber.poll(answers[i]!), Option.isSome))
        yield* first[0]!.close
        yield* until(Effect.map(done, (count) => count === 4))
        yield* server.update({ maxConnections: Infinity })
        yield* Fiber.joinAll(answers)
        expect(Object.values(yield* rejected(server))).toEqual([0, 0, 0, 0, 0])
        yield* server.update({ maxConnections: 1 })
        expect(yield* answered(clients[4]!)).toBe(true)
      })
  )

  everywhere("resets them where `overflow` says so, and counts them", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, maxConnections: 2, overflow: "reject", handler: echo }))
      const clients = yield* connectAll(server, 6)
      expect(yield* served(clients)).toBe(2)
      expect((yield* rejected(server)).maxConnections).toBe(4)
      expect((yield* server.status).accepted).toBe(6)
      for (const client of clients) yield* client.close
      yield* server.awaitConnections("==", 0)
      expect(yield* answered(yield* Net.connect(server.address))).toBe(true)
    }))

  everywhere("counts a client that leaves while it waits no more", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, maxConnections: 1, handler: echo }))
      const first = yield* Net.connect(server.address)
      expect(yield* answered(first)).toBe(true)
      yield* Effect.replicateEffect(Effect.scoped(Net.connect(server.address)), 3)
      yield* first.close
      expect(yield* answered(yield* Net.connect(server.address))).toBe(true)
    }))
})

describe("maxConnectionsPerHost", () => {
  everywhere("resets more from the same host, until one of them has left", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, maxConnectionsPerHost: 2, handler: echo }))
      const clients = yield* connectAll(server, 5)
      expect(yield* served(clients)).toBe(2)
      expect((yield* rejected(server)).maxConnectionsPerHost).toBe(3)
      for (const client of clients) yield* client.close
      yield* server.awaitConnections("==", 0)
      expect(yield* served(yield* connectAll(server, 3))).toBe(2)
    }))

  everywhere("counts those who are there already when it is set", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, handler: echo }))
      expect(yield* served(yield* connectAll(server, 2))).toBe(2)
      yield* server.update({ maxConnectionsPerHost: 2 })
      expect(yield* served(yield* connectAll(server, 1))).toBe(0)
      yield* server.update({ maxConnectionsPerHost: Infinity })
      expect(yield* served(yield* connectAll(server, 1))).toBe(1)
    }))

  it.scopedLive("takes IPv4 in either spelling for the same host", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({
        listen: { host: "::", port: 0 },
        maxConnectionsPerHost: 1,
        deny: ["10.0.0.0/8"],
        allow: ["127.0.0.0/8"],
        handler: echo
      }))
      const { port } = server.address as { port: number }
      const clients = yield* connectAll({ address: { host: "127.0.0.1", port } }, 2)
      expect(yield* served(clients)).toBe(1)
      expect(yield* rejected(server)).toMatchObject({ maxConnectionsPerHost: 1, denied: 0 })
    }).pipe(Effect.provide(RuntimeNetwork.layer), quiet))
})

describe("allow and deny", () => {
  everywhere("reset whom they keep out; deny is asked first", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, allow: ["10.0.0.0/8"], handler: echo }))
      const tryOne = Effect.map(Effect.flatMap(connectAll(server, 1), served), (count) => count === 1)
      expect(yield* tryOne).toBe(false)
      yield* server.update({ allow: [SocketAddress.unsafeParseCidr("127.0.0.0/8")] })
      expect(yield* tryOne).toBe(true)
      yield* server.update({ deny: ["127.0.0.1"] })
      expect(yield* tryOne).toBe(false)
      yield* server.update({ deny: [], allow: undefined })
      expect(yield* tryOne).toBe(true)
      expect((yield* rejected(server)).denied).toBe(2)
    }))
})

describe("acceptRate", () => {
  onMemory("serves a burst at once and the others by and by", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({
        listen,
        acceptRate: { limit: 2, window: "10 seconds" },
        firstByteTimeout: "1 hour",
        handler: echo
      }))
      yield* connectAll(server, 6)
      const accepted = Effect.zipRight(settle, Effect.map(server.status, ({ active }) => active))
      expect(yield* accepted).toBe(2)
      yield* TestClock.adjust("4999 millis")
      expect(yield* accepted).toBe(2)
      yield* TestClock.adjust("1 millis")
      expect(yield* accepted).toBe(3)
      yield* TestClock.adjust("5 seconds")
      expect(yield* accepted).toBe(4)
      yield* TestClock.adjust("1 minute")
      expect(yield* accepted).toBe(6)
      yield* server.update({ acceptRate: undefined })
      yield* connectAll(server, 5)
      expect(yield* accepted).toBe(11)
    }))

  onMemory("counts anew where it is changed, and only there", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({
        listen,
        acceptRate: { limit: 1, window: "1 hour" },
        firstByteTimeout: "1 day",
        handler: echo
      }))
      yield* connectAll(server, 6)
      const accepted = Effect.zipRight(settle, Effect.map(server.status, ({ active }) => active))
      expect(yield* accepted).toBe(1)
      yield* server.update({ maxConnections: 100 })
      expect(yield* accepted).toBe(1)
      yield* server.update({ acceptRate: { limit: 2, window: "2 seconds" } })
      expect(yield* accepted).toBe(3)
      yield* TestClock.adjust("1 seconds")
      expect(yield* accepted).toBe(4)
    }))

  onMemory("resets the others where `overflow` says so", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({
        listen,
        overflow: "reject",
        acceptRate: { limit: 2, window: "1 minute" },
        handler: echo
      }))
      expect(yield* served(yield* connectAll(server, 5))).toBe(2)
      expect((yield* rejected(server)).acceptRate).toBe(3)
      yield* TestClock.adjust("1 minute")
      expect(yield* served(yield* connectAll(server, 5))).toBe(2)
    }))

  it.scopedLive("is kept to on real sockets", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({
        listen,
        acceptRate: { limit: 2, window: "200 millis" },
        handler: echo
      }))
      expect(yield* served(yield* connectAll(server, 6))).toBe(6)
    }).pipe(Effect.provide(RuntimeNetwork.layer)))
})

// Elsewhere they wait in the kernel's queue, or as sockets that notice nothing until they are read.
describe.runIf("Bun" in globalThis)("Who waits to be served and leaves meanwhile", () => {
  it.scopedLive("takes nobody's place", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, maxConnections: 1, backlog: 3, handler: echo }))
      const first = yield* Net.connect(server.address)
      expect(yield* answered(first)).toBe(true)
      for (let i = 0; i < 10; i++) {
        yield* Effect.scoped(Effect.flatMap(Net.connect(server.address), ({ reset }) => reset))
        yield* until(Effect.map(server.status, ({ accepted, waiting }) => accepted === i + 2 && waiting === 0))
      }
      const patient = yield* Net.connect(server.address)
      yield* until(Effect.map(server.status, ({ waiting }) => waiting === 1))
      yield* first.close
      expect(yield* answered(patient)).toBe(true)
    }).pipe(Effect.provide(RuntimeNetwork.layer), quiet))
})

describe("Refusals", () => {
  it.scoped("are logged once a reason and cool-down, with their number", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push(String(message)))
    return Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, deny: ["127.0.0.1"], handler: echo }))
      const flood = Effect.flatMap(connectAll(server, 10), served)
      expect(yield* flood).toBe(0)
      expect(lines).toEqual(["connections refused (denied): 1"])
      yield* TestClock.adjust("5 seconds")
      expect(yield* flood).toBe(0)
      expect(lines).toEqual(["connections refused (denied): 1", "connections refused (denied): 10"])
      // The flood is over: those after the last line are told of all the same.
      yield* TestClock.adjust("10 seconds")
      expect(lines.slice(2)).toEqual(["connections refused (denied): 9"])
      yield* TestClock.adjust("1 minute")
      expect(lines.length).toBe(3)
    }).pipe(Effect.provide([MemoryNetwork.layer, Logger.replace(Logger.defaultLogger, logger)]))
  })
})

describe("A running server", () => {
  everywhere("shows its connections", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, handler: echo }))
      const clients = yield* connectAll(server, 2)
      yield* server.awaitConnections(">=", 2)
      expect(yield* served(clients)).toBe(2)
      const connections = yield* server.connections
      expect(connections.map(({ remoteAddress }) => String(remoteAddress)).sort())
        .toEqual(clients.map(({ localAddress }) => String(localAddress)).sort())
      expect(connections[0]).toMatchObject({ state: "active", bytesRead: 1, bytesWritten: 1, unread: 0, unsent: 0 })
      for (const client of clients) yield* client.close
      yield* server.awaitConnections("<", 1)
      expect(yield* server.connections).toEqual([])
    }))

  everywhere("tells why its connections ended", () =>
    Effect.gen(function* () {
      const handler = (connection: Connection.Connection): Effect.Effect<unknown, unknown> =>
        Effect.flatMap(connection.readExactly(1), (byte): Effect.Effect<unknown, unknown> => {
          switch (String.fromCharCode(byte[0]!)) {
            case "o":
              return Effect.void
            case "f":
              return Effect.fail("failed")
            case "d":
              return Effect.die("died")
            case "i":
              return Effect.interrupt
            default:
              return connection.readExactly(1)
          }
        })
      const server = yield* Server.serve(Server.make({ listen, handler }))
      for (const letter of "ofdi") {
        const client = yield* Net.connect(server.address)
        yield* client.write(letter)
        yield* Effect.ignore(client.read)
        yield* client.close
      }
      const client = yield* Net.connect(server.address)
      yield* client.write("x")
      yield* client.shutdown
      yield* Effect.ignore(client.read)
      yield* client.close
      yield* server.awaitConnections("==", 0)
      const ended = { completed: 1, failed: 2, interrupted: 1, connectionError: 1, draining: 0, cutOff: 0 }
      expect((yield* server.status).ended).toMatchObject(ended)
      yield* Net.connect(server.address)
      yield* server.awaitConnections("==", 1)
      yield* server.stop
      expect((yield* server.status).ended).toMatchObject({ ...ended, draining: 1 })
    }))

  onMemory("tells which of its connections were too slow to be read or written to", () =>
    Effect.gen(function* () {
      const handler = (connection: Connection.Connection): Effect.Effect<unknown, unknown> =>
        Effect.flatMap(
          connection.readExactly(1),
          ([byte]): Effect.Effect<unknown, unknown> =>
            byte === 0 ? connection.read : Effect.forever(connection.write(new Uint8Array(65536)))
        )
      const timeouts = { readTimeout: "10 seconds", writeTimeout: "10 seconds" } as const
      const server = yield* Server.serve(Server.make({ listen, ...timeouts, handler }))
      for (const byte of [0, 1]) {
        yield* Effect.flatMap(Net.connect(server.address), ({ write }) => write(new Uint8Array([byte])))
      }
      yield* settle
      yield* TestClock.adjust("40 seconds")
      yield* settle
      expect((yield* server.status).ended).toMatchObject({ readTimeout: 1, writeTimeout: 1, connectionError: 0 })
    }))

  onMemory("refuses limits that cannot be meant, and keeps those it had", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, maxConnections: 1, handler: echo }))
      for (
        const wrong of [
          { maxConnections: 0 },
          { maxConnections: Number.NaN },
          { maxConnectionsPerHost: 1.5 },
          { overflow: "wait" as never },
          { acceptRate: { limit: 0, window: "1 second" as const } },
          { acceptRate: { limit: 1, window: 0 } },
          { acceptRate: { limit: 1, window: Infinity } },
          { allow: ["10.0.0.0/33"] },
          { deny: ["somewhere"] }
        ]
      ) {
        const { option } = yield* Effect.flip(server.update(wrong))
        expect(option.split(".")[0]).toBe(Object.keys(wrong)[0])
        const started = Effect.scoped(Server.serve(Server.make({ listen, handler: echo, ...wrong })))
        expect(yield* Effect.flip(started)).toMatchObject({ _tag: "InvalidOption" })
      }
      expect(yield* answered(yield* Net.connect(server.address))).toBe(true)
    }))

  everywhere("can be awaited, and the waiting interrupted", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({ listen, handler: echo }))
      const waits = yield* Effect.forEach(["==", ">=", ">"] as const, (comparison) =>
        Effect.fork(server.awaitConnections(comparison, 2)))
      yield* Fiber.interrupt(yield* Effect.fork(server.awaitConnections("==", 1)))
      yield* connectAll(server, 2)
      yield* Fiber.join(waits[0]!)
      yield* Fiber.join(waits[1]!)
      expect(yield* Fiber.poll(waits[2]!)).toEqual(Option.none())
      yield* connectAll(server, 1)
      yield* Fiber.join(waits[2]!)
      expect(Chunk.size(Chunk.fromIterable(yield* server.connections))).toBe(3)
    }))
})
