/**
 * Datagram sockets: what arrives is whole and says from whom, what waits is bounded and what is dropped is counted, and
 * whatever becomes of a peer, a receiver or a port, the socket lives on for the others. On the loopback nothing is lost
 * that was not dropped here, as long as no more is under way than a kernel holds.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DatagramError } from "../../src/NetError.ts"
import { Network } from "../../src/Network.ts"
import type { InetAddress } from "../../src/SocketAddress.ts"
import * as Udp from "../../src/Udp.ts"
import type { UdpSocket } from "../../src/UdpSocket.ts"
import { check, equal, fail, failsWith, sameBytes, wasInterrupted } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { Gauges, local, pattern, pause, take, text, two, yieldAll } from "./support.ts"

/** Sends them a few at a time, and gives the receiving side's runtime a turn after each batch. */
const sendAll = (socket: UdpSocket, to: InetAddress, messages: ReadonlyArray<Uint8Array | string>) =>
  Effect.iterate(0, {
    while: (at) => at < messages.length,
    body: (at) =>
      socket.sendMany(messages.slice(at, at + 16).map((message) => [message, to] as const)).pipe(
        Effect.zipRight(turn),
        Effect.as(at + 16)
      )
  })

const turn = Effect.flatMap(
  Network,
  ({ afterPoll }) => Effect.async<void>((resume) => afterPoll(() => resume(Effect.void)))
)

/** Until everything that has been sent to it is here. */
const received = (socket: UdpSocket, count: number) =>
  Effect.gen(function* () {
    for (let round = 0; (yield* socket.stats).received < count; round++) {
      if (round === 500) return yield* fail(`${(yield* socket.stats).received} of ${count} datagrams arrived`)
      yield* pause(10)
    }
  })

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => String(from + i))

const borders: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  for (const size of [1, 0, 512, 1472, 0, 9000, 65507]) {
    const bytes = pattern(size, size)
    yield* a.send(bytes, b.address)
    const datagram = yield* b.receive
    yield* sameBytes(datagram.bytes, bytes, `a datagram of ${size} bytes`)
    yield* equal(datagram.from, a.address, "its sender")
    yield* equal(datagram.truncated, false, "truncated")
    yield* equal(datagram.bytes.constructor === Uint8Array, true, "a plain Uint8Array")
  }
})

const order: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const receiving = yield* Effect.fork(take(b, 2000))
  yield* sendAll(a, b.address, numbers(2000))
  const all = yield* Fiber.join(receiving)
  for (const [i, { bytes }] of all.entries()) yield* equal(text(bytes), String(i), `datagram ${i}`)
  yield* equal((yield* b.stats).dropped, 0, "dropped")
})

const own: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const bytes = pattern(100)
  yield* a.send(bytes, b.address)
  yield* a.send(bytes, b.address)
  const [first, second] = yield* take(b, 2)
  first!.bytes.fill(0)
  yield* sameBytes(second!.bytes, pattern(100), "what another datagram holds")
  yield* sameBytes(bytes, pattern(100), "what the sender holds")
})

const tooLarge: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const error = yield* failsWith(a.send(new Uint8Array(65508), b.address), "65508 bytes over IPv4", "MessageTooLarge")
  yield* equal(error._tag === "MessageTooLarge" && `${error.size} ${error.limit}`, "65508 65507", "size and limit")
  yield* failsWith(
    a.sendMany([["first", b.address], [new Uint8Array(70_000), b.address]]),
    "one too large of two",
    "MessageTooLarge"
  )
  yield* a.send("next", b.address)
  yield* equal(text((yield* b.receive).bytes), "next", "what came after those that were too large")
})

