/**
 * What a server does about crowds, slow peers and its own end: limits hold and can be changed, clocks count the peer's silence and nothing else,
 * a drain tells before it cuts off. The clocks run under a TestClock, on every transport.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import type { NetError } from "../../src/NetError.ts"
import * as Server from "../../src/Server.ts"
import type { SocketAddress } from "../../src/SocketAddress.ts"
import { check, equal, failsWith } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { listen, pause, readAll, serve, standstill, text, underTestClock } from "./support.ts"

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

/** Sends single bytes back, and waits for the next. */
const bounce = (connection: Connection) => Effect.forever(Effect.flatMap(connection.readExactly(1), connection.write))

const exchange = (client: Connection) =>
  Effect.gen(function* () {
    yield* client.write("x")
    yield* equal(text(yield* client.readExactly(1)), "x", "what came back")
  })

/** Whether a new client is answered. One that is turned away may learn it already while it connects. */
const isServed = (address: SocketAddress) =>
  Effect.scoped(Effect.flatMap(Net.connect(address), exchange)).pipe(Effect.exit, Effect.map(Exit.isSuccess))

const isRefused = (address: SocketAddress) =>
  Effect.map(Effect.exit(Effect.scoped(Net.connect(address))), Exit.isFailure)

// --- crowds ---

const raised: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(bounce, { maxConnections: 1 })
  const clients = yield* Effect.replicateEffect(Net.connect(server.address), 6)
  const exchanges = yield* Effect.forEach(clients, (client) => Effect.fork(exchange(client)))
  yield* server.awaitConnections("==", 1)
  yield* server.update({ maxConnections: 3 })
  yield* server.awaitConnections("==", 3)
  yield* pause(50)
  yield* equal((yield* server.status).active, 3, "handlers after the limit was raised to 3")
  yield* server.update({ maxConnections: Infinity })
  yield* Fiber.joinAll(exchanges)
  yield* server.update({ maxConnections: 1 })
  yield* Effect.forEach(clients, exchange)
})

const rejecting: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(bounce, { maxConnections: 2, overflow: "reject" })
  const clients = yield* Effect.replicateEffect(Net.connect(server.address), 2)
  yield* Effect.forEach(clients, exchange)
  yield* check(!(yield* isServed(server.address)), "a client over the limit was served")
  const { accepted, rejected } = yield* server.status
  yield* equal(`${accepted} ${rejected.maxConnections}`, "3 1", "accepted and rejected")
  yield* clients[0]!.close
  yield* server.awaitConnections("<=", 1)
  yield* check(yield* isServed(server.address), "a client was not served though there was room again")
}).pipe(quiet)

const perHost: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(bounce, { maxConnectionsPerHost: 1 })
  yield* check(yield* isServed(server.address), "the first client was not served")
  yield* server.awaitConnections("==", 0)
  yield* exchange(yield* Net.connect(server.address))
  yield* check(!(yield* isServed(server.address)), "a second client of the same host was served")
  yield* equal((yield* server.status).rejected.maxConnectionsPerHost, 1, "rejected")
}).pipe(quiet)

const denied: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(bounce, { allow: ["127.0.0.0/8"], deny: ["127.0.0.1/32"] })
  yield* check(!(yield* isServed(server.address)), "a client that is denied was served")
  yield* server.update({ deny: [] })
  yield* check(yield* isServed(server.address), "a client that is allowed was not served")
  yield* server.update({ allow: ["192.0.2.0/24"] })
  yield* check(!(yield* isServed(server.address)), "a client that is not among the allowed was served")
  yield* equal((yield* server.status).rejected.denied, 2, "rejected")
}).pipe(quiet)

const stampede: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(bounce)
  const crowd = yield* Scope.make()
  yield* Effect.replicateEffect(Scope.extend(Net.connect(server.address), crowd), 100, { concurrency: "unbounded" })
  yield* server.awaitConnections("==", 100)
  yield* Scope.close(crowd, Exit.void)
  yield* server.awaitConnections("==", 0)
  yield* check(yield* isServed(server.address), "nobody is served after the stampede")
})

const suspended: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(bounce)
  const client = yield* Net.connect(server.address)
  yield* exchange(client)
  yield* server.suspend
  yield* check(yield* isRefused(server.address), "a suspended server takes connections")
  yield* exchange(client)
  yield* server.resume
  yield* exchange(client)
  yield* check(yield* isServed(server.address), "a server that was resumed takes none")
})

