/**
 * A server and its handlers: whatever a handler does, its connection ends with it and nobody else notices; limits hold;
 * the end of the server is a drain. The handlers here fail, die, never read and never return, beside one that works.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import * as Server from "../../src/Server.ts"
import type { SocketAddress } from "../../src/SocketAddress.ts"
import { check, equal, fail, failsWith, sameBytes } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { drain, echo, listen, pattern, pause, readAll, serve, standstill, text, yieldAll } from "./support.ts"

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

/** The server answers a good client as it should. */
const answers = (address: SocketAddress) =>
  Effect.scoped(Effect.gen(function* () {
    const client = yield* Net.connect(address)
    yield* client.write("good")
    yield* client.shutdown
    yield* equal(text(yield* readAll(client)), "good", "the echo to a good client")
  }))

/** Until no handler runs and no connection is left. */
const idle = (server: Server.Running) =>
  Effect.gen(function* () {
    for (let round = 0; round < 300; round++) {
      const { active, closing, waiting } = yield* server.status
      if (active + closing + waiting === 0) return
      yield* pause(10)
    }
    const { active, closing, waiting } = yield* server.status
    yield* fail(`not idle: ${active} active, ${waiting} waiting, ${closing} closing`)
  })

/** Twenty connections whose first byte makes the handler go wrong, then a good one. */
const survives = (wrong: (connection: Connection) => Effect.Effect<unknown, unknown>): Draft["run"] =>
  Effect.gen(function* () {
    const server = yield* serve((connection) =>
      Effect.flatMap(
        connection.readExactly(4),
        (bytes) =>
          text(bytes) === "good" ? Effect.zipRight(connection.unread(bytes), echo(connection)) : wrong(connection)
      )
    )
    const bad = Effect.scoped(Effect.gen(function* () {
      const client = yield* Net.connect(server.address)
      yield* client.write("evil")
      yield* drain(client)
    }))
    yield* Effect.replicateEffect(bad, 20, { concurrency: 5 })
    yield* answers(server.address)
    yield* idle(server)
    yield* equal((yield* server.status).accepted, 21, "connections accepted")
  }).pipe(quiet)

const throws = () => {
  throw new Error("a handler that throws before it is an effect")
}

const neverReads: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const server = yield* serve(() => Effect.never, { drainTimeout: "50 millis" }).pipe(Scope.extend(scope))
  const flood = Effect.flatMap(
    Net.connect(server.address, { closeTimeout: "50 millis" }),
    (client) => Effect.as(Effect.forkScoped(Effect.ignore(Effect.forever(client.write(new Uint8Array(65536))))), client)
  )
  const clients = yield* Effect.replicateEffect(flood, 5)
  yield* standstill(Effect.map(server.status, ({ active }) => active))
  yield* clients[0]!.close
  yield* Scope.close(scope, Exit.void)
  const { active, closing } = yield* server.status
  yield* equal(active + closing, 0, "connections after the server has closed")
  yield* Effect.forEach(clients, (client) => client.closed.pipe(Effect.zipLeft(client.close, { concurrent: true })))
})

const limited: Draft["run"] = Effect.gen(function* () {
  let active = 0
  let most = 0
  const server = yield* serve((connection) =>
    Effect.acquireUseRelease(
      Effect.sync(() => most = Math.max(most, ++active)),
      () => Effect.zipRight(Effect.sleep("2 millis"), echo(connection)),
      () => Effect.sync(() => active--)
    ), { maxConnections: 3 })
  yield* Effect.replicateEffect(answers(server.address), 30, { concurrency: "unbounded" })
  yield* equal(most, 3, "handlers at once, of 3 connections")
  yield* idle(server)
})

const goneWhileWaiting: Draft["run"] = Effect.gen(function* () {
  const gate = yield* Deferred.make<void>()
  const server = yield* serve((connection) => Effect.zipRight(Deferred.await(gate), echo(connection)), {
    maxConnections: 1
  })
  const first = yield* Effect.fork(answers(server.address))
  const impatient = Effect.scoped(Net.connect(server.address))
  yield* Effect.replicateEffect(impatient, 5)
  const last = yield* Effect.fork(answers(server.address))
  yield* yieldAll
  yield* Deferred.succeed(gate, undefined)
  yield* Fiber.join(first)
  yield* Fiber.join(last)
  yield* idle(server)
})

const drains: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const reply = pattern(2 << 20)
  const working = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const server = yield* serve((connection) =>
    Effect.gen(function* () {
      yield* connection.readExactly(7)
      yield* Deferred.succeed(working, undefined)
      yield* Deferred.await(gate)
      yield* connection.write(reply)
    }), { drainTimeout: "15 seconds" }).pipe(Scope.extend(scope))
  const client = yield* Net.connect(server.address)
  yield* client.write("request")
  yield* Deferred.await(working)
  const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
  yield* refusedAfterAWhile(server.address)
  yield* Deferred.succeed(gate, undefined)
  yield* sameBytes(yield* readAll(client), reply, "the reply of a server that was told to stop")
  yield* Fiber.join(closing)
})