const overIpv6: Draft["run"] = Effect.gen(function* () {
  const opened = yield* Effect.either(Udp.bind({ host: "::", port: 0 }))
  // A machine without IPv6.
  if (opened._tag === "Left") return
  const six = opened.right
  const [a, b] = [yield* Udp.bind({ host: "::1", port: 0 }), yield* Udp.bind(local)]
  yield* six.send(pattern(65527), a.address)
  yield* sameBytes((yield* a.receive).bytes, pattern(65527), "the largest datagram over IPv6")
  yield* failsWith(six.send(new Uint8Array(65528), a.address), "65528 bytes over IPv6", "MessageTooLarge")
  yield* b.send("ping", { host: "127.0.0.1", port: six.address.port })
  yield* six.send("pong", (yield* six.receive).from)
  yield* equal(text((yield* b.receive).bytes), "pong", "the answer of an IPv6 socket to IPv4")
  yield* six.send("plain", b.address)
  yield* equal(text((yield* b.receive).bytes), "plain", "what an IPv6 socket sends to an IPv4 address")
  yield* failsWith(b.send("x", a.address), "IPv4 to IPv6", "InvalidOption")
})

const byName: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const to = { host: "localhost", port: b.address.port }
  yield* a.sendMany([["one", to], ["two", b.address]])
  yield* equal(
    (yield* take(b, 2)).map(({ bytes }) => text(bytes)).join(),
    "one,two",
    "what came by name and by address"
  )
  yield* failsWith(a.send("x", "no-such-host.invalid:9"), "sending to no host", "NameNotFound")
})

const flood: Draft["run"] = Effect.gen(function* () {
  const { memory = Effect.succeed(0) } = yield* Gauges
  const [a, b] = yield* two()
  const before = yield* memory
  const batch = Array.from({ length: 50 }, () => [new Uint8Array(4096), b.address] as const)
  yield* Effect.repeatN(Effect.zipRight(a.sendMany(batch), turn), 1999)
  const { dropped, queued, queuedBytes, received } = yield* b.stats
  yield* equal((yield* a.stats).sent, 100_000, "sent")
  yield* check(received > 10_000, () => `${received} of 100000 arrived`)
  yield* check(
    queued <= 1024 && queuedBytes <= 4 * 1024 * 1024,
    () => `${queued} datagrams of ${queuedBytes} bytes wait`
  )
  yield* equal(dropped, received - queued, "dropped")
  const grown = ((yield* memory) - before) / 1024 / 1024
  yield* check(grown < 160, () => `${Math.round(grown)} MiB more after a flood of ${received * 4} KiB`)
  yield* take(b, queued)
  yield* a.send("alive", b.address)
  yield* equal(text((yield* b.receive).bytes), "alive", "what came after the flood")
})

const dropOldest: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two({ capacity: 10 })
  yield* sendAll(a, b.address, numbers(25))
  yield* received(b, 25)
  const { dropped, queued } = yield* b.stats
  yield* equal(`${dropped} ${queued}`, "15 10", "dropped and queued")
  yield* equal((yield* take(b, 10)).map(({ bytes }) => text(bytes)).join(), numbers(10, 15).join(), "what is left")
})

const dropNewest: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two({ capacityBytes: 30, overflow: "drop-newest" })
  yield* sendAll(a, b.address, ["0123456789", "0123456789", "0123456789", "x", "x".repeat(100)])
  yield* received(b, 5)
  const { dropped, queued, queuedBytes } = yield* b.stats
  yield* equal(`${dropped} ${queued} ${queuedBytes}`, "2 3 30", "dropped, queued and their bytes")
  yield* take(b, 3)
  yield* a.send("y", b.address)
  yield* equal(text((yield* b.receive).bytes), "y", "what came when there was room again")
})

const closeDuring: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const waiting = yield* Effect.fork(b.receive)
  const streaming = yield* Effect.fork(Stream.runCount(b.datagrams))
  yield* yieldAll
  yield* b.close
  yield* failsWith(Fiber.join(waiting), "a receive during the close", "ConnectionClosed")
  yield* equal(yield* Fiber.join(streaming), 0, "datagrams of the stream, which ends")
  yield* failsWith(b.receive, "a receive after the close", "ConnectionClosed")
  yield* failsWith(b.send("x", a.address), "a send after the close", "ConnectionClosed")
  yield* failsWith(b.configure({ broadcast: true }), "an option after the close", "ConnectionClosed")
  yield* failsWith(Effect.scoped(b.joinMulticast("239.1.2.3")), "a group after the close", "ConnectionClosed")
  yield* b.close
})

