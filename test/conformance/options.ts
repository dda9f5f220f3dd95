/**
 * Addresses and options: both ends agree on who they are, ports mean what they say, and what was asked for is done or
 * refused. These properties are about TCP and use addresses of their own; a machine without IPv6 passes those about it.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import * as Net from "../../src/Net.ts"
import { type BindError, type ConnectError, InvalidOption } from "../../src/NetError.ts"
import { Network } from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import * as SocketAddress from "../../src/SocketAddress.ts"
import { check, equal, failsWith } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { drain, pair, resettablePair, text, whereThereIsOne } from "./support.ts"

const portOf = (address: SocketAddress.SocketAddress): number => SocketAddress.isInetAddress(address) ? address.port : 0

/** Both ends of a connection to this host, at a free port. */
const ends = (host: string, dialled = host, options: Net.ConnectOptions = {}) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ host, port: 0 })
    const client = yield* Net.connect({ host: dialled, port: portOf(listener.address) }, options)
    const server = yield* listener.accept
    return { listener, client, server }
  })

const agree: Draft["run"] = Effect.gen(function* () {
  const { client, listener, server } = yield* ends("127.0.0.1")
  yield* check(portOf(listener.address) > 0, "port 0 has not become a port")
  yield* equal(client.remoteAddress, listener.address, "where the client is connected to")
  yield* equal(server.localAddress, listener.address, "the server's own address")
  yield* equal(server.remoteAddress, client.localAddress, "who the client is")
  yield* equal((yield* Net.listen("127.0.0.1:0")).address === listener.address, false, "two listeners on one free port")
})

const overIpv6: Draft["run"] = whereThereIsOne(Effect.gen(function* () {
  const { client, listener, server } = yield* ends("::1")
  yield* equal(String(listener.address), `[::1]:${portOf(listener.address)}`, "the address as text")
  yield* equal(server.remoteAddress, client.localAddress, "who the client is")
}))

const dualStack: Draft["run"] = whereThereIsOne(Effect.gen(function* () {
  const { server } = yield* ends("::", "127.0.0.1")
  yield* equal(
    String(SocketAddress.unmap(server.remoteAddress)).split(":")[0],
    "127.0.0.1",
    "an IPv4 client of a listener on ::"
  )
}))

const ipv6Only: Draft["run"] = whereThereIsOne(Effect.gen(function* () {
  const six = yield* Net.listen({ host: "::", port: 0 }, { ipv6Only: true })
  const four = yield* Net.listen({ host: "0.0.0.0", port: portOf(six.address) })
  const client = yield* Net.connect({ host: "127.0.0.1", port: portOf(six.address) })
  const server = yield* four.accept
  yield* equal(server.remoteAddress, client.localAddress, "who the client of the IPv4 listener is")
}))

const byName: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* ends("127.0.0.1", "localhost")
  yield* client.write("hello")
  yield* equal(text(yield* server.readExactly(5)), "hello", "what came over a connection by name")
})

const inUse: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const { address } = yield* Scope.extend(Net.listen({ host: "127.0.0.1", port: 0 }), scope)
  const error = yield* failsWith(Effect.scoped(Net.listen(address)), "listening twice", "AddressInUse")
  yield* check(error.message.includes(String(address)), `the message names no address: ${error.message}`)
  yield* Scope.close(scope, Exit.void)
  yield* Net.listen(address)
})

const shared: Draft["run"] = Effect.gen(function* () {
  const first = yield* Net.listen({ host: "127.0.0.1", port: 0 }, { reusePort: true })
  const second = yield* Net.listen(first.address, { reusePort: true })
  yield* equal(second.address, first.address, "the shared address")
  const client = yield* Net.connect(first.address)
  const server = yield* Effect.raceFirst(first.accept, second.accept)
  yield* equal(server.remoteAddress, client.localAddress, "who the client is")
})

const bound: Draft["run"] = whereThereIsOne(Effect.gen(function* () {
  const port = portOf((yield* Effect.scoped(Net.listen("127.0.0.1:0"))).address)
  const { client, server } = yield* ends("127.0.0.1", "127.0.0.1", { localAddress: "127.0.0.2", localPort: port })
  yield* equal(String(client.localAddress), `127.0.0.2:${port}`, "the client's own address")
  yield* equal(String(server.remoteAddress), `127.0.0.2:${port}`, "the client's address as the server sees it")
}))