// --- slow peers ---

const limits = { firstByteTimeout: "10 seconds", idleTimeout: "10 seconds" } as const

/** A server with one client, and what became of its handler. */
const served = (
  handler: (connection: Connection) => Effect.Effect<unknown, NetError>,
  options: Partial<Server.ServerOptions<never, never>>
) =>
  Effect.gen(function* () {
    const outcome = yield* Deferred.make<unknown, NetError>()
    const server = yield* serve((connection) => Effect.ignore(Deferred.complete(outcome, handler(connection))), options)
    const client = yield* Net.connect(server.address)
    yield* server.awaitConnections("==", 1)
    return { server, client, outcome: Deferred.await(outcome), over: Deferred.isDone(outcome) }
  })

/** Lets the network deliver what it has under way, before virtual time goes on. */
const pass = (time: Duration.DurationInput) =>
  Effect.zipLeft(Effect.zipRight(pause(30), TestClock.adjust(time)), pause(5))

const silent: Draft["run"] = Effect.gen(function* () {
  const { client, outcome, over, server } = yield* served(
    (connection) => Effect.tapError(connection.read, () => connection.write("bye")),
    limits
  )
  yield* pass("9 seconds")
  yield* check(!(yield* over), "it ended after 9 of 10 seconds")
  yield* pass("1 seconds")
  yield* failsWith(outcome, "a read of nothing", "FirstByteTimeout")
  yield* equal(text(yield* readAll(client)), "bye", "what the handler wrote then")
  yield* server.awaitConnections("==", 0)
  yield* equal((yield* server.status).ended.firstByteTimeout, 1, "ended so")
}).pipe(underTestClock)

const lastByte: Draft["run"] = Effect.gen(function* () {
  const { client, outcome, over } = yield* served((connection) => connection.readExactly(9), limits)
  for (let i = 0; i < 4; i++) {
    yield* client.write("x")
    yield* pass("9 seconds")
  }
  yield* check(!(yield* over), "it ended though a byte came every 9 seconds")
  yield* pass("1 seconds")
  yield* failsWith(outcome, "a read 10 seconds after the last byte", "IdleTimeout")
}).pipe(underTestClock)

const ownBusiness: Draft["run"] = Effect.gen(function* () {
  const { client, outcome, over } = yield* served((connection) =>
    Effect.gen(function* () {
      yield* connection.readExactly(1)
      yield* Effect.sleep("1 minute")
      const ticks = Effect.forever(Effect.zipRight(Effect.sleep("1 seconds"), connection.write("tick")))
      return yield* Effect.raceFirst(connection.readExactly(1), ticks)
    }), limits)
  yield* client.write("x")
  yield* pass("1 minute")
  for (let i = 0; i < 9; i++) yield* pass("1 seconds")
  yield* check(!(yield* over), "the handler's own time was counted")
  yield* pass("1 seconds")
  yield* failsWith(outcome, "a read beside which something is sent every second", "IdleTimeout")
}).pipe(underTestClock)

const interruptedWaits: Draft["run"] = Effect.gen(function* () {
  const { client, outcome, over } = yield* served((connection) => {
    const attempt = Effect.timeoutOption(connection.readExactly(1), "4 seconds")
    return Effect.zipRight(
      connection.readExactly(1),
      Effect.forever(Effect.zipRight(attempt, Effect.sleep("1 minute")))
    )
  }, { ...limits, drainTimeout: 0 })
  yield* client.write("x")
  for (let i = 0; i < 2; i++) {
    yield* pass("4 seconds")
    yield* pass("1 minute")
  }
  yield* check(!(yield* over), "it ended after 8 of 10 seconds of waiting")
  yield* pass("2 seconds")
  yield* pass("1 minute")
  yield* failsWith(outcome, "a read that was given up every 4 seconds", "IdleTimeout")
}).pipe(underTestClock)

const endless: Draft["run"] = Effect.gen(function* () {
  const never = { firstByteTimeout: Duration.infinity, idleTimeout: Duration.infinity }
  const { client, outcome } = yield* served((connection) => connection.readExactly(1), never)
  yield* pass("1 hour")
  yield* client.write("x")
  yield* outcome
}).pipe(underTestClock)

