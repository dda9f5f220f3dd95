/**
 * Datagram sockets and those at the other end: one peer or anyone, groups, broadcast, sharers of a port.
 * An error of one peer is nobody else's. Options are taken, or named where they are wrong.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { InvalidOption } from "../../src/NetError.ts"
import { Network } from "../../src/Network.ts"
import * as Udp from "../../src/Udp.ts"
import * as UdpServer from "../../src/UdpServer.ts"
import { equal, failsWith } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { local, nothing, pause, said, take, text, two, yieldAll } from "./support.ts"

/** An address that nobody is bound to; that somebody takes it meanwhile is unlikely. */
const deserted = Effect.map(Effect.scoped(Udp.bind(local)), ({ address }) => address)

const connected: Draft["run"] = Effect.gen(function* () {
  const [peer, stranger] = yield* two()
  const socket = yield* Udp.connect(peer.address)
  yield* equal(socket.remoteAddress, peer.address, "the peer")
  yield* socket.send("hello")
  const { bytes, from } = yield* peer.receive
  yield* equal(text(bytes), "hello", "what the peer got")
  yield* equal(from, socket.address, "the address that the peer sees")
  yield* stranger.send("stranger", from)
  yield* peer.sendMany([["one", from], ["two", from]])
  yield* equal(said(yield* take(socket, 2)), "one,two", "what came from the peer")
  yield* nothing(socket, "after a stranger wrote")
  yield* socket.sendMany(["x", "y"])
  yield* equal(said(yield* take(peer, 2)), "x,y", "what the peer got of many")
})

const oneRefuses: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two()
  const dead = yield* deserted
  for (let i = 0; i < 100; i++) {
    yield* a.send("nobody", dead)
    if (i % 10 === 0) yield* pause(1)
    yield* a.send(String(i), b.address)
  }
  const mixed = Array.from({ length: 100 }, (_, i) => [String(100 + i), i % 2 === 0 ? b.address : dead] as const)
  yield* a.sendMany(mixed)
  const expected = [...Array.from({ length: 100 }, (_, i) => i), ...Array.from({ length: 50 }, (_, i) => 100 + 2 * i)]
  yield* equal(said(yield* take(b, 150)), expected.join(), "what the peer got that is there")
  yield* b.send("back", a.address)
  yield* equal(text((yield* a.receive).bytes), "back", "what came back")
})

const refused: Draft["run"] = Effect.gen(function* () {
  const dead = yield* deserted
  const socket = yield* Udp.connect(dead)
  const refusedOnce = Effect.gen(function* () {
    const waiting = yield* Effect.fork(socket.receive)
    yield* yieldAll
    yield* socket.send("anybody?")
    yield* failsWith(Fiber.join(waiting), "a receive from nobody", "ConnectionRefused")
  })
  yield* Effect.replicateEffect(refusedOnce, 3)
  yield* failsWith(Udp.request(socket, "anybody?"), "a request to nobody", "ConnectionRefused")
  const before = (yield* socket.stats).errors
  yield* Effect.retry(socket.send("anybody?"), { times: 3 })
  yield* Effect.repeat(Effect.zipRight(pause(1), socket.stats), { until: ({ errors }) => errors > before })
  yield* failsWith(socket.send("anybody?"), "a send after the refusal", "ConnectionRefused")
  const peer = yield* Udp.bind(dead)
  yield* Effect.retry(socket.send("hello"), { times: 3 })
  yield* peer.send("welcome", (yield* peer.receive).from)
  yield* equal(
    text((yield* Effect.retry(socket.receive, { times: 3 })).bytes),
    "welcome",
    "what came from the peer when it was there"
  )
})

const membership: Draft["run"] = Effect.gen(function* () {
  const group = "239.255.77.1"
  const sender = yield* Udp.bind(local, { multicastInterface: "127.0.0.1", multicastTtl: 1, multicastLoopback: true })
  const member = yield* Udp.bind({ host: "0.0.0.0", port: 0 }, { reuseAddress: true })
  const to = { host: group, port: member.address.port }
  const scope = yield* Scope.make()
  yield* Scope.extend(member.joinMulticast(group, { interface: "127.0.0.1" }), scope)
  yield* sender.send("to the group", to)
  yield* equal(text((yield* member.receive).bytes), "to the group", "what a member got")
  yield* failsWith(
    Effect.scoped(member.joinMulticast(group, { interface: "127.0.0.1" })),
    "joining twice",
    "InvalidOption"
  )
  yield* Scope.close(scope, Exit.void)
  yield* sender.send("to nobody", to)
  yield* nothing(member, "once the group is left")
  yield* Effect.scoped(Effect.gen(function* () {
    yield* member.joinMulticast(group, { interface: "127.0.0.1" })
    yield* sender.send("again", to)
    yield* equal(text((yield* member.receive).bytes), "again", "what a member got that has joined again")
  }))
})

const broadcast: Draft["run"] = Effect.gen(function* () {
  const everyone = "255.255.255.255"
  const sender = yield* Udp.bind({ host: "0.0.0.0", port: 0 })
  yield* failsWith(sender.send("x", { host: everyone, port: 9 }), "broadcast without the option", "PermissionDenied")
  const receiver = yield* Udp.bind({ host: "0.0.0.0", port: 0 })
  yield* sender.configure({ broadcast: true })
  yield* sender.send("to all", { host: "127.255.255.255", port: receiver.address.port })
  yield* equal(text((yield* receiver.receive).bytes), "to all", "what came by broadcast")
})

