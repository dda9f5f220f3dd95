/**
 * What was measured to go wrong in the sockets of @effect/platform 0.97 (Effect 3), each under the number it has here:
 * E1 no read backpressure (E1b: in a stream), E2 handlers out of order, E3 the handler of the last message interrupted,
 * E4 writes that never return after the run (E4b: before it), E5 half-close answered with nothing, E6 a connection
 * leaked by a handler that does not read, E7 a server that never closes, E8 a refusal without its reason,
 * E9 an abandoned write that blocks the next.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import { check, equal, failsWith, sameBytes } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { drain, listen, pair, pattern, readAll, serve, standstill, text, unbuffered, writeIn } from "./support.ts"

const flood = 64 << 20
/** What two kernels, a `readBuffer`, a `writeBuffer` and a chunk in the runtime's hands may hold at most. */
const inFlight = flood / 2

const written = (connection: Connection) => Effect.map(connection.stats, ({ bytesWritten }) => bytesWritten)

const slowHandler: Draft["run"] = Effect.gen(function* () {
  const gate = yield* Deferred.make<void>()
  const busy = yield* Deferred.make<Connection>()
  const total = yield* Deferred.make<number>()
  const { address } = yield* serve((connection) =>
    Effect.gen(function* () {
      const first = yield* connection.read
      yield* Deferred.succeed(busy, connection)
      yield* Deferred.await(gate)
      const rest = yield* drain(connection)
      yield* Deferred.succeed(total, rest + Option.match(first, { onNone: () => 0, onSome: (bytes) => bytes.length }))
    })
  )
  const client = yield* Net.connect(address)
  const sending = yield* Effect.fork(Effect.zipRight(writeIn(client, new Uint8Array(flood), 65536), client.shutdown))
  const accepted = yield* standstill(written(client))
  yield* check(accepted < inFlight, `the sender was not slowed down: ${accepted} bytes accepted`)
  const { unread } = yield* (yield* Deferred.await(busy)).stats
  yield* check(unread < (2 << 20), `${unread} bytes wait in memory`)
  yield* Deferred.succeed(gate, undefined)
  yield* Fiber.join(sending)
  yield* equal(yield* Deferred.await(total), flood, "bytes in the end")
})

const stoppedStream: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sending = yield* Effect.fork(writeIn(client, new Uint8Array(flood), 65536))
  yield* Stream.runDrain(Stream.take(server.stream, 1))
  const accepted = yield* standstill(written(client))
  yield* check(accepted < inFlight, `the sender was not slowed down: ${accepted} bytes accepted`)
  yield* Fiber.interrupt(sending)
  yield* client.close.pipe(Effect.zip(drain(server), { concurrent: true }))
})

const inOrder: Draft["run"] = Effect.gen(function* () {
  const handled: Array<string> = []
  const done = yield* Deferred.make<void>()
  const { address } = yield* serve((connection) =>
    Effect.gen(function* () {
      for (let i = 0; i < 5; i++) {
        const message = text(yield* connection.readExactly(2))
        yield* Effect.sleep(i === 0 ? "20 millis" : "1 millis")
        handled.push(message)
        yield* connection.write("ok")
      }
      yield* Deferred.succeed(done, undefined)
    })
  )
  const client = yield* Net.connect(address)
  yield* Effect.forEach(["m0", "m1", "m2", "m3", "m4"], client.write)
  yield* Deferred.await(done)
  yield* equal(handled.join(" "), "m0 m1 m2 m3 m4", "messages as they were handled")
})

const lastMessage: Draft["run"] = Effect.gen(function* () {
  const gone = yield* Deferred.make<void>()
  const handled = yield* Deferred.make<string>()
  const { address } = yield* serve((connection) =>
    Effect.gen(function* () {
      const first = yield* connection.readExactly(5)
      yield* Deferred.await(gone)
      yield* Effect.sleep("20 millis")
      const rest = yield* readAll(connection)
      yield* Deferred.succeed(handled, text(first) + text(rest))
    })
  )
  const client = yield* Net.connect(address)
  yield* client.write("first, and last")
  yield* client.close
  yield* Deferred.succeed(gone, undefined)
  yield* equal(yield* Deferred.await(handled), "first, and last", "what the handler saw before it ended by itself")
})

const writeAfterEnd: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* server.close
  yield* equal(yield* drain(client), 0, "bytes from a peer that sent none")
  yield* client.close
  yield* failsWith(client.write("late"), "a write after close", "ConnectionClosed")
  yield* failsWith(client.writeAll(["late", "too"]), "a writeAll after close", "ConnectionClosed")
  yield* failsWith(client.read, "a read after close", "ConnectionClosed")
})