const stubborn: Draft["run"] = Effect.gen(function* () {
  const { client, outcome, server } = yield* served(
    (connection) => Effect.zipRight(Effect.ignore(connection.readExactly(1)), Effect.never),
    { ...limits, closeTimeout: "3 seconds" }
  )
  yield* pass("10 seconds")
  yield* equal((yield* server.status).active, 1, "handlers that run on")
  yield* pass("3 seconds")
  yield* check(Exit.isInterrupted(yield* Effect.exit(outcome)), "the handler was not interrupted")
  yield* Effect.ignore(client.read)
  yield* server.awaitConnections("==", 0)
}).pipe(underTestClock)

const aged: Draft["run"] = Effect.gen(function* () {
  const { client, outcome } = yield* served(bounce, { maxConnectionAge: "1 minute" })
  for (let i = 0; i < 5; i++) {
    yield* exchange(client)
    yield* pass("10 seconds")
  }
  yield* exchange(client)
  yield* pass("10 seconds")
  yield* failsWith(outcome, "the read after a minute", "ConnectionExpired")
}).pipe(underTestClock)

const trickling: Draft["run"] = Effect.gen(function* () {
  const minThroughput = { bytesPerSecond: 10, grace: "5 seconds" } as const
  const { client, outcome, over } = yield* served((connection) => connection.readExactly(1000), { minThroughput })
  const trickle = (bytes: number) => Effect.zipRight(client.write(new Uint8Array(bytes)), pass("1 seconds"))
  yield* Effect.repeatN(trickle(12), 9)
  yield* check(!(yield* over), "it ended though 12 bytes a second are enough")
  yield* Effect.ignore(Effect.repeatN(trickle(5), 9))
  yield* failsWith(outcome, "reading 5 bytes a second", "ThroughputTooLow")
}).pipe(underTestClock)

const draining: Draft["run"] = Effect.gen(function* () {
  const { client, outcome, over, server } = yield* served(
    (connection) => connection.write(new Uint8Array(64 << 20)),
    { writeTimeout: "10 seconds", writeBuffer: 65536, drainTimeout: 0 }
  )
  const taken = Effect.map(
    server.connections,
    (all) => all.reduce((sum, { bytesWritten, unsent }) => sum + bytesWritten - unsent, 0)
  )
  for (let i = 0; i < 4; i++) {
    const before = yield* standstill(taken)
    yield* client.readExactly(6 << 20)
    while ((yield* taken) === before) yield* pause(10)
    yield* pass("9 seconds")
  }
  yield* check(!(yield* over), "it ended though the peer took bytes every 9 seconds")
  yield* standstill(taken)
  yield* pass("10 seconds")
  yield* pass("10 seconds")
  yield* failsWith(outcome, "a write of which nothing was taken any more", "WriteTimeout")
}).pipe(underTestClock)

// --- the end ---

const told: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve((connection) =>
    Effect.catchTag(bounce(connection), "ConnectionClosed", () => connection.write("bye"))
  )
  const client = yield* Net.connect(server.address)
  yield* exchange(client)
  const report = yield* server.stop
  yield* equal(text(yield* readAll(client)), "bye", "what the handler wrote then")
  const { closedIdle, cutOff, finished } = report
  yield* equal(`${finished} ${closedIdle} ${cutOff}`, "0 1 0", "finished, idle and cut off")
})

const halfway: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(
    (connection) => Effect.forever(Effect.flatMap(connection.readExactly(4), connection.write)),
    {
      drainTimeout: "10 seconds"
    }
  )
  const client = yield* Net.connect(server.address)
  yield* client.write("half")
  yield* equal(text(yield* client.readExactly(4)), "half", "the first message")
  yield* client.write("wa")
  yield* pause(50)
  const stopping = yield* Effect.fork(server.stop)
  yield* pause(50)
  yield* client.write("ys")
  yield* equal(text(yield* readAll(client)), "ways", "the message that had come in part")
  yield* equal((yield* Fiber.join(stopping)).cutOff, 0, "cut off")
})

const afterResume: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(bounce)
  yield* server.suspend
  yield* server.resume
  const client = yield* Net.connect(server.address)
  yield* exchange(client)
  yield* server.stop
  yield* equal((yield* readAll(client)).length, 0, "bytes before the end")
  yield* check(yield* isRefused(server.address), "a server that was stopped takes connections")
  yield* server.resume
  yield* check(yield* isRefused(server.address), "a server that was stopped can be resumed")
})