const abstractName: Draft["run"] = Effect.gen(function* () {
  const path = `\0effect-netkit-${Math.random()}`
  const listening = yield* Scope.make()
  const { accept, address } = yield* Scope.extend(Net.listen({ path }), listening)
  yield* equal(String(address), `unix:@${path.slice(1)}`, "the address as text")
  yield* failsWith(Effect.scoped(Net.listen(address)), "listening twice", "AddressInUse")
  const client = yield* Net.connect(address)
  const server = yield* accept
  yield* client.write("hello")
  yield* equal(text(yield* server.readExactly(5)), "hello", "what came")
  yield* Scope.close(listening, Exit.void)
  yield* failsWith(Effect.scoped(Net.connect(address)), "dialling a name that is free again", "ConnectionRefused")
})

const settings = (options: Net.SocketOptions): Draft["run"] =>
  Effect.gen(function* () {
    const { client, server } = yield* pair({ client: options, server: options })
    yield* Effect.forEach([true, false], (enabled) =>
      Effect.zipRight(client.setNoDelay(enabled), server.setNoDelay(enabled)))
    yield* client.write("hello")
    yield* equal(text(yield* server.readExactly(5)), "hello", "what came")
    yield* client.close
    yield* client.setNoDelay(true)
    yield* drain(server)
  })

const resets: Draft["run"] = Effect.gen(function* () {
  const { client, server } = yield* resettablePair
  yield* client.write("hello")
  yield* server.readExactly(5)
  yield* client.reset
  yield* failsWith(server.read, "reading from a peer that reset", "ConnectionReset")
})

const address = "127.0.0.1:9"

type Attempt = Effect.Effect<unknown, ConnectError | BindError, Network | Scope.Scope>

/** Every option and part of an address that can be wrong, with values that are. */
const wrong: ReadonlyArray<readonly [option: string, attempt: Attempt]> = [
  ...[70000, 1.5, -1, Number.NaN, Infinity].flatMap((port): ReadonlyArray<readonly [string, Attempt]> => [
    ["port", Net.connect({ host: "127.0.0.1", port })],
    ["port", Net.listen({ host: "127.0.0.1", port })],
    ["localPort", Net.connect(address, { localPort: port })]
  ]),
  ["port", Net.connect("127.0.0.1:0")],
  ["port", Net.connect("127.0.0.1:http")],
  ["host", Net.connect({ host: "", port: 1 })],
  ["host", Net.connect({ host: "no such host", port: 1 })],
  ["host", Net.listen({ host: "1.2.3.4.5", port: 1 })],
  ["address", Net.connect("::1")],
  ["path", Net.listen({ path: "" })],
  ["path", Net.connect({ path: "x".repeat(108) })],
  ["path", Net.listen({ path: "é".repeat(54) })],
  ["mode", Net.listen({ path: "x" }, { mode: 0o1000 })],
  ["mode", Net.listen(address, { mode: 0o600 })],
  ["localAddress", Net.connect(address, { localAddress: "somewhere" })],
  ...[-1, Number.NaN, 0, 1.5].flatMap((size): ReadonlyArray<readonly [string, Attempt]> => [
    ["readBuffer", Net.connect(address, { readBuffer: size })],
    ["writeBuffer", Net.listen(address, { writeBuffer: size })],
    ["backlog", Net.listen(address, { backlog: size })],
    ["maxConnections", Server.serve(Server.make({ listen: address, handler: () => Effect.void, maxConnections: size }))]
  ]),
  ...([-1, Number.NaN, "-1 second", -1n, [-1, 0], null as never] as const).flatMap((
    time
  ): ReadonlyArray<readonly [string, Attempt]> => [
    ["connectTimeout", Net.connect(address, { connectTimeout: time })],
    ["readTimeout", Net.connect(address, { readTimeout: time })],
    ["writeTimeout", Net.listen(address, { writeTimeout: time })],
    ["closeTimeout", Net.listen(address, { closeTimeout: time })],
    ["drainTimeout", Server.serve(Server.make({ listen: address, handler: () => Effect.void, drainTimeout: time }))]
  ]),
  // Of another type, as programs without types give them.
  ...[null, "x", Symbol.iterator].flatMap((value): ReadonlyArray<readonly [string, Attempt]> => [
    ["noDelay", Net.connect(address, { noDelay: value as never })],
    ["keepAlive", Net.connect(address, { keepAlive: value as never })],
    ["resettable", Net.connect(address, { resettable: value as never })],
    ["localAddress", Net.connect(address, { localAddress: value as never })],
    ["retry", Net.connect(address, { retry: value as never })],
    ["reusePort", Net.listen(address, { reusePort: value as never })],
    ["ipv6Only", Net.listen(address, { ipv6Only: value as never })],
    ...(["acceptRate", "minThroughput", "allow", "deny", "writeTimeout"] as const).map((option) =>
      [
        option,
        Server.serve(Server.make({ listen: address, handler: () => Effect.void, [option]: value as never }))
      ] as const
    )
  ])
]

