/**
 * What is measured: the shapes of load, what is said in them, and the servers that bear them.
 */
export const runtimes = ["node", "deno", "bun"] as const
export type Runtime = typeof runtimes[number]

/**
 * What a server speaks: it sends every byte back, or every line, or every frame after a 4-byte length; or it is a
 * Redis; or it sends every datagram back, or counts them.
 */
export type Protocol = "echo" | "lines" | "frames" | "resp" | "udp-echo" | "udp-sink"

/** How a server is loaded: by connections or datagrams that are answered, or by datagrams as fast as can be. */
export type LoadKind = "streams" | "datagrams" | "flood"

export interface Case {
  readonly name: string
  readonly title: string
  readonly protocol: Protocol
  readonly load: LoadKind
  /** Connections; of datagrams, the sockets that they come from. */
  readonly connections: number
  /** One message, and what must come back for it; as latin1. */
  readonly request: string
  readonly reply: string
  /** What is said once before, and what must come back for that. */
  readonly before?: { readonly request: string; readonly reply: string }
  /** Messages that each connection has under way. Of datagrams a power of 2. */
  readonly inFlight: number
  /** Every message on a connection of its own, closed when the reply is there; `connections` at a time. */
  readonly connectEach: boolean
  /** The most that this SDK's CPU time may be, as a multiple of the raw runtime's. */
  readonly aim: number
}

const bytes = (size: number) => ({ request: "a".repeat(size), reply: "a".repeat(size) }) as const
const echo = (size: number) => ({ protocol: "echo", load: "streams", ...bytes(size) }) as const