const closeWhileSending: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const sending = yield* Effect.forEach(numbers(200), (text) => Effect.fork(Effect.exit(a.send(text, b.address))))
  yield* Effect.yieldNow()
  yield* a.close
  for (const exit of yield* Fiber.join(Fiber.all(sending))) {
    if (Exit.isFailure(exit)) {
      yield* failsWith(exit as Exit.Exit<void, DatagramError>, "a send during the close", "ConnectionClosed")
    }
  }
})

const rebinding: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const { address } = yield* Scope.extend(Udp.bind(local), scope)
  const error = yield* failsWith(Effect.scoped(Udp.bind(address)), "a port twice", "AddressInUse")
  yield* check(error.message.includes(String(address)), `the message names no address: ${error.message}`)
  yield* Scope.close(scope, Exit.void)
  for (let i = 0; i < 20; i++) yield* Effect.scoped(Udp.bind(address))
})

const interruption: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const bystander = yield* Effect.fork(b.receive)
  yield* yieldAll
  for (let i = 0; i < 50; i++) {
    const waiting = yield* Effect.fork(b.receive)
    yield* yieldAll
    yield* wasInterrupted(yield* Fiber.interrupt(waiting), "an interrupted receive")
  }
  yield* sendAll(a, b.address, numbers(10))
  yield* equal(text((yield* Fiber.join(bystander)).bytes), "0", "what the receive got that was not interrupted")
  yield* equal((yield* take(b, 9)).map(({ bytes }) => text(bytes)).join(), numbers(9, 1).join(), "what the others got")
})

const abandoned: Draft["run"] = Effect.gen(function* () {
  const { address } = yield* Effect.scoped(Udp.bind(local))
  for (let i = 0; i < 20; i++) {
    const opening = yield* Effect.fork(Effect.scoped(Effect.zipRight(Udp.bind(address), Effect.never)))
    if (i % 2 === 0) yield* Effect.yieldNow()
    yield* Fiber.interrupt(opening)
  }
  yield* Effect.retry(
    Effect.scoped(Udp.bind(address)),
    Schedule.intersect(Schedule.spaced("10 millis"), Schedule.recurs(100))
  )
})

const noDescriptors: Draft["run"] = Effect.gen(function* () {
  const { descriptors = Effect.succeed(0) } = yield* Gauges
  const round = Effect.scoped(Effect.flatMap(two(), ([a, b]) => Effect.zipRight(a.send("x", b.address), b.receive)))
  yield* round
  yield* pause(50)
  const before = yield* descriptors
  yield* Effect.replicateEffect(round, 200, { concurrency: 10, discard: true })
  let after = yield* descriptors
  for (let i = 0; i < 100 && after > before; i++) after = yield* Effect.zipRight(pause(20), descriptors)
  yield* check(after <= before, () => `${after - before} descriptors more than the ${before} before`)
})

export const datagram = group(
  "datagrams",
  [
    { name: "a datagram arrives whole, alone, and with its sender", source: "fs2 UdpSuite echo one", run: borders },
    { name: "on the loopback nothing is lost or overtaken", source: "fs2 UdpSuite echo lots", run: order },
    { name: "bytes belong to who receives them", source: "seam", run: own },
    {
      name: "too large a datagram is told with size and limit, before anything is sent",
      source: "RFC 768",
      run: tooLarge
    },
    { name: "IPv6 carries more, and answers IPv4", source: "measured", run: overIpv6 },
    { name: "a name is looked up", source: "measured", run: byName },
    { name: "a flood is bounded, counted and survived", source: "promise: bounded", run: flood },
    { name: "drop-oldest keeps the last to come", source: "Effect 4 DatagramSocket sliding", run: dropOldest },
    {
      name: "drop-newest keeps the first, bytes are bounded too",
      source: "Effect 4 DatagramSocket dropping",
      run: dropNewest
    },
    { name: "a close ends who waits", source: "tokio udp", run: closeDuring },
    { name: "a close settles who sends", source: "measured", run: closeWhileSending },
    { name: "a port is taken once, and free after", source: "fs2 SocketSuite released", run: rebinding },
    { name: "an interrupted receive loses nothing", source: "promise: bounded", run: interruption },
    { name: "an interrupted bind leaves the port free", source: "turmoil-net cancel", run: abandoned },
    { name: "no descriptor is left behind", source: "measured", run: noDescriptors }
  ],
  "60 seconds",
  ["datagram"]
)
