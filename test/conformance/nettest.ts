/**
 * The eleven properties of Go's nettest.TestConn (x/net/nettest/conntest.go), which any connection of any network must
 * have. A deadline there is an interruption or a `readTimeout` here; "the buffer is not touched after return" is
 * "interrupting a read neither loses nor repeats a byte". Time is a TestClock's wherever a timeout must strike.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { Connection } from "../../src/Connection.ts"
import { check, equal, fail, failsWith, sameBytes, wasInterrupted } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import {
  concat,
  drain,
  pair,
  pattern,
  readAll,
  readEach,
  standstill,
  text,
  unbuffered,
  underTestClock,
  writeIn,
  yieldAll
} from "./support.ts"

const roundTrip = (a: Connection, b: Connection) =>
  Effect.gen(function* () {
    yield* a.write("ping")
    yield* equal(text(yield* b.readExactly(4)), "ping", "there")
    yield* b.write("pong")
    yield* equal(text(yield* a.readExactly(4)), "pong", "and back")
  })

const marker = Uint8Array.of(0xff)

/** Reads over whatever is under way, up to a marker that the other end sends; then a round trip. */
const resync = (a: Connection, b: Connection) =>
  Effect.gen(function* () {
    yield* Effect.all([a.write(marker), b.readUntil(marker, { maxLength: Infinity })], { concurrency: 2 })
    yield* Effect.all([b.write(marker), a.readUntil(marker, { maxLength: Infinity })], { concurrency: 2 })
    yield* roundTrip(a, b)
  })

const basicIO: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sent = pattern(1 << 20)
  const [, received] = yield* Effect.all([
    Effect.zipRight(writeIn(client, sent, 1024), client.close),
    readAll(server)
  ], { concurrency: 2 })
  yield* sameBytes(received, sent, "what was read")
  yield* server.close
})

const pingPong: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const number = (n: number) => new Uint8Array(BigUint64Array.of(BigInt(n)).buffer)
  const play = (connection: Connection, first: number) =>
    Effect.gen(function* () {
      for (let expected = first; expected <= 1000; expected += 2) {
        const bytes = yield* connection.readExactly(8)
        yield* equal(Number(new DataView(bytes.slice().buffer).getBigUint64(0, true)), expected, "the counter")
        if (expected < 1000) yield* connection.write(number(expected + 1))
      }
      yield* connection.close
    })
  yield* client.write(number(0))
  yield* Effect.all([play(server, 0), play(client, 1)], { concurrency: 2 })
})

const racyRead: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sent = pattern(4 << 20)
  const received: Array<Uint8Array> = []
  const take = Effect.map(client.read, (chunk) => {
    if (chunk._tag === "Some") received.push(chunk.value)
  })
  const impatient = take.pipe(Effect.timeoutOption("1 millis"), Effect.repeatN(99))
  yield* Effect.all([
    Effect.zipRight(writeIn(server, sent, 1024), server.shutdown),
    Effect.zipRight(
      Effect.replicateEffect(impatient, 10, { concurrency: "unbounded" }),
      readEach(client, (chunk) => received.push(chunk))
    )
  ], { concurrency: 2 })
  yield* sameBytes(concat(received), sent, "what ten interrupted readers read")
})

const recordSize = 16384

const racyWrite: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const accepted = new Set<number>()
  const write = (writer: number, i: number) => {
    const id = writer * 100 + i
    return client.write(pattern(recordSize, id + 1)).pipe(
      Effect.map(() => accepted.add(id)),
      Effect.timeoutOption("1 millis")
    )
  }
  const writer = (n: number) =>
    Effect.forEach(Array.from({ length: 100 }, (_, i) => i), (i) => write(n, i), { discard: true })
  const reader = yield* Effect.fork(Effect.delay(readAll(server), "20 millis"))
  yield* Effect.forEach(Array.from({ length: 10 }, (_, n) => n), writer, { concurrency: "unbounded", discard: true })
  yield* client.shutdown
  const received = yield* Fiber.join(reader)
  yield* equal(received.length % recordSize, 0, "bytes beyond whole messages")
  const idByStart = new Map(Array.from({ length: 1000 }, (_, id) => [startOf(pattern(4, id + 1)), id]))
  const last = new Map<number, number>()
  for (let at = 0; at < received.length; at += recordSize) {
    const record = received.subarray(at, at + recordSize)
    const id = idByStart.get(startOf(record))
    if (id === undefined) return yield* fail(`no message begins at byte ${at}: two were mixed, or one was cut`)
    yield* sameBytes(record, pattern(recordSize, id + 1), `message ${id}`)
    const writer = Math.floor(id / 100)
    yield* check((last.get(writer) ?? -1) < id, `message ${id} of writer ${writer} came twice or out of order`)
    last.set(writer, id)
    accepted.delete(id)
  }
  yield* equal(accepted.size, 0, "messages that were accepted and never came")
})

const startOf = (bytes: Uint8Array) => `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`

const readTimeout: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ client: { readTimeout: "1 minute" } })
  const reading = yield* Effect.fork(client.read)
  yield* yieldAll
  yield* TestClock.adjust("1 minute")
  yield* failsWith(Fiber.join(reading), "a read that waited too long", "ReadTimeout")
  yield* roundTrip(client, server)
}).pipe(underTestClock)