const line = `${"a".repeat(63)}\n`
const frame = `\0\0\0\x3c${"a".repeat(60)}`
const command = (...words: ReadonlyArray<string>): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`
const key = "key:000000000042"

const busy = { load: "streams", connections: 50, inFlight: 16, connectEach: false, aim: 1.3 } as const

export const cases: ReadonlyArray<Case> = [
  {
    name: "single",
    title: "1 connection, 64 bytes there and back",
    ...echo(64),
    connections: 1,
    inFlight: 1,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "many",
    title: "50 connections, 64 bytes there and back",
    ...echo(64),
    connections: 50,
    inFlight: 1,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "pipelined",
    title: "50 connections, 16 messages of 64 bytes under way on each",
    ...echo(64),
    connections: 50,
    inFlight: 16,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "bulk",
    title: "4 connections, 4 messages of 64 KiB under way on each",
    ...echo(65536),
    connections: 4,
    inFlight: 4,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "connect",
    title: "connect, 64 bytes there and back, close; 8 at a time",
    ...echo(64),
    connections: 8,
    inFlight: 1,
    connectEach: true,
    aim: 2.2
  },
  {
    name: "lines",
    title: "lines of 64 bytes, 50 connections, 16 under way on each",
    protocol: "lines",
    request: line,
    reply: line,
    ...busy
  },
  {
    name: "frames",
    title: "60 bytes after a 4-byte length, 50 connections, 16 under way on each",
    protocol: "frames",
    request: frame,
    reply: frame,
    ...busy
  },
  {
    name: "frames-single",
    title: "60 bytes after a 4-byte length, 50 connections, one by one",
    protocol: "frames",
    request: frame,
    reply: frame,
    ...busy,
    inFlight: 1
  },
  {
    name: "resp-ping",
    title: "RESP: PING, as redis-benchmark -P 16",
    protocol: "resp",
    request: command("PING"),
    reply: "+PONG\r\n",
    ...busy
  },
  {
    name: "resp-set",
    title: "RESP: SET of 3 bytes, as redis-benchmark -P 16",
    protocol: "resp",
    request: command("SET", key, "xxx"),
    reply: "+OK\r\n",
    ...busy
  },
  {
    name: "resp-get",
    title: "RESP: GET of 3 bytes, as redis-benchmark -P 16",
    protocol: "resp",
    request: command("GET", key),
    reply: "$3\r\nxxx\r\n",
    before: { request: command("SET", key, "xxx"), reply: "+OK\r\n" },
    ...busy
  },
  {
    name: "udp-echo",
    title: "datagrams of 64 bytes there and back, 8 under way from each of 8 sockets",
    protocol: "udp-echo",
    load: "datagrams",
    ...bytes(64),
    connections: 8,
    inFlight: 8,
    connectEach: false,
    aim: 1.2
  },
  {
    name: "udp-sink",
    title: "datagrams of 64 bytes one way, as fast as can be, from 4 sockets",
    protocol: "udp-sink",
    load: "flood",
    ...bytes(64),
    connections: 4,
    inFlight: 1,
    connectEach: false,
    aim: 1.2
  }
]

export const caseNamed = (name: string): Case => cases.find((each) => each.name === name)!

/** A server under test. `raw` is what the others of its runtime are compared with. */
export interface Contender {
  readonly runtime: Runtime
  readonly kind: "raw" | "loaded" | "netkit" | "peer"
  readonly title: string
  readonly protocols: ReadonlyArray<Protocol>
  /** The program under `servers/`. It is told the protocol. */
  readonly server: string
  /** The only case that it is for; all of its protocols' where this is left out. */
  readonly only?: string
  /** What the runtime is told besides. */
  readonly flags?: ReadonlyArray<string>
}

const framed: ReadonlyArray<Protocol> = ["lines", "frames"]
const datagrams: ReadonlyArray<Protocol> = ["udp-echo", "udp-sink"]
const ownDatagrams = (runtime: Runtime): ReadonlyArray<Contender> => [
  { runtime, kind: "netkit", title: "UdpServer", protocols: datagrams, server: "udp" },
  { runtime, kind: "netkit", title: "Udp.bind", protocols: datagrams, server: "udpLoop" }
]

export const contenders: ReadonlyArray<Contender> = [
  { runtime: "node", kind: "raw", title: "node:net", protocols: ["echo"], server: "rawNode" },
  {
    runtime: "node",
    kind: "loaded",
    title: "node:net, effect loaded",
    protocols: ["echo"],
    server: "rawNodeLoaded",
    only: "bulk"
  },
  { runtime: "node", kind: "netkit", title: "effect-netkit", protocols: ["echo"], server: "netkit" },
  { runtime: "node", kind: "peer", title: "@effect/platform-node", protocols: ["echo"], server: "platform" },
  { runtime: "deno", kind: "raw", title: "Deno.listen", protocols: ["echo"], server: "rawDeno" },
  { runtime: "deno", kind: "netkit", title: "effect-netkit", protocols: ["echo"], server: "netkit" },
  { runtime: "bun", kind: "raw", title: "Bun.listen", protocols: ["echo"], server: "rawBun" },
  { runtime: "bun", kind: "netkit", title: "effect-netkit", protocols: ["echo"], server: "netkit" },
  { runtime: "node", kind: "raw", title: "node:net, split by hand", protocols: framed, server: "rawFramed" },
  { runtime: "node", kind: "netkit", title: "FramedServer", protocols: framed, server: "framed" },
  { runtime: "node", kind: "raw", title: "node:net, parsed by hand", protocols: ["resp"], server: "rawResp" },
  { runtime: "node", kind: "netkit", title: "FramedServer", protocols: ["resp"], server: "resp" },
  { runtime: "node", kind: "raw", title: "node:dgram", protocols: datagrams, server: "udpNode" },
  ...ownDatagrams("node"),
  { runtime: "deno", kind: "raw", title: "node:dgram", protocols: datagrams, server: "udpNode" },
  {
    runtime: "deno",
    kind: "peer",
    title: "Deno.listenDatagram",
    protocols: datagrams,
    server: "udpDeno",
    flags: ["--unstable-net"]
  },
  ...ownDatagrams("deno"),
  { runtime: "bun", kind: "raw", title: "Bun.udpSocket", protocols: datagrams, server: "udpBun" },
  ...ownDatagrams("bun")
]

/** One measurement. What the system does not tell, or the load does not know, is `null`. */
export interface Sample {
  /** Messages a second, as seen by the clients. */
  readonly rate: number
  /** Microseconds of the server's CPU time a message, all its threads together. */
  readonly cost: number | null
  /** Milliseconds from sending a message until its reply is there. */
  readonly p50: number | null
  readonly p99: number | null
  /** The part of all CPUs that went to neither server nor load. */
  readonly others: number | null
  /** The part of all datagrams that were not answered or not received. */
  readonly lost?: number
}
