/**
 * Order and wholeness of bytes: messages never interleave, streams may be cut anywhere, and every way of reading sees
 * the same bytes. All properties hold for any chunking, so they write in pieces that fit neither the messages nor the
 * kernel's buffers.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import { check, equal, failsWith, sameBytes } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { concat, drain, echo, pair, pattern, readAll, serve, text, writeIn } from "./support.ts"

/** A message that says who wrote it, which of his it is, and how long it is, and is otherwise a pattern of its own. */
const record = (writer: number, i: number, size: number): Uint8Array => {
  const bytes = pattern(size + 12, writer * 1000 + i + 1)
  new Uint32Array(bytes.buffer, 0, 3).set([writer, i, size])
  return bytes
}

/** Reads records to the end of stream: each must be whole, and those of one writer in order. Gives how many came. */
const readRecords = (connection: Connection) =>
  Effect.gen(function* () {
    const next = new Map<number, number>()
    let count = 0
    while (true) {
      const head = yield* Effect.option(connection.readExactly(12))
      if (Option.isNone(head)) return count
      const [writer = 0, i = 0, size = 0] = new Uint32Array(head.value.slice().buffer)
      yield* check(size <= 400_000 && writer < 1000, `no message begins here: ${writer}, ${i}, ${size}`)
      yield* equal(i, next.get(writer) ?? 0, `number of the message of writer ${writer}`)
      next.set(writer, i + 1)
      const body = yield* connection.readExactly(size)
      yield* sameBytes(body, record(writer, i, size).subarray(12), `message ${i} of writer ${writer}`)
      count++
    }
  })

const sizes = [0, 1, 100, 1500, 65536, 3, 262144, 70000, 5, 300_001]
const sizeOf = (writer: number, i: number) => sizes[(writer * 7 + i) % sizes.length]!

const writersMix = (
  write: (connection: Connection, message: Uint8Array) => Effect.Effect<void, unknown>
): Draft["run"] =>
  Effect.gen(function* () {
    const { client, server } = yield* pair()
    const writer = (n: number) =>
      Effect.forEach(Array.from({ length: 10 }, (_, i) => i), (i) => write(client, record(n, i, sizeOf(n, i))), {
        discard: true
      })
    const writers = Effect.forEach(Array.from({ length: 30 }, (_, n) => n), writer, {
      concurrency: "unbounded",
      discard: true
    })
    const [count] = yield* Effect.all([readRecords(server), Effect.zipRight(writers, client.shutdown)], {
      concurrency: 2
    })
    yield* equal(count, 300, "messages")
  })

/** As many chunks as writeAll may be given, cut where nothing fits. */
const inChunks = (connection: Connection, message: Uint8Array) => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0, size = 1; at < message.length; at += size, size = (size * 3) % 40_009) {
    chunks.push(message.subarray(at, at + size))
  }
  return connection.writeAll(chunks)
}