const writeTimeout: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ client: { writeTimeout: "1 minute" } })
  const writing = yield* Effect.fork(client.write(new Uint8Array(unbuffered)))
  yield* untilStuck(client)
  yield* TestClock.adjust("1 minute")
  // Once more: what the kernel took after the write began to wait has put its time off.
  yield* TestClock.adjust("1 minute")
  yield* failsWith(Fiber.join(writing), "a write that waited too long", "WriteTimeout")
  yield* server.write("pong")
  yield* equal(text(yield* client.readExactly(4)), "pong", "a read after the write has timed out")
}).pipe(underTestClock)

/** Until the kernel takes no more of what this connection writes. */
const untilStuck = (connection: Connection) => standstill(Effect.map(connection.stats, ({ unsent }) => unsent))

const pastTimeout: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* roundTrip(client, server)
  // A fork that is interrupted before it has run.
  yield* Effect.flatMap(Effect.fork(client.write("never")), Fiber.interrupt)
  const late = yield* Effect.exit(Effect.timeout(client.read, Duration.zero))
  yield* check(Exit.isFailure(late), "a read with no time at all succeeded although nothing was sent")
  yield* roundTrip(client, server)
})

const presentTimeout: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const message = pattern(unbuffered)
  const reading = yield* Effect.fork(client.read)
  const writing = yield* Effect.fork(client.write(message))
  const behind = yield* Effect.fork(client.write("withdrawn"))
  yield* untilStuck(client)
  yield* wasInterrupted(yield* Fiber.interrupt(behind), "a write that waited its turn")
  yield* wasInterrupted(yield* Fiber.interrupt(reading), "a read that waited")
  yield* wasInterrupted(yield* Fiber.interrupt(writing), "a write that waited")
  const [received] = yield* Effect.all([server.readExactly(unbuffered), client.write("next")], { concurrency: 2 })
  yield* sameBytes(received, message, "the message of the interrupted write that had begun")
  yield* equal(text(yield* server.readExactly(4)), "next", "the message after it")
})

const futureTimeout: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ client: { readTimeout: "1 minute", writeTimeout: "1 minute" } })
  const reading = yield* Effect.fork(client.read)
  const writing = yield* Effect.fork(Effect.forever(client.write(new Uint8Array(65536))))
  yield* untilStuck(client)
  yield* TestClock.adjust("1 minute")
  yield* failsWith(Fiber.join(reading), "the read", "ReadTimeout")
  yield* TestClock.adjust("1 minute")
  yield* failsWith(Fiber.join(writing), "the writes", "WriteTimeout")
  yield* resync(client, server)
}).pipe(underTestClock)

const closeTimeout: Draft["run"] = Effect.gen(function* () {
  const { client } = yield* pair({ client: { closeTimeout: "50 millis" } })
  const reading = yield* Effect.fork(client.read)
  const writing = yield* Effect.fork(client.write(new Uint8Array(unbuffered)))
  yield* untilStuck(client)
  yield* client.close
  yield* failsWith(Fiber.join(reading), "the read that waited", "ConnectionClosed")
  yield* failsWith(Fiber.join(writing), "the write that waited", "ConnectionClosed")
})

const concurrentMethods: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const one = Effect.timeoutOption("1 millis")
  yield* Effect.replicateEffect(
    Effect.all([
      one(client.read),
      one(client.readExactly(1)),
      one(client.write(new Uint8Array(1024))),
      one(client.writeAll([new Uint8Array(10), "\0"])),
      client.stats,
      client.setNoDelay(true),
      Effect.sync(() => [client.localAddress, client.remoteAddress])
    ], { concurrency: "unbounded" }),
    100,
    { concurrency: "unbounded" }
  )
  yield* resync(client, server)
  yield* client.shutdown
  yield* equal(yield* drain(server), 0, "bytes after the round trip")
})

const go = (name: string) => `Go nettest ${name}`

export const nettest = group("nettest", [
  { name: "a megabyte in small messages arrives whole, then the end", source: go("BasicIO"), run: basicIO },
  { name: "a counter bounces a thousand times and both ends close cleanly", source: go("PingPong"), run: pingPong },
  { name: "ten readers interrupted all the time lose and repeat no byte", source: go("RacyRead"), run: racyRead },
  { name: "ten writers interrupted all the time cut and mix no message", source: go("RacyWrite"), run: racyWrite },
  { name: "a read that timed out leaves reading and writing usable", source: go("ReadTimeout"), run: readTimeout },
  { name: "a write that timed out leaves reading usable", source: go("WriteTimeout"), run: writeTimeout },
  {
    name: "interrupted before they begin, a read takes and a write sends nothing",
    source: go("PastTimeout"),
    run: pastTimeout
  },
  { name: "a blocked read and blocked writes can be interrupted", source: go("PresentTimeout"), run: presentTimeout },
  {
    name: "after both directions timed out they can be brought in step again",
    source: go("FutureTimeout"),
    run: futureTimeout
  },
  { name: "close ends a pending read and a pending write", source: go("CloseTimeout"), run: closeTimeout },
  { name: "all methods at once do no harm", source: go("ConcurrentMethods"), run: concurrentMethods }
])
