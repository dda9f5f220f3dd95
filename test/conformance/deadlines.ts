/**
 * Time limits: they strike when nothing came or went for as long as they say, whoever else has gone meanwhile, and
 * never otherwise. All under a TestClock; see `nettest.ts` for a limit that strikes and leaves the connection usable.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import { check, equal, failsWith } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { listen, pair, pause, serve, text, underTestClock, yieldAll } from "./support.ts"

const staleDeadline: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ client: { readTimeout: "10 seconds" } })
  const given = yield* Effect.fork(client.read)
  yield* yieldAll
  yield* Fiber.interrupt(given)
  yield* TestClock.adjust("11 seconds")
  const reading = yield* Effect.fork(client.readExactly(2))
  yield* yieldAll
  yield* TestClock.adjust("9 seconds")
  yield* server.write("ok")
  yield* equal(
    text(yield* Fiber.join(reading)),
    "ok",
    "a read that waited 9 of 10 seconds, after one that was interrupted"
  )
}).pipe(underTestClock)

const orphanDeadline: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const listener = yield* Scope.extend(listen({ readTimeout: "10 seconds" }), scope)
  yield* Net.connect(listener.address)
  const server = yield* listener.accept
  yield* Scope.close(scope, Exit.void)
  const reading = yield* Effect.fork(server.read)
  yield* yieldAll
  yield* TestClock.adjust("10 seconds")
  yield* failsWith(Fiber.join(reading), "a read of a connection whose listener is closed", "ReadTimeout")
}).pipe(underTestClock)

const drainingDeadline: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const outcome = yield* Deferred.make<void, unknown>()
  const started = yield* Deferred.make<void>()
  const server = yield* serve(
    (connection) =>
      Effect.gen(function* () {
        yield* connection.unread(yield* connection.readExactly(1))
        yield* Deferred.succeed(started, undefined)
        yield* Deferred.complete(outcome, Effect.asVoid(connection.readExactly(2)))
      }),
    { readTimeout: "10 seconds", drainTimeout: "1 hour" }
  ).pipe(Scope.extend(scope))
  const client = yield* Net.connect(server.address)
  yield* client.write("x")
  yield* Deferred.await(started)
  const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
  yield* yieldAll
  yield* TestClock.adjust("10 seconds")
  yield* failsWith(Deferred.await(outcome), "a read in a server that drains", "ReadTimeout")
  yield* Fiber.join(closing)
}).pipe(underTestClock)

const trickle: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ client: { readTimeout: "10 seconds" } })
  const reading = yield* Effect.fork(client.readExactly(4))
  for (const letter of "slow") {
    yield* yieldAll
    yield* TestClock.adjust("9 seconds")
    yield* server.write(letter)
    yield* arrived(client, "slow".indexOf(letter) + 1)
  }
  yield* equal(text(yield* Fiber.join(reading)), "slow", "a read whose bytes came 9 seconds apart")
}).pipe(underTestClock)

const arrived = (connection: Connection, bytes: number) =>
  Effect.gen(function* () {
    while ((yield* connection.stats).bytesRead < bytes) yield* pause(1)
  })

const said: Draft["run"] = Effect.gen(function* () {
  const { client } = yield* pair({ client: { readTimeout: "10 seconds" } })
  const reading = yield* Effect.fork(client.readExactly(4))
  yield* yieldAll
  yield* TestClock.adjust("10 seconds")
  const error = yield* failsWith(Fiber.join(reading), "a read of nothing", "ReadTimeout")
  yield* check(error.message.includes("10s"), `the message does not say how long: ${error.message}`)
  yield* check(
    error.message.includes(String(client.remoteAddress)),
    `the message does not say of whom: ${error.message}`
  )
}).pipe(underTestClock)

export const deadlines = group("deadlines", [
  { name: "a time limit that strikes says how long and of whom", source: "promise: typed errors", run: said },
  {
    name: "a read whose bytes trickle in is not cut off",
    source: "thousand_island: counts from the last byte",
    run: trickle
  },
  {
    name: "an interrupted read takes its time limit with it",
    source: "thousand_island read timeout",
    run: staleDeadline
  },
  { name: "time limits hold after the listener is closed", source: "promise: deadlines", run: orphanDeadline },
  { name: "time limits hold while a server drains", source: "promise: deadlines", run: drainingDeadline }
])