const brutal: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(() => Effect.never, { drainTimeout: 0 })
  const client = yield* Net.connect(server.address)
  yield* server.awaitConnections("==", 1)
  yield* equal((yield* server.stop).cutOff, 1, "cut off")
  yield* Effect.ignore(client.read)
})

const raced: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve((connection) => Effect.zipRight(Server.draining, connection.write("bye")))
  const client = yield* Net.connect(server.address)
  yield* server.awaitConnections("==", 1)
  const stopping = yield* Effect.fork(server.stop)
  yield* equal(text(yield* readAll(client)), "bye", "what the handler wrote when it was told")
  yield* equal((yield* Fiber.join(stopping)).finished, 1, "finished")
})

const together: Draft["run"] = Effect.gen(function* () {
  const addresses = yield* Effect.forEach([1, 2], () => Effect.scoped(Effect.map(listen(), ({ address }) => address)))
  const gate = yield* Deferred.make<void>()
  const scope = yield* Scope.make()
  const [one, other] = addresses.map((address) =>
    Server.layer(Server.make({ listen: address, handler: () => Deferred.await(gate) }))
  )
  yield* Layer.buildWithScope(Layer.provideMerge(one!, other!), scope)
  yield* Effect.forEach(addresses, (address) => Net.connect(address))
  yield* pause(50)
  const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
  yield* pause(50)
  for (const address of addresses) {
    yield* check(yield* isRefused(address), `${address} takes connections while a server beside it drains`)
  }
  yield* Deferred.succeed(gate, undefined)
  yield* Fiber.join(closing)
})

export const serverPolicies = [
  ...group("server limits", [
    {
      name: "the limit can be raised, lifted and lowered while clients wait",
      source: "ranch acceptor_SUITE",
      run: raised
    },
    {
      name: "connections over the limit are reset where the server says so",
      source: "thousand_island",
      run: rejecting
    },
    { name: "a hundred clients that leave at once leave it in order", source: "ranch stampede_SUITE", run: stampede },
    {
      name: "a suspended server keeps its connections and takes no others",
      source: "thousand_island suspend",
      run: suspended
    }
  ]),
  ...group("server hosts", [
    { name: "a host has no more connections than its share", source: "netty UniqueIpFilter", run: perHost },
    { name: "addresses are denied first, then allowed", source: "netty IpSubnetFilter", run: denied }
  ]),
  ...group("server clocks", [
    {
      name: "a peer that says nothing is told from one that fell silent",
      source: "netty IdleStateHandler FIRST",
      run: silent
    },
    { name: "silence counts from the peer's last byte", source: "thousand_island read timeout", run: lastByte },
    {
      name: "neither what is sent nor the handler's own time counts",
      source: "thousand_island read timeout",
      run: ownBusiness
    },
    { name: "waits that the handler breaks off add up", source: "thousand_island #202", run: interruptedWaits },
    { name: "without a limit nothing is ever overdue", source: "thousand_island read timeout", run: endless },
    { name: "a handler that does not heed its time is cut off", source: "promise: deadlines", run: stubborn },
    { name: "a connection ends at its age, between two messages", source: "promise: deadlines", run: aged },
    { name: "a peer that trickles is told how little came", source: "Kestrel MinRequestBodyDataRate", run: trickling },
    {
      name: "bytes that the peer takes put a write's time off",
      source: "netty IdleStateHandler observeOutput",
      run: draining
    }
  ]),
  ...group("server drain", [
    { name: "an idle connection is told and may say goodbye", source: "thousand_island handle_shutdown", run: told },
    { name: "a message that has come in part is waited for", source: "promise: servers", run: halfway },
    { name: "a handler that waits for something else is told", source: "thousand_island handle_shutdown", run: raced },
    { name: "a server drains after it was suspended and resumed", source: "thousand_island drain", run: afterResume },
    { name: "without time to drain all is cut off at once", source: "ranch shutdown_SUITE brutal_kill", run: brutal },
    {
      name: "servers of one Layer stop accepting before any of them waits",
      source: "ranch: suspend all listeners first",
      run: together
    }
  ])
]