const writeBeforeRead: Draft["run"] = Effect.gen(function* () {
  const listener = yield* listen()
  const client = yield* Net.connect(listener.address)
  // Nobody has accepted yet, and nobody reads at either end.
  yield* client.write("early")
  const server = yield* listener.accept
  yield* server.write("early too")
  yield* equal(text(yield* server.readExactly(5)), "early", "at the server")
  yield* equal(text(yield* client.readExactly(9)), "early too", "at the client")
})

const replyAfterHalfClose: Draft["run"] = Effect.gen(function* () {
  const reply = pattern(4 << 20)
  const { address } = yield* serve((connection) => Effect.zipRight(drain(connection), connection.write(reply)))
  const client = yield* Net.connect(address)
  yield* client.write("request")
  yield* client.shutdown
  yield* sameBytes(yield* readAll(client), reply, "the reply to a half-closed client")
})

const handlerReturns: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(() => Effect.void)
  const client = yield* Net.connect(server.address)
  yield* equal(yield* drain(client), 0, "bytes from a handler that does nothing")
  yield* client.close
})

const unacceptedConnections: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const listener = yield* Scope.extend(listen(), scope)
  const clients = yield* Effect.replicateEffect(Net.connect(listener.address), 3)
  yield* Scope.close(scope, Exit.void)
  yield* failsWith(Effect.scoped(listener.accept), "accept after the listener was closed", "ConnectionClosed")
  yield* Effect.forEach(clients, (client) => Effect.either(drain(client)))
})

const waitingForHandler: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const started = yield* Deferred.make<void>()
  const server = yield* serve(() => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never), {
    maxConnections: 1,
    drainTimeout: "20 millis"
  }).pipe(Scope.extend(scope))
  const clients = yield* Effect.replicateEffect(Net.connect(server.address), 3)
  yield* Deferred.await(started)
  yield* Scope.close(scope, Exit.void)
  yield* Effect.forEach(clients, (client) => Effect.either(drain(client)))
})

const namedRefusal: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* Effect.scoped(listen())
  const error = yield* failsWith(Net.connect(address), "connecting to nobody", "ConnectionRefused", "PathNotFound")
  yield* check(error.message.includes(String(address)), `the message names no address: ${error.message}`)
  yield* check("cause" in error && error.cause !== undefined, "the runtime's own error is not in `cause`")
})

const abandonedWrite: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const message = pattern(unbuffered)
  const impatient = yield* Effect.exit(Effect.timeout(client.write(message), "50 millis"))
  yield* check(Exit.isFailure(impatient), "a write of 32 MiB to a peer that does not read has settled")
  const [, received] = yield* Effect.all([
    Effect.zipRight(client.write("next"), client.shutdown),
    readAll(server)
  ], { concurrency: 2 })
  yield* sameBytes(received.subarray(0, unbuffered), message, "the message whose writer went away")
  yield* equal(text(received.subarray(unbuffered)), "next", "the message after it")
})

const eachOnce: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sent = pattern(8 << 20)
  let active = 0
  let most = 0
  let size = 0
  const handle = (chunk: Uint8Array) =>
    Effect.acquireUseRelease(
      Effect.sync(() => most = Math.max(most, ++active)),
      () => Effect.as(Effect.yieldNow(), size += chunk.length),
      () => Effect.sync(() => active--)
    )
  yield* Effect.all([
    Effect.zipRight(client.write(sent), client.shutdown),
    Stream.runForEach(server.stream, handle)
  ], { concurrency: 2 })
  yield* equal(most, 1, "handlers of one connection's chunks at once")
  yield* equal(size, sent.length, "bytes handled")
})

const e = (numbers: string) => `@effect/platform ${numbers}`

export const regressions = group("regressions", [
  { name: "a handler that is slow slows the sender down", source: e("E1"), run: slowHandler },
  { name: "chunks of one connection are handled one at a time", source: e("E1"), run: eachOnce },
  { name: "a stream that is not pulled any more slows the sender down", source: e("E1b"), run: stoppedStream },
  { name: "messages are handled in the order they came", source: e("E2"), run: inOrder },
  {
    name: "the handler of the last message runs to its end after the peer has left",
    source: e("E3"),
    run: lastMessage
  },
  { name: "reads and writes after the end fail at once", source: e("E4"), run: writeAfterEnd },
  { name: "a write settles before anybody has accepted or read", source: e("E4b"), run: writeBeforeRead },
  { name: "a half-closed client gets its whole reply", source: e("E5"), run: replyAfterHalfClose },
  { name: "a handler that returns without reading closes its connection", source: e("E6"), run: handlerReturns },
  { name: "a listener closes with connections that nobody accepted", source: e("E7"), run: unacceptedConnections },
  { name: "a server closes with connections that wait for a handler", source: e("E7"), run: waitingForHandler },
  { name: "a refused connect says so, to whom and why", source: e("E8"), run: namedRefusal },
  { name: "a write that was given up goes out whole, and the next one after it", source: e("E9"), run: abandonedWrite }
])
