/**
 * Who ends a connection how, and what the other side then sees: every order of half-close, close and reset at both
 * ends. A half-close or close shows as the end of stream after all data; a reset shows as `ConnectionReset`. Four ends,
 * four types. Whatever the order, every read, write and close settles and both descriptors are released.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Connection } from "../../src/Connection.ts"
import type { Capability } from "../../src/Transport.ts"
import { check, equal, failsWith } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { drain, pair, readAll, resettablePair, text } from "./support.ts"

type Act = "shuts down" | "closes" | "resets"
type Side = "client" | "server"

const acts: ReadonlyArray<Act> = ["shuts down", "closes", "resets"]
const plural: Record<Act, string> = { "shuts down": "shut down", closes: "close", resets: "reset" }
const other: Record<Side, Side> = { client: "server", server: "client" }

const perform = (connection: Connection, act: Act) =>
  act === "shuts down" ? connection.shutdown : act === "closes" ? connection.close : connection.reset

const gone = ["ConnectionReset", "BrokenPipe"]

/** Writes until the peer's absence is known: the first write after it may still be taken. */
const writesFail = (connection: Connection, ...tags: ReadonlyArray<string>) =>
  failsWith(
    Effect.forever(Effect.zipLeft(connection.write(new Uint8Array(1024)), Effect.sleep("1 millis"))),
    "writes",
    ...tags
  )

/** What `that` sees of what `act` has done to `this`, which had said hello. */
const seesFirst = (that: Connection, act: Act) =>
  act === "resets"
    ? Effect.zipRight(
      failsWith(drain(that), "reading from a peer that reset", "ConnectionReset"),
      writesFail(that, ...gone)
    )
    : Effect.flatMap(readAll(that), (bytes) => equal(text(bytes), "hello", "what came before the end of stream"))

/** What the first to act sees of the second. */
const seesSecond = (first: Connection, act: Act, second: Act) => {
  if (act !== "shuts down") {
    return Effect.zipRight(
      failsWith(first.read, "reading after the own close", "ConnectionClosed"),
      failsWith(first.write("x"), "writing after the own close", "ConnectionClosed")
    )
  }
  return Effect.zipRight(
    second === "resets"
      ? failsWith(drain(first), "reading from a peer that reset", "ConnectionReset")
      : Effect.flatMap(readAll(first), (bytes) => equal(text(bytes), "goodbye", "what came after the own half-close")),
    failsWith(first.write("x"), "writing after the own half-close", "ConnectionClosed", ...gone)
  )
}

const order = (side: Side, act: Act, second: Act): Draft["run"] =>
  Effect.gen(function* () {
    const ends = yield* (act === "resets" || second === "resets" ? resettablePair : pair())
    const first = ends[side]
    const that = ends[other[side]]
    yield* first.write("hello")
    if (act === "resets") yield* equal(text(yield* that.readExactly(5)), "hello", "before the reset")
    yield* perform(first, act)
    yield* seesFirst(that, act)
    if (act === "shuts down") yield* that.write("goodbye")
    if (act === "shuts down" && second === "resets") {
      yield* equal(text(yield* first.readExactly(7)), "goodbye", "before the reset")
    }
    if (act === "closes") {
      yield* writesFail(that, ...gone)
    }
    yield* perform(that, second)
    yield* seesSecond(first, act, second)
    yield* Effect.all([first.close, that.close, first.closed, that.closed], { concurrency: "unbounded" })
  })

const needs = (...of: ReadonlyArray<Act>): ReadonlyArray<Capability> =>
  of.includes("resets") ? ["reset", "resetVisible"] : []

const orders: ReadonlyArray<Draft> = (["client", "server"] as const).flatMap((side) =>
  acts.flatMap((act) =>
    acts.map((second) => ({
      name: `the ${side} ${act}, then the ${other[side]} ${second}`,
      source: "Pekko TcpSpec",
      needs: needs(act, second),
      run: order(side, act, second)
    }))
  )
)

const together = (act: Act): Draft["run"] =>
  Effect.gen(function* () {
    const { client, server } = yield* (act === "resets" ? resettablePair : pair())
    yield* Effect.all([perform(client, act), perform(server, act)], { concurrency: 2 })
    if (act === "shuts down") {
      yield* equal(yield* drain(client), 0, "bytes at the client")
      yield* equal(yield* drain(server), 0, "bytes at the server")
    }
    yield* Effect.all([client.close, server.close, client.closed, server.closed], { concurrency: "unbounded" })
  })

const bothEnded: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.shutdown
  yield* drain(server)
  yield* server.shutdown
  yield* drain(client)
  // Nobody calls close: a connection whose both directions have ended is over.
  yield* Effect.all([client.closed, server.closed], { concurrency: 2 })
})

