/**
 * The end of a connection or listener: it comes exactly once, whoever asks for it and however often; what was written
 * before arrives; what was not read does no harm; and the descriptor and the port are free afterwards. Many names are
 * those of kyo-net's tests, which state the invariants best.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Net from "../../src/Net.ts"
import { equal, fail, failsWith, sameBytes, wasInterrupted } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import {
  drain,
  echo,
  listen,
  pair,
  pattern,
  pause,
  readAll,
  serve,
  standstill,
  text,
  unbuffered,
  writeIn,
  yieldAll
} from "./support.ts"

const racingCloses: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.write("last")
  let releases = 0
  const watching = yield* Effect.fork(Effect.tap(client.closed, () => Effect.sync(() => releases++)))
  yield* Effect.all([
    ...Array.from({ length: 50 }, () => client.close),
    ...Array.from({ length: 50 }, () => client.closed),
    Effect.flatMap(readAll(server), (bytes) => equal(text(bytes), "last", "what came before the end"))
  ], { concurrency: "unbounded" })
  yield* Fiber.join(watching)
  yield* equal(releases, 1, "releases")
})

const flushedFirst: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ client: { closeTimeout: "15 seconds" } })
  const message = pattern(unbuffered)
  const writing = yield* Effect.fork(client.write(message))
  yield* standstill(Effect.map(client.stats, ({ unsent }) => unsent))
  const closing = yield* Effect.fork(client.close)
  yield* yieldAll
  yield* sameBytes(yield* readAll(server), message, "a message that was under way when its connection was closed")
  yield* Fiber.join(writing)
  yield* Fiber.join(closing)
})

/** The server never reads, or reads a little, of what comes; its reply must arrive whole all the same. */
const replyToUnread = (readFirst: boolean): Draft["run"] =>
  Effect.gen(function* () {
    const { client, server } = yield* pair()
    const reply = pattern(1 << 20)
    yield* client.write(new Uint8Array(100_000))
    if (readFirst) {
      yield* server.readExactly(10)
      yield* client.write("more")
    }
    // The client's bytes have reached the server's kernel.
    yield* pause(50)
    const [received] = yield* Effect.all([
      readAll(client),
      Effect.zipRight(server.write(reply), server.close)
    ], { concurrency: 2 })
    yield* sameBytes(received, reply, "the reply to a request that was not read")
  })

const floodedClose: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair({ client: { closeTimeout: "100 millis" } })
  const flooding = yield* Effect.fork(Effect.forever(server.write(new Uint8Array(65536))))
  yield* client.readExactly(1)
  yield* standstill(Effect.map(server.stats, ({ bytesWritten }) => bytesWritten))
  yield* client.close
  yield* client.closed
  yield* failsWith(Fiber.join(flooding), "writes to a peer that has closed", "ConnectionReset", "BrokenPipe")
})

const writeAfterPeersEnd: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  yield* client.shutdown
  yield* drain(server)
  const message = pattern(4 << 20)
  const [received] = yield* Effect.all([readAll(client), Effect.zipRight(server.write(message), server.shutdown)], {
    concurrency: 2
  })
  yield* sameBytes(received, message, "what was written after the peer's end of stream")
})

const acceptsEnd: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const listener = yield* Scope.extend(listen(), scope)
  const accepting = yield* Effect.fork(Effect.scoped(listener.accept))
  const streaming = yield* Effect.fork(Stream.runDrain(listener.connections))
  yield* yieldAll
  yield* Scope.close(scope, Exit.void)
  yield* failsWith(Fiber.join(accepting), "the accept that waited", "ConnectionClosed")
  yield* Fiber.join(streaming)
})

const outlivesListener: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const listener = yield* Scope.extend(listen(), scope)
  const client = yield* Net.connect(listener.address)
  const server = yield* listener.accept
  yield* Scope.close(scope, Exit.void)
  yield* failsWith(
    Net.connect(listener.address),
    "connecting to a closed listener",
    "ConnectionRefused",
    "PathNotFound"
  )
  yield* client.write("still here")
  yield* equal(text(yield* server.readExactly(10)), "still here", "what came after the listener was closed")
  yield* server.close
  yield* drain(client)
})

const streamedConnections: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const listener = yield* Scope.extend(listen(), scope)
  const taken = yield* Deferred.make<void>()
  yield* Effect.fork(Stream.runForEach(listener.connections, () => Deferred.succeed(taken, undefined)))
  const client = yield* Net.connect(listener.address)
  yield* Deferred.await(taken)
  yield* Scope.close(scope, Exit.void)
  yield* equal(yield* drain(client), 0, "bytes")
})

const rebinds: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* Effect.scoped(listen())
  const round = Effect.scoped(Effect.gen(function* () {
    const listener = yield* Net.listen(address)
    const client = yield* Net.connect(address)
    const server = yield* listener.accept
    yield* client.write("x")
    yield* server.readExactly(1)
    // The side that closes first keeps the port in TIME_WAIT.
    yield* server.close
  }))
  yield* Effect.repeatN(round, 2)
})