const shared = (options: Udp.UdpOptions): Draft["run"] =>
  Effect.gen(function* () {
    const first = yield* Udp.bind({ host: "0.0.0.0", port: 0 }, options)
    const second = yield* Udp.bind(first.address, options)
    yield* equal(second.address, first.address, "the shared address")
    yield* failsWith(Effect.scoped(Udp.bind(first.address)), "a third that does not share", "AddressInUse")
    const sender = yield* Udp.bind(local)
    yield* sender.send("hello", first.address)
    const { bytes } = yield* Effect.raceFirst(first.receive, second.receive)
    yield* equal(text(bytes), "hello", "what one of the two got")
  })

const wrong: ReadonlyArray<readonly [option: string, attempt: Effect.Effect<unknown, unknown, Network | Scope.Scope>]> =
  [
    ["port", Udp.bind({ port: 70000 })],
    ["port", Udp.connect({ port: 0 })],
    ["address", Udp.bind({ path: "/tmp/x" })],
    ["address", Udp.bind("nonsense")],
    ["overflow", Udp.bind(local, { overflow: "drop-all" as never })],
    ["multicastInterface", Udp.bind(local, { multicastInterface: "" })],
    ["localAddress", Udp.connect("127.0.0.1:9", { localAddress: "somewhere" })],
    ["localAddress", Udp.connect("127.0.0.1:9", { localAddress: "::1" })],
    ["localAddress", Udp.connect("[::1]:9", { localAddress: "127.0.0.1" })],
    ["localPort", Udp.connect("127.0.0.1:9", { localPort: -1 })],
    ["concurrency", UdpServer.make({ listen: local, handler: () => {}, concurrency: 0 }).serve],
    ["drainTimeout", UdpServer.make({ listen: local, handler: () => {}, drainTimeout: -1 }).serve],
    ...[-1, 0, Number.NaN, 1.5].flatMap((value) =>
      (["capacity", "capacityBytes", "recvBufferSize", "sendBufferSize", "ttl", "multicastTtl"] as const)
        .map((option) => [option, Udp.bind(local, { [option]: value })] as const)
    ),
    ...(["broadcast", "multicastLoopback", "reuseAddress", "reusePort", "ipv6Only"] as const)
      .map((option) => [option, Udp.bind(local, { [option]: "no" as unknown as boolean })] as const)
  ]

const named: Draft["run"] = Effect.gen(function* () {
  const transport = yield* Network
  const untouched = { ...transport, bindDatagram: () => () => {} }
  for (const [option, attempt] of wrong) {
    const error = yield* failsWith(
      Effect.provideService(attempt, Network, untouched),
      `a wrong ${option}`,
      "InvalidOption"
    )
    yield* equal(error instanceof InvalidOption ? error.option : undefined, option, "the option that the error names")
  }
  const socket = yield* Udp.bind(local)
  for (const group of ["127.0.0.1", "ff02::1", "nonsense"]) {
    yield* failsWith(Effect.scoped(socket.joinMulticast(group)), `joining ${group}`, "InvalidOption")
  }
  yield* failsWith(
    Effect.scoped(socket.joinMulticast("239.1.2.3", { interface: "no-such-0" })),
    "no such interface",
    "InvalidOption"
  )
  yield* failsWith(
    Effect.scoped(Udp.bind(local, { multicastInterface: "no-such-0" })),
    "no such interface",
    "InvalidOption"
  )
  yield* failsWith(socket.send("x", { port: 0 }), "sending to port 0", "InvalidOption")
  yield* failsWith(socket.send("x", "/tmp/x"), "sending to a path", "InvalidOption")
})

const buffers: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two({ recvBufferSize: 65536, sendBufferSize: 65536 })
  yield* b.send("buffered", a.address)
  yield* equal(text((yield* a.receive).bytes), "buffered", "what came")
})

const settings: Draft["run"] = Effect.gen(function* () {
  const [a, b] = yield* two({ ttl: 3, multicastTtl: 2, multicastLoopback: true, broadcast: true })
  yield* b.configure({ ttl: 64, broadcast: false, multicastTtl: 255 })
  yield* b.send("configured", a.address)
  yield* equal(text((yield* a.receive).bytes), "configured", "what came")
})

export const datagramPeers = group(
  "datagram peers",
  [
    { name: "a connected socket hears its peer alone", source: "turmoil udp wrong-peer filtering", run: connected },
    { name: "a peer that refuses disturbs no other", source: "measured", run: oneRefuses },
    {
      name: "a refusal is told, again and again, and ends nothing",
      source: "measured",
      needs: ["datagramErrors"],
      run: refused
    },
    { name: "a group is left with its scope", source: "fs2 UdpSuite multicast", run: membership },
    { name: "broadcast wants its option", source: "measured", run: broadcast },
    { name: "reuseAddress shares a port", source: "measured", run: shared({ reuseAddress: true }) },
    {
      name: "reusePort shares a port",
      source: "measured",
      needs: ["datagramReusePort"],
      run: shared({ reusePort: true })
    },
    { name: "options are taken", source: "tokio udp", run: settings },
    { name: "sizes of buffers are taken, or refused", source: "measured", needs: ["datagramBuffers"], run: buffers },
    { name: "wrong options are named before the transport is asked", source: "promise: bounded", run: named }
  ],
  "30 seconds",
  ["datagram"]
)
