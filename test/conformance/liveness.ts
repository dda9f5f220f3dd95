/**
 * Nothing hangs and nothing grows: every operation settles in every state, memory stays bounded, and who waits is
 * served. Slowness of one never becomes the fate of another: connections, directions and readers are independent.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import { check, equal, failsWith, sameBytes } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import {
  concat,
  drain,
  echo,
  Gauges,
  listen,
  pair,
  pattern,
  pause,
  readAll,
  readEach,
  resettablePair,
  serve,
  standstill,
  text,
  unbuffered,
  writeIn,
  yieldAll
} from "./support.ts"

const lateReply: Draft["run"] = Effect.gen(function* () {
  const reply = pattern(16 << 20)
  const { address } = yield* serve((connection) =>
    drain(connection).pipe(
      Effect.zipRight(Effect.sleep("50 millis")),
      Effect.zipRight(writeIn(connection, reply, 1 << 20))
    )
  )
  const client = yield* Net.connect(address)
  yield* client.write("request")
  yield* client.shutdown
  yield* sameBytes(yield* readAll(client), reply, "the late reply")
})

const interruptedReads: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sent = pattern(300_000)
  const received: Array<Uint8Array> = []
  const keep = (bytes: Uint8Array) => void received.push(bytes)
  const reading = Effect.map(client.read, (chunk) => void Option.map(chunk, keep))
  // Interrupted before, while and after the bytes come.
  for (let i = 0; i < 300; i++) {
    const fiber = yield* Effect.fork(i % 2 === 0 ? reading : Effect.map(client.readExactly(1500), keep))
    if (i % 3 !== 0) yield* server.write(sent.subarray(i * 1000, i * 1000 + 1000))
    yield* Effect.repeatN(Effect.yieldNow(), i % 5)
    if (i % 10 === 0) yield* pause(1)
    yield* Fiber.interrupt(fiber)
    if (i % 3 === 0) yield* server.write(sent.subarray(i * 1000, i * 1000 + 1000))
  }
  yield* server.shutdown
  yield* readEach(client, (chunk) => received.push(chunk))
  yield* sameBytes(concat(received), sent, "what was read in spite of 300 interruptions")
})

/** Effect lets a fiber yield after so many steps, whatever it holds; every alignment with the steps of the loop is tried. */
const interruptedBacklog: Draft["run"] = Effect.gen(function* () {
  const { client } = yield* pair()
  const sent = pattern(3000)
  for (let steps = 0; steps < 12; steps++) {
    for (let at = sent.length; at > 0; at--) yield* client.unread(sent.subarray(at - 1, at))
    const received: Array<Uint8Array> = []
    const loop: Effect.Effect<void, unknown> = Effect.flatMap(client.read, (chunk) => {
      Option.map(chunk, (bytes) => received.push(bytes))
      return loop
    })
    const shifted = Array.from({ length: steps }).reduce<typeof loop>(
      (next) => Effect.flatMap(Effect.void, () => next),
      loop
    )
    const reading = yield* Effect.fork(shifted)
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(reading)
    const { unread } = yield* client.stats
    yield* equal(received.length + unread, sent.length, `bytes read and unread, interrupted after ${received.length}`)
    const rest = yield* client.readExactly(unread)
    yield* sameBytes(concat([...received, rest]), sent, "bytes read around an interruption")
  }
})

/** Pending and later writes of a connection that is ended from this side or that. */
const writesSettle = (end: (client: Connection, server: Connection) => Effect.Effect<unknown, unknown>): Draft["run"] =>
  Effect.gen(function* () {
    const ends = { closeTimeout: "50 millis", resettable: true } as const
    const { client, server } = yield* pair({ client: ends, server: ends })
    const pending = yield* Effect.forEach(
      ["first", "second", "third"],
      () => Effect.fork(client.write(new Uint8Array(unbuffered)))
    )
    yield* standstill(Effect.map(client.stats, ({ unsent }) => unsent))
    yield* end(client, server)
    const gone = ["ConnectionClosed", "ConnectionReset", "BrokenPipe"]
    yield* Effect.forEach(pending, (fiber) => failsWith(Fiber.join(fiber), "a pending write", ...gone))
    yield* failsWith(client.write("late"), "a late write", ...gone)
    yield* failsWith(client.writeAll(["late"]), "a late writeAll", ...gone)
  })