const resetMeanwhile: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* resettablePair
  const reading = yield* Effect.fork(drain(server))
  const writing = yield* Effect.fork(Effect.forever(server.write(new Uint8Array(65536))))
  yield* client.readExactly(1)
  yield* client.reset
  yield* failsWith(Fiber.join(reading), "the read under way", "ConnectionReset")
  yield* failsWith(Fiber.join(writing), "the writes under way", ...gone)
  yield* server.closed
})

const dataBeforeReset: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* resettablePair
  const first = yield* Effect.fork(server.read)
  yield* client.write("last words")
  yield* Fiber.join(first)
  yield* client.reset
  const again = yield* Effect.flip(drain(server))
  yield* equal(again._tag, "ConnectionReset", "the first read after the reset")
  yield* equal((yield* Effect.flip(server.read))._tag, "ConnectionReset", "the next one")
  yield* check((yield* server.stats).bytesRead === 10, "the figures were lost with the connection")
})

const repeated: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.shutdown
  yield* client.shutdown
  yield* drain(server)
  yield* Effect.zipRight(server.close, server.close)
  yield* Effect.all([client.close, client.close, client.shutdown], { concurrency: "unbounded" })
  yield* client.closed
  yield* client.shutdown
})

const resetTwice: Draft["run"] = Effect.gen(function* () {
  const { client } = yield* resettablePair
  yield* client.reset
  yield* client.reset
  yield* client.close
  yield* client.shutdown
  yield* failsWith(client.read, "a read after the own reset", "ConnectionClosed")
  yield* failsWith(client.write("x"), "a write after the own reset", "ConnectionClosed")
})

/** With nothing, with a little and with much unsent, to a peer that does not read. */
const resetWhileShuttingDown: Draft["run"] = Effect.forEach(
  [0, 5, 1 << 20, 4 << 20],
  (size) =>
    Effect.scoped(Effect.gen(function* () {
      const { client } = yield* resettablePair
      yield* Effect.fork(Effect.ignore(client.write(new Uint8Array(size))))
      yield* Effect.yieldNow()
      yield* client.shutdown
      yield* client.reset
      yield* client.closed
    }))
)

/** Twice at once, once given up, and after the end. */
const endSeen: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const given = yield* Effect.fork(server.ended)
  const waiting = yield* Effect.fork(Effect.all([server.ended, server.ended], { concurrency: 2 }))
  yield* client.write("nobody has read this")
  yield* server.write("ready")
  yield* client.readExactly(5)
  yield* Fiber.interrupt(given)
  yield* check((yield* Fiber.poll(waiting))._tag === "None", "bytes were taken for the end")
  yield* client.shutdown
  yield* Fiber.join(waiting)
  yield* server.ended
  yield* equal(text(yield* readAll(server)), "nobody has read this", "what is read after that")
  yield* server.close
  yield* client.ended
})

const breakSeen: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* resettablePair
  const waiting = yield* Effect.fork(server.ended)
  yield* server.write("ready")
  yield* client.readExactly(5)
  yield* client.reset
  yield* failsWith(Fiber.join(waiting), "waiting for the end of who resets", "ConnectionReset")
  yield* failsWith(client.ended, "waiting for the end after a reset of one's own", "ConnectionClosed")
})

export const closeOrder = group("close order", [
  ...orders,
  ...acts.map((act) => ({
    name: `both ends ${plural[act]} at once`,
    source: "Pekko TcpSpec",
    needs: needs(act).slice(0, 1),
    run: together(act)
  })),
  { name: "a connection that ended both ways is over without a close", source: "Pekko TcpSpec", run: bothEnded },
  {
    name: "a reset ends the read and the write under way at the other end",
    source: "Pekko TcpSpec",
    needs: ["reset", "resetVisible"],
    run: resetMeanwhile
  },
  {
    name: "a reset is seen by every read after it, and keeps the figures",
    source: "Deno: an error is told once",
    needs: ["reset", "resetVisible"],
    run: dataBeforeReset
  },
  {
    name: "the peer's end is told to who does not read, and takes nothing",
    source: "promise: half-close",
    run: endSeen
  },
  {
    name: "the peer's reset is told to who does not read",
    source: "promise: half-close",
    needs: ["reset", "resetVisible"],
    run: breakSeen
  },
  { name: "shutdown and close can be repeated", source: "Pekko TcpSpec", run: repeated },
  {
    name: "a reset while the shutdown is under way releases the descriptor",
    source: "Node 20: resetAndDestroy after end",
    needs: ["reset"],
    run: resetWhileShuttingDown
  },
  {
    name: "reset can be repeated, and comes before any close",
    source: "Pekko TcpSpec",
    needs: ["reset"],
    run: resetTwice
  }
])