const oneTurn: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const lines = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`)
  const [received] = yield* Effect.all([
    readAll(server),
    Effect.zipRight(Effect.forEach(lines, client.write, { discard: true }), client.close)
  ], { concurrency: 2 })
  yield* sameBytes(received, new TextEncoder().encode(lines.join("")), "lines written without waiting")
})

const shutdownAfterWrites: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const small = pattern(500)
  const large = pattern(3 << 20, 2)
  yield* Effect.fork(Effect.zipRight(client.write(small), client.writeAll([large, "end"])))
  const [received] = yield* Effect.all([
    readAll(server),
    Effect.gen(function* () {
      while ((yield* client.stats).bytesWritten < small.length + large.length + 3) yield* Effect.yieldNow()
      yield* client.shutdown
    })
  ], { concurrency: 2 })
  yield* sameBytes(
    received,
    concat([small, large, new TextEncoder().encode("end")]),
    "what was accepted before the shutdown"
  )
})

/** Sizes that fit nothing: 0, 1, 2, 5, 14, ... */
const oddSizes = (total: number): ReadonlyArray<number> => {
  const all: Array<number> = [0]
  for (let left = total, size = 1; left > 0; left -= size, size = Math.min(left, (size * 3 - 1) % 100_003 || 1)) {
    all.push(size)
  }
  return all
}

const exactSizes: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sent = pattern(2 << 20)
  const [received] = yield* Effect.all([
    Effect.forEach(
      oddSizes(sent.length),
      (size) => Effect.tap(server.readExactly(size), (bytes) => equal(bytes.length, size, "size"))
    ),
    Effect.zipRight(writeIn(client, sent, 1009), client.shutdown)
  ], { concurrency: 2 })
  yield* sameBytes(concat(received), sent, "what was read by size")
})

const keptChunks: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const sent = pattern(1 << 20)
  const spoil = (chunk: Uint8Array) => {
    const copy = chunk.slice()
    // A chunk is the reader's own: what he does to it must not reach bytes that are still to be read.
    chunk.fill(0)
    return copy
  }
  const [received] = yield* Effect.all([
    Effect.map(Stream.runCollect(Stream.map(server.stream, spoil)), Chunk.toReadonlyArray),
    Effect.zipRight(writeIn(client, sent, 700), client.shutdown)
  ], { concurrency: 2 })
  yield* sameBytes(concat(received), sent, "what was read before the chunks were overwritten")
})

const plainBytes: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.write("plain")
  const chunk = yield* server.read
  yield* server.unread(Option.getOrThrow(chunk))
  const exact = yield* server.readExactly(2)
  // A Buffer of Node is a Uint8Array whose `slice` does not copy and whose text is not its numbers.
  yield* equal(Option.getOrThrow(chunk).constructor.name, "Uint8Array", "class of a chunk")
  yield* equal(exact.constructor.name, "Uint8Array", "class of an exact read")
})

const delimited: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const writing = Effect.forEach(
    "one\r\ntwo\r\r\n\r\nthree",
    (letter) => Effect.zipRight(client.write(letter), Effect.yieldNow())
  )
  const line = Effect.map(server.readUntil("\r\n"), text)
  const [lines] = yield* Effect.all([Effect.all([line, line, line]), Effect.zipRight(writing, client.shutdown)], {
    concurrency: 2
  })
  yield* equal(
    JSON.stringify(lines),
    JSON.stringify(["one\r\n", "two\r\r\n", "\r\n"]),
    "lines that came letter by letter"
  )
  const error = yield* failsWith(line, "the line that has no end", "UnexpectedEnd")
  yield* check(error._tag === "UnexpectedEnd" && error.received === 5, "the error does not say that 5 bytes came")
  yield* equal(text(yield* readAll(server)), "three", "what was left")
})

const limits: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.write("123456789\n")
  yield* failsWith(server.readUntil("\n", { maxLength: 9 }), "a line of 10 bytes with a limit of 9", "MessageTooLarge")
  yield* equal(
    text(yield* server.readUntil("\n", { maxLength: 10 })),
    "123456789\n",
    "the same line with a limit of 10"
  )
  yield* client.write("abc")
  yield* client.shutdown
  const error = yield* failsWith(server.readExactly(4), "four bytes of three", "UnexpectedEnd")
  yield* check(
    error._tag === "UnexpectedEnd" && error.received === 3 && error.expected === 4,
    "the error does not say 3 of 4"
  )
  yield* equal(text(yield* server.readExactly(3)), "abc", "the three")
  yield* equal((yield* server.readExactly(0)).length, 0, "nothing, at the end of stream")
})

const pushedBack: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.write("world")
  yield* client.shutdown
  const first = yield* server.readExactly(5)
  yield* server.unread(first.subarray(2))
  yield* server.unread(new TextEncoder().encode("wo"))
  yield* server.unread(new Uint8Array(0))
  yield* equal(text(yield* readAll(server)), "world", "bytes that were put back")
  yield* server.unread(new TextEncoder().encode("again"))
  yield* equal(text(yield* readAll(server)), "again", "bytes put back after the end of stream")
})

const views: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* serve((connection) =>
    Effect.zipRight(Stream.run(connection.stream, connection.sink), connection.shutdown)
  )
  const client = yield* Net.connect(address)
  const sent = pattern(3 << 20)
  const parts = Stream.fromIterable(Array.from({ length: 48 }, (_, i) => sent.subarray(i * 65536, (i + 1) * 65536)))
  const [received] = yield* Effect.all([
    readAll(client),
    Effect.zipRight(Stream.run(parts, client.sink), client.shutdown)
  ], { concurrency: 2 })
  yield* sameBytes(received, sent, "the echo of a stream into a sink")
})

const emptyMessages: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.write("")
  yield* client.writeAll([])
  yield* client.writeAll(["", new Uint8Array(0)])
  yield* client.write("x")
  yield* equal(Option.map(yield* server.read, text), Option.some("x"), "the first read")
  yield* client.write(new Uint8Array(0))
  yield* client.shutdown
  yield* equal(
    yield* Effect.replicateEffect(server.read, 3).pipe(Effect.map((all) => all.every(Option.isNone))),
    true,
    "only the end follows"
  )
})

const ownReplies: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* serve(echo)
  const client = (n: number) =>
    Effect.scoped(Effect.gen(function* () {
      const connection = yield* Net.connect(address)
      const sent = pattern(20_000 + n, n + 1)
      const [received] = yield* Effect.all([
        readAll(connection),
        Effect.zipRight(writeIn(connection, sent, 4099), connection.shutdown)
      ], {
        concurrency: 2
      })
      yield* sameBytes(received, sent, `the echo of client ${n}`)
    }))
  yield* Effect.forEach(Array.from({ length: 50 }, (_, n) => n), client, { concurrency: "unbounded" })
})

const bothWays: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const [up, down] = [pattern(16 << 20, 1), pattern(16 << 20, 2)]
  const [gotDown, gotUp] = yield* Effect.all([
    readAll(client),
    readAll(server),
    Effect.zipRight(client.write(up), client.shutdown),
    Effect.zipRight(writeIn(server, down, 100_003), server.shutdown)
  ], { concurrency: "unbounded" })
  yield* sameBytes(gotUp, up, "upwards")
  yield* sameBytes(gotDown, down, "downwards")
  yield* equal(yield* drain(client), 0, "bytes after the end")
})

export const ordering = group("ordering", [
  {
    name: "concurrent messages of all sizes arrive whole, each writer's in order",
    source: "fs2 #1781, kyo-net multi-write-ordering",
    run: writersMix((connection, message) => connection.write(message))
  },
  { name: "a message of many chunks is one message", source: "netty gathering writes", run: writersMix(inChunks) },
  { name: "5,000 messages written without waiting arrive in order", source: "@effect/platform E2", run: oneTurn },
  {
    name: "nothing that was accepted before a shutdown is lost",
    source: "Bun: end() drops unsent bytes",
    run: shutdownAfterWrites
  },
  { name: "exact reads of any size give the same bytes", source: "fs2 SocketSuite readN", run: exactSizes },
  { name: "chunks are the reader's own", source: "Go nettest RacyRead", run: keptChunks },
  { name: "chunks are plain Uint8Arrays, whatever the runtime has", source: "WinterTC sockets", run: plainBytes },
  { name: "a delimiter is found wherever the stream is cut", source: "Pekko FramingSpec", run: delimited },
  { name: "a read that asks for too much leaves the bytes", source: "fs2 readN short of the end", run: limits },
  { name: "bytes that are put back come first", source: "promise: pulled reads", run: pushedBack },
  { name: "stream and sink carry the same bytes", source: "fs2 SocketSuite echo", run: views },
  {
    name: "an empty message is neither data nor the end",
    source: "kyo-net eof-distinguished-from-zero-length",
    run: emptyMessages
  },
  { name: "each of 50 clients gets back what it sent", source: "fs2 SocketSuite echo requests", run: ownReplies },
  {
    name: "both directions carry 16 MiB at the same time",
    source: "kyo-net backpressure-does-not-deadlock-inbound",
    run: bothWays
  }
])