const boundedMemory: Draft["run"] = Effect.gen(function* () {
  const { memory = Effect.succeed(0) } = yield* Gauges
  const { client, server } = yield* pair()
  const chunk = new Uint8Array(65536)
  yield* server.write("go")
  yield* client.readExactly(2)
  const before = yield* memory
  const sending = yield* Effect.fork(Effect.repeatN(client.write(chunk), 4095))
  yield* server.readExactly(1)
  const accepted = yield* standstill(Effect.map(client.stats, ({ bytesWritten }) => bytesWritten))
  const grown = (yield* memory) - before
  yield* check(accepted < (32 << 20), `the sender went on to ${accepted} bytes`)
  yield* check(grown < (96 << 20), `memory grew by ${grown} bytes while a reader stalled`)
  const { unread } = yield* server.stats
  yield* check(unread < (2 << 20), `${unread} bytes wait for the reader`)
  const [, rest] = yield* Effect.all([
    Effect.zipRight(Fiber.join(sending), client.shutdown),
    drain(server)
  ], { concurrency: 2 })
  yield* equal(rest + 1, 4096 * 65536, "bytes once the reader went on")
})

const largeExactRead: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({
    client: { readBuffer: 1, writeBuffer: 1 },
    server: { readBuffer: 1024, writeBuffer: 1 }
  })
  const sent = pattern(1 << 20)
  const [received] = yield* Effect.all([server.readExactly(sent.length), client.write(sent)], { concurrency: 2 })
  yield* sameBytes(received, sent, "a message larger than both buffers")
  const [echoed] = yield* Effect.all([client.readExactly(sent.length), writeIn(server, sent, 10_007)], {
    concurrency: 2
  })
  yield* sameBytes(echoed, sent, "and the way back")
})

const unequalReaders: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ server: { readBuffer: 4096 } })
  const large = yield* Effect.fork(server.readExactly(100_000))
  yield* yieldAll
  const small = yield* Effect.fork(server.readExactly(10))
  yield* yieldAll
  yield* Effect.fork(client.write(new Uint8Array(100_010)))
  yield* equal((yield* Fiber.join(small)).length, 10, "bytes of the small read")
  yield* equal((yield* Fiber.join(large)).length, 100_000, "bytes of the large read")
})

const interruptedAccepts: Draft["run"] = Effect.gen(function* () {
  const listener = yield* listen()
  const client = Effect.scoped(Effect.flatMap(Net.connect(listener.address), readAll))
  const clients = yield* Effect.fork(Effect.replicateEffect(client, 40, { concurrency: 4 }))
  for (let i = 0; i < 50; i++) {
    const accepting = yield* Effect.fork(Effect.scoped(Effect.zipRight(listener.accept, Effect.never)))
    yield* Effect.repeatN(Effect.yieldNow(), i % 4)
    if (i % 5 === 0) yield* pause(1)
    yield* Fiber.interrupt(accepting)
  }
  yield* Effect.fork(Effect.forever(Effect.scoped(Effect.flatMap(listener.accept, (server) => server.write("served")))))
  const replies = yield* Fiber.join(clients)
  // Who was accepted before the interruption was closed by it; nobody was forgotten, or cut off in the middle.
  yield* check(
    replies.every((reply) => reply.length === 0 || text(reply) === "served"),
    "a client got a part of its reply"
  )
})

const manyAccepts: Draft["run"] = Effect.gen(function* () {
  const listener = yield* listen()
  const accepting = yield* Effect.fork(Effect.replicateEffect(listener.accept, 10, { concurrency: "unbounded" }))
  yield* Effect.replicateEffect(Net.connect(listener.address), 10, { concurrency: 3 })
  const accepted = yield* Fiber.join(accepting)
  yield* equal(new Set(accepted).size, 10, "different connections for ten accepts that waited at once")
})

const isolation: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* serve(echo, { drainTimeout: "50 millis", closeTimeout: "50 millis" })
  const broken = Effect.scoped(
    Effect.flatMap(Net.connect(address), (client) => Effect.zipRight(client.write("x"), Effect.fail("broken")))
  )
  const stalled = Effect.flatMap(
    Net.connect(address, { closeTimeout: "50 millis" }),
    (client) => Effect.forkScoped(Effect.forever(client.write(new Uint8Array(65536))))
  )
  const healthy = (n: number) =>
    Effect.scoped(Effect.gen(function* () {
      const client = yield* Net.connect(address)
      for (let i = 0; i < 20; i++) {
        yield* client.write(pattern(1000, n * 100 + i))
        yield* sameBytes(yield* client.readExactly(1000), pattern(1000, n * 100 + i), `reply ${i} to client ${n}`)
      }
    }))
  yield* Effect.all([
    Effect.replicateEffect(stalled, 5),
    Effect.replicateEffect(Effect.ignore(broken), 20, { concurrency: 5 }),
    Effect.forEach(Array.from({ length: 20 }, (_, n) => n), healthy, { concurrency: "unbounded" })
  ], { concurrency: "unbounded" })
})