const refusedAfterAWhile = (address: SocketAddress) =>
  Effect.gen(function* () {
    for (let round = 0; round < 100; round++) {
      const attempt = yield* Effect.either(Effect.scoped(Net.connect(address)))
      if (Either.isLeft(attempt)) return
      yield* pause(10)
    }
    yield* fail("a server that drains still takes connections")
  })

const cutsOff: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const started = yield* Deferred.make<void>()
  const released = yield* Deferred.make<void>()
  const server = yield* serve((connection) =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Deferred.succeed(released, undefined))
      yield* connection.write("x")
      yield* Deferred.succeed(started, undefined)
      yield* Effect.forever(connection.read)
    }), { drainTimeout: "30 millis" }).pipe(Scope.extend(scope))
  const client = yield* Net.connect(server.address)
  yield* Deferred.await(started)
  yield* client.readExactly(1)
  yield* Scope.close(scope, Exit.void)
  yield* Deferred.await(released)
  yield* Effect.either(drain(client))
  yield* failsWith(Net.connect(server.address), "connecting after the drain", "ConnectionRefused", "PathNotFound")
})

const goodbye: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve((connection) => Effect.addFinalizer(() => Effect.orDie(connection.write("goodbye"))))
  const client = yield* Net.connect(server.address)
  yield* equal(text(yield* readAll(client)), "goodbye", "what a finalizer of the handler wrote")
})

const asLayer: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* Effect.scoped(listen())
  const scope = yield* Scope.make()
  yield* Layer.buildWithScope(Server.layer(Server.make({ listen: address, handler: echo })), scope)
  yield* answers(address)
  yield* Scope.close(scope, Exit.void)
  yield* failsWith(Net.connect(address), "connecting after the layer", "ConnectionRefused", "PathNotFound")
})

const asEffect: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* Effect.scoped(listen())
  const running = yield* Effect.fork(Server.run(Server.make({ listen: address, handler: echo })))
  for (let round = 0; round < 100; round++) {
    if (Either.isRight(yield* Effect.either(answers(address)))) break
    yield* pause(10)
  }
  yield* answers(address)
  yield* Fiber.interrupt(running)
  yield* failsWith(Net.connect(address), "connecting after the run", "ConnectionRefused", "PathNotFound")
})

const figures: Draft["run"] = Effect.gen(function* () {
  const gate = yield* Deferred.make<void>()
  const server = yield* serve(() => Deferred.await(gate), { maxConnections: 2 })
  yield* Effect.replicateEffect(Net.connect(server.address), 2)
  for (let round = 0; (yield* server.status).active < 2; round++) {
    yield* check(round < 300, "two connections were made and are not both handled")
    yield* pause(10)
  }
  yield* Deferred.succeed(gate, undefined)
  yield* idle(server)
  yield* equal((yield* server.status).accepted, 2, "accepted")
})

export const server = group("server", [
  {
    name: "handlers that fail harm nobody",
    source: "thousand_island",
    run: survives(() => Effect.fail("failed"))
  },
  {
    name: "handlers that die harm nobody",
    source: "kyo-net handler that throws does not wedge accept",
    run: survives(() => Effect.die("died"))
  },
  {
    name: "handlers that throw harm nobody",
    source: "kyo-net handler that throws does not wedge accept",
    run: survives(throws)
  },
  {
    name: "handlers that interrupt themselves harm nobody",
    source: "promise: scoped",
    run: survives(() => Effect.interrupt)
  },
  {
    name: "handlers that close the connection themselves harm nobody",
    source: "promise: scoped",
    run: survives((connection) => connection.close)
  },
  { name: "handlers that never read leak nothing", source: "@effect/platform E6", run: neverReads },
  {
    name: "at most so many handlers run at once, and all clients are served",
    source: "ranch acceptor_SUITE",
    run: limited
  },
  {
    name: "clients that left while they waited are passed over",
    source: "ranch acceptor_SUITE",
    run: goneWhileWaiting
  },
  { name: "a drain takes nobody new and lets handlers finish", source: "thousand_island drain", run: drains },
  { name: "a drain cuts off what does not finish in time", source: "ranch shutdown_SUITE", run: cutsOff },
  { name: "a handler's finalizers may still write", source: "thousand_island drain: say goodbye", run: goodbye },
  { name: "a server runs as long as its layer", source: "promise: servers", run: asLayer },
  { name: "a server runs until it is interrupted", source: "promise: servers", run: asEffect },
  { name: "the status tells what is going on", source: "ranch get_status", run: figures }
])