const refusedEarly: Draft["run"] = Effect.gen(function* () {
  const transport = yield* Network
  let asked = 0
  const untouched = { ...transport, connect: () => (asked++, () => {}), listen: () => (asked++, () => {}) }
  for (const [option, attempt] of wrong) {
    const error = yield* failsWith(
      Effect.provideService(attempt, Network, untouched),
      `a wrong ${option}`,
      "InvalidOption"
    )
    yield* equal(
      error instanceof InvalidOption ? error.option : undefined,
      option,
      `the option that ${error.message} names`
    )
    yield* equal(asked, 0, `requests to the transport before the ${option} was checked`)
  }
})

const badCounts: Draft["run"] = Effect.gen(function* () {
  const { client } = yield* pair()
  const wrongly = (use: Effect.Effect<unknown, unknown>) => Effect.flip(Effect.sandbox(use)).pipe(Effect.map(String))
  for (const n of [-1, 1.5, Number.NaN]) {
    yield* check((yield* wrongly(client.readExactly(n))).includes("not a number of bytes"), `readExactly(${n})`)
  }
  yield* check((yield* wrongly(client.readUntil(""))).includes("at least one byte"), "readUntil without a delimiter")
})

export const options = group("options", [
  { name: "both ends agree on their addresses", source: "fs2 SocketSuite addresses match", run: agree },
  { name: "IPv6 loopback works and is written in brackets", source: "RFC 5952", run: overIpv6 },
  { name: "a listener on :: serves IPv4 clients", source: "RFC 3493 5.3", run: dualStack },
  { name: "ipv6Only leaves the port to IPv4", source: "RFC 3493 5.3", needs: ["ipv6Only"], run: ipv6Only },
  { name: "a name is looked up", source: "getaddrinfo(3)", run: byName },
  { name: "a port is taken once, and free after", source: "fs2 SocketSuite errors", run: inUse },
  { name: "reusePort shares a port", source: "socket(7) SO_REUSEPORT", needs: ["reusePort"], run: shared },
  { name: "a client is bound where it asked", source: "bind(2)", needs: ["localAddress"], run: bound },
  { name: "an abstract name is no file", source: "unix(7)", needs: ["unixAbstract"], run: abstractName },
  {
    name: "noDelay can be switched, also too late",
    source: "fs2 SocketSuite options",
    run: settings({ noDelay: false })
  },
  { name: "keepAlive with the system's delay", source: "RFC 1122 4.2.3.6", run: settings({ keepAlive: true }) },
  {
    name: "keepAlive with a delay of its own",
    source: "tcp(7) TCP_KEEPIDLE",
    needs: ["keepAliveDelay"],
    run: settings({ keepAlive: "1 minute" })
  },
  {
    name: "a reset is seen as a reset",
    source: "libuv/libuv#4997, and Deno has no linger",
    needs: ["reset", "resetVisible"],
    run: resets
  },
  { name: "wrong options are named before the transport is asked", source: "promise: typed errors", run: refusedEarly },
  { name: "wrong counts of bytes are named", source: "promise: typed errors", run: badCounts }
])