const manySmall: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sent = pattern(4 << 20)
  const [received] = yield* Effect.all([readAll(server), Effect.zipRight(writeIn(client, sent, 64), client.shutdown)], {
    concurrency: 2
  })
  yield* sameBytes(received, sent, "65,536 messages of 64 bytes")
})

const relayed: Draft["run"] = Effect.gen(function* () {
  const reply = pattern(5 << 20)
  const behind = yield* serve((connection) =>
    Effect.flatMap(readAll(connection), (request) => connection.writeAll([request, reply]))
  )
  const counts = yield* Deferred.make<{ readonly forward: number; readonly backward: number }>()
  const front = yield* serve((inner) =>
    Effect.flatMap(
      Net.connect(behind.address),
      (outer) => Effect.flatMap(Net.relay(inner, outer), (copied) => Deferred.succeed(counts, copied))
    )
  )
  const client = yield* Net.connect(front.address)
  yield* client.write("request")
  yield* client.shutdown
  yield* equal(text(yield* client.readExactly(7)), "request", "the request, back through the relay")
  yield* sameBytes(yield* readAll(client), reply, "the reply after the half-close")
  const { backward, forward } = yield* Deferred.await(counts)
  yield* equal(forward, 7, "bytes counted forward")
  yield* equal(backward, reply.length + 7, "bytes counted backward")
})

const relayFails: Draft["run"] = Effect.gen(function* () {
  const one = yield* resettablePair
  const two = yield* pair()
  const relaying = yield* Effect.fork(Net.relay(one.server, two.client))
  yield* one.client.write("hello")
  yield* two.server.readExactly(5)
  yield* one.client.reset
  yield* failsWith(Fiber.join(relaying), "a relay whose one side was reset", "ConnectionReset")
  yield* two.server.write("still open")
  yield* equal(text(yield* two.client.readExactly(10)), "still open", "the other side")
})

export const liveness = group("liveness", [
  { name: "a large reply long after the half-close arrives whole", source: "@effect/platform E5", run: lateReply },
  { name: "reads interrupted around the arrival of bytes lose none", source: "fs2 #2709", run: interruptedReads },
  {
    name: "pending and later writes settle after close",
    source: "@effect/platform E4",
    run: writesSettle((client) => client.close)
  },
  {
    name: "a reader interrupted amid a backlog loses nothing",
    source: "promise: pulled reads",
    run: interruptedBacklog
  },
  {
    name: "pending and later writes settle after reset",
    source: "@effect/platform E4",
    needs: ["reset"],
    run: writesSettle((client) => client.reset)
  },
  {
    name: "pending and later writes settle after a reset by the peer",
    source: "@effect/platform E4",
    needs: ["reset"],
    run: writesSettle((_, server) => server.reset)
  },
  { name: "a slow reader bounds the sender and memory", source: "@effect/platform E1", run: boundedMemory },
  {
    name: "messages larger than all buffers go through",
    source: "kyo-net large payload through bounded channels",
    run: largeExactRead
  },
  { name: "readers that want different amounts are all served", source: "promise: pulled reads", run: unequalReaders },
  { name: "interrupted accepts lose no connection", source: "promise: scoped", run: interruptedAccepts },
  { name: "ten accepts that wait each get a connection of their own", source: "fs2 SocketSuite", run: manyAccepts },
  {
    name: "broken and stalled connections do not touch healthy ones",
    source: "kyo-net healthy connections isolated",
    run: isolation
  },
  { name: "65,536 small messages pass without a deep stack", source: "kyo-net multi-MB stream", run: manySmall },
  { name: "a relay passes the half-close on and copies both ways", source: "promise: half-close", run: relayed },
  {
    name: "a relay ends when one side is reset, and leaves the other open",
    source: "promise: half-close",
    needs: ["reset", "resetVisible"],
    run: relayFails
  }
])