const scopeFails: Draft["run"] = Effect.gen(function* () {
  const listener = yield* listen()
  const failing = Effect.scoped(Effect.zipRight(Net.connect(listener.address), Effect.fail("failed")))
  const [exit] = yield* Effect.all([
    Effect.exit(failing),
    Effect.flatMap(listener.accept, drain)
  ], { concurrency: 2 })
  yield* equal(exit, Exit.fail("failed") as typeof exit, "the failure of the scope")
})

const scopeInterrupted: Draft["run"] = Effect.gen(function* () {
  const listener = yield* listen()
  const connected = yield* Deferred.make<void>()
  const client = Effect.tap(Net.connect(listener.address), () => Deferred.succeed(connected, undefined))
  const reading = yield* Effect.fork(Effect.scoped(Effect.flatMap(client, ({ read }) => read)))
  const server = yield* listener.accept
  yield* Deferred.await(connected)
  yield* yieldAll
  yield* wasInterrupted(yield* Fiber.interrupt(reading), "the fiber that read")
  yield* equal(yield* drain(server), 0, "bytes")
})

const interruptedConnects: Draft["run"] = Effect.gen(function* () {
  const server = yield* serve(echo)
  for (let steps = 0; steps < 30; steps++) {
    const connecting = yield* Effect.fork(Effect.scoped(Effect.zipRight(Net.connect(server.address), Effect.never)))
    yield* Effect.repeatN(Effect.yieldNow(), steps)
    if (steps % 3 === 0) yield* pause(1)
    yield* Fiber.interrupt(connecting)
  }
  const client = yield* Net.connect(server.address)
  yield* client.write("served")
  yield* equal(text(yield* client.readExactly(6)), "served", "the echo after them")
  yield* client.close
  for (let round = 0; round < 100; round++) {
    const { active, closing } = yield* server.status
    if (active + closing === 0) return
    yield* pause(10)
  }
  yield* fail("connections of interrupted clients are still open at the server")
})

const interruptedListens: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* Effect.scoped(listen())
  for (let steps = 0; steps < 20; steps++) {
    const listening = yield* Effect.fork(Effect.scoped(Effect.zipRight(Net.listen(address), Effect.never)))
    yield* Effect.repeatN(Effect.yieldNow(), steps)
    yield* Fiber.interrupt(listening)
  }
  yield* Net.listen(address)
})

const figuresStay: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* pair()
  const dialledFrom = String(client.localAddress)
  yield* writeIn(client, new Uint8Array(1000), 100)
  yield* client.close
  yield* drain(server)
  yield* server.close
  const [ofClient, ofServer] = yield* Effect.all([client.stats, server.stats])
  yield* equal(ofClient.bytesWritten, 1000, "bytes written")
  yield* equal(ofServer.bytesRead, 1000, "bytes read")
  yield* equal(ofClient.unsent + ofServer.unread, 0, "bytes left over")
  yield* equal(String(server.remoteAddress), dialledFrom, "the peer's address after the end")
  yield* equal(String(client.localAddress), dialledFrom, "the own address after the end")
})

const kyo = (name: string) => `kyo-net ${name}`

export const teardown = group("teardown", [
  { name: "close happens once under 100 racing closes", source: kyo("teardown-runs-exactly-once"), run: racingCloses },
  {
    name: "queued writes are flushed before the descriptor closes",
    source: kyo("queued-outbound-flushed-before-fd-close"),
    run: flushedFirst
  },
  {
    name: "undrained reads do not block the close, even of a peer that floods",
    source: kyo("undrained-inbound-does-not-block-fd-close"),
    run: floodedClose
  },
  {
    name: "a reply arrives whole though nothing of the request was read",
    source: "RFC 2525 2.17",
    run: replyToUnread(false)
  },
  {
    name: "a reply arrives whole though the request was read in part",
    source: "RFC 2525 2.17",
    run: replyToUnread(true)
  },
  {
    name: "writes go through after the peer's end of stream",
    source: kyo("write-after-peerfin"),
    run: writeAfterPeersEnd
  },
  { name: "closing a listener ends the accepts that wait", source: "Go net TestAcceptClose", run: acceptsEnd },
  {
    name: "an accepted connection outlives its listener, and nobody new comes in",
    source: "Pekko TcpSpec",
    run: outlivesListener
  },
  { name: "connections of the stream close with their listener", source: "Pekko TcpSpec", run: streamedConnections },
  { name: "a port is bound three times in a row", source: "fs2 SocketSuite", run: rebinds },
  { name: "a scope that fails closes its connection", source: "promise: scoped", run: scopeFails },
  {
    name: "a scope that is interrupted in a read closes its connection",
    source: "promise: scoped",
    run: scopeInterrupted
  },
  {
    name: "connects interrupted at any moment leave nothing open",
    source: "Bun: connect cannot be cancelled",
    run: interruptedConnects
  },
  { name: "listens interrupted at any moment leave the port free", source: "promise: scoped", run: interruptedListens },
  {
    name: "addresses and figures can be read after the end",
    source: "promise: addresses and figures",
    run: figuresStay
  }
])
