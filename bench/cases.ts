/**
 * What is measured: the shapes of load, what is said in them, and the servers that bear them.
 */
export const runtimes = ["node", "deno", "bun"] as const
export type Runtime = typeof runtimes[number]

/**
 * What a server speaks: it sends every byte back, also by its view as a stream, or every line, or every frame after a
 * 4-byte length; or it is a Redis; or it passes all on to a server that sends it back; or it sends every datagram back,
 * or counts them, or is a name server.
 */
export type Protocol = "echo" | "stream" | "lines" | "frames" | "resp" | "relay" | "udp-echo" | "udp-sink" | "dns"

/**
 * How a server is loaded, and so what it costs: by connections or datagrams that are answered, by datagrams as fast as
 * can be, by connections that are open and idle, or by the first connection after its start.
 */
export const loads = {
  streams: { cost: "CPU µs/message", fresh: false },
  datagrams: { cost: "CPU µs/message", fresh: false },
  flood: { cost: "CPU µs/message", fresh: false },
  idle: { cost: "bytes/connection", fresh: true },
  start: { cost: "CPU µs until the first reply", fresh: true }
} as const
export type LoadKind = keyof typeof loads

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
  /** The most that this SDK may cost, as a multiple of the raw runtime. */
  readonly aim: number
  /** Part of a quick run. */
  readonly quick?: true
}

const bytes = (size: number) => ({ request: "a".repeat(size), reply: "a".repeat(size) }) as const
const echo = (size: number) => ({ protocol: "echo", load: "streams", ...bytes(size) }) as const

const line = `${"a".repeat(63)}\n`
const frame = `\0\0\0\x3c${"a".repeat(60)}`
const command = (...words: ReadonlyArray<string>): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`
const key = "key:000000000042"

const question = "\x04mail\x07example\x04test\0\0\x01\0\x01"

const busy = { load: "streams", connections: 50, inFlight: 16, connectEach: false, aim: 1.15 } as const

export const cases: ReadonlyArray<Case> = [
  {
    name: "single",
    title: "1 connection, 64 bytes there and back",
    ...echo(64),
    connections: 1,
    inFlight: 1,
    connectEach: false,
    aim: 1.05
  },
  {
    name: "many",
    title: "50 connections, 64 bytes there and back",
    ...echo(64),
    connections: 50,
    inFlight: 1,
    connectEach: false,
    aim: 1.1,
    quick: true
  },
  {
    name: "pipelined",
    title: "50 connections, 16 messages of 64 bytes under way on each",
    ...echo(64),
    connections: 50,
    inFlight: 16,
    connectEach: false,
    aim: 1.1
  },
  {
    name: "bulk",
    title: "4 connections, 4 messages of 64 KiB under way on each",
    ...echo(65536),
    connections: 4,
    inFlight: 4,
    connectEach: false,
    aim: 1.25,
    quick: true
  },
  {
    name: "connect",
    title: "connect, 64 bytes there and back, close; 8 at a time",
    ...echo(64),
    connections: 8,
    inFlight: 1,
    connectEach: true,
    aim: 1.5,
    quick: true
  },
  {
    name: "stream",
    title: "`bulk` by Stream.run(connection.stream, connection.sink)",
    ...echo(65536),
    protocol: "stream",
    connections: 4,
    inFlight: 4,
    connectEach: false,
    aim: 1.5
  },
  {
    name: "relay",
    title: "50 connections passed on, 64 bytes there and back",
    ...echo(64),
    protocol: "relay",
    connections: 50,
    inFlight: 1,
    connectEach: false,
    aim: 1.1,
    quick: true
  },
  {
    name: "relay-bulk",
    title: "4 connections passed on, 4 messages of 64 KiB under way on each",
    ...echo(65536),
    protocol: "relay",
    connections: 4,
    inFlight: 4,
    connectEach: false,
    aim: 1.1
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
    ...busy,
    quick: true
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
    ...busy,
    aim: 1.3
  },
  {
    name: "resp-set",
    title: "RESP: SET of 3 bytes, as redis-benchmark -P 16",
    protocol: "resp",
    request: command("SET", key, "xxx"),
    reply: "+OK\r\n",
    ...busy,
    aim: 1.3
  },
  {
    name: "resp-get",
    title: "RESP: GET of 3 bytes, as redis-benchmark -P 16",
    protocol: "resp",
    request: command("GET", key),
    reply: "$3\r\nxxx\r\n",
    before: { request: command("SET", key, "xxx"), reply: "+OK\r\n" },
    ...busy,
    aim: 1.3
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
    aim: 1.2,
    quick: true
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
  },
  {
    name: "dns",
    title: "DNS: an address by datagrams, 8 queries under way from each of 8 sockets",
    protocol: "dns",
    load: "datagrams",
    request: `\0\0\x01\0\0\x01\0\0\0\0\0\0${question}`,
    reply: `\0\0\x85\0\0\x01\0\x01\0\0\0\0${question}\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x19`,
    connections: 8,
    inFlight: 8,
    connectEach: false,
    aim: 1.3
  },
  ...[1000, 10_000].map((connections) => ({
    name: `idle-${connections}`,
    title: `memory of one of ${connections.toLocaleString("en")} idle connections`,
    ...echo(64),
    load: "idle" as const,
    connections,
    inFlight: 1,
    connectEach: false,
    aim: 1.6
  })),
  {
    name: "start",
    title: "a cold process until its first reply",
    ...echo(64),
    load: "start",
    connections: 1,
    inFlight: 1,
    connectEach: false,
    aim: 1.15,
    quick: true
  }
]

/** One message under way on each connection: from few connections to many, and from small messages to large. */
export const scaling = {
  connections: [1, 10, 100, 1000, 10_000].map((connections): Case => ({
    name: `connections-${connections}`,
    title: `${connections === 1 ? "1 connection" : `${connections.toLocaleString("en")} connections`}, 64 bytes`,
    ...echo(64),
    connections,
    inFlight: 1,
    connectEach: false,
    aim: 1.1
  })),
  sizes: [16, 256, 4096, 65536, 1 << 20, 1 << 24].map((size): Case => ({
    name: `size-${size}`,
    title: `4 connections, ${size.toLocaleString("en")} bytes`,
    ...echo(size),
    connections: 4,
    inFlight: 1,
    connectEach: false,
    aim: 1.25
  }))
}

/** Every case, those of the pictures too. */
export const all: ReadonlyArray<Case> = [...cases, ...scaling.connections, ...scaling.sizes]

export const caseNamed = (name: string): Case => all.find((each) => each.name === name)!

/**
 * A server under test. `raw` is what the others of its runtime are compared with; `loaded` is that with a burden that this SDK has, too, and
 * shows what is not this SDK's doing; `bundled` is this SDK without the burden of many files.
 */
export interface Contender {
  readonly runtime: Runtime
  readonly kind: "raw" | "loaded" | "netkit" | "bundled" | "peer"
  readonly title: string
  readonly protocols: ReadonlyArray<Protocol>
  /** The program under `servers/`, or a file that runs as it is. It is told the protocol. */
  readonly server: string
  /** The only cases that it is for; all of its protocols' where this is left out. */
  readonly only?: ReadonlyArray<string>
  /** What the runtime is told besides, and the program. */
  readonly flags?: ReadonlyArray<string>
  readonly args?: ReadonlyArray<string>
  /** Under `peers/`, installed and run on demand. */
  readonly installed?: true
  /** One file with all that it needs, `effect` too, as a bundler makes it. */
  readonly bundled?: true
}

const framed: ReadonlyArray<Protocol> = ["lines", "frames"]
const datagrams: ReadonlyArray<Protocol> = ["udp-echo", "udp-sink"]
const rawDatagrams: ReadonlyArray<Protocol> = [...datagrams, "dns"]

export const contenders: ReadonlyArray<Contender> = [
  { runtime: "node", kind: "raw", title: "node:net", protocols: ["echo", "stream"], server: "rawNode" },
  {
    runtime: "node",
    kind: "loaded",
    title: "node:net, effect loaded",
    protocols: ["echo"],
    server: "rawNodeLoaded",
    only: ["bulk", "start"]
  },
  { runtime: "node", kind: "peer", title: "@effect/platform-node", protocols: ["echo"], server: "platform" },
  {
    runtime: "node",
    kind: "peer",
    title: "Effect 4.1",
    protocols: ["echo"],
    server: "effect4/server.mjs",
    installed: true
  },
  { runtime: "deno", kind: "raw", title: "Deno.listen", protocols: ["echo", "stream"], server: "rawDeno" },
  {
    runtime: "deno",
    kind: "loaded",
    title: "Deno.listen, a fresh buffer a read",
    protocols: ["echo"],
    server: "rawDeno",
    args: ["owned"],
    only: ["bulk"]
  },
  { runtime: "bun", kind: "raw", title: "Bun.listen", protocols: ["echo", "stream"], server: "rawBun" },
  {
    runtime: "bun",
    kind: "loaded",
    title: "Bun.listen, effect loaded",
    protocols: ["echo"],
    server: "rawBunLoaded",
    only: ["bulk", "start", "size-16777216"]
  },
  { runtime: "node", kind: "raw", title: "pipe", protocols: ["relay"], server: "relayNode" },
  { runtime: "deno", kind: "raw", title: "read and write", protocols: ["relay"], server: "relayDeno" },
  { runtime: "bun", kind: "raw", title: "data and write", protocols: ["relay"], server: "relayBun" },
  ...runtimes.flatMap((runtime): ReadonlyArray<Contender> => [
    { runtime, kind: "netkit", title: "effect-netkit", protocols: ["echo"], server: "netkit" },
    {
      runtime,
      kind: "bundled",
      title: "effect-netkit, bundled with effect",
      protocols: ["echo"],
      server: "netkit",
      only: ["start"],
      bundled: true
    },
    { runtime, kind: "netkit", title: "Stream.run", protocols: ["stream"], server: "stream" },
    { runtime, kind: "netkit", title: "Net.relay", protocols: ["relay"], server: "relay" },
    { runtime, kind: "netkit", title: "UdpServer", protocols: datagrams, server: "udp" },
    { runtime, kind: "netkit", title: "Udp.bind", protocols: datagrams, server: "udpLoop" },
    { runtime, kind: "netkit", title: "dns-server of the examples", protocols: ["dns"], server: "dns" },
    { runtime, kind: "netkit", title: "FramedServer", protocols: framed, server: "framed" },
    {
      runtime,
      kind: "netkit",
      title: "FramedServer, an effect a message",
      protocols: framed,
      server: "framed",
      only: ["frames"],
      args: ["effects"]
    },
    {
      runtime,
      kind: "netkit",
      title: "Framed, receive and send",
      protocols: framed,
      server: "framedLoop",
      only: ["frames", "frames-single"]
    },
    {
      runtime,
      kind: "netkit",
      title: "Framed, messages to sink",
      protocols: framed,
      server: "framedLoop",
      only: ["frames", "frames-single"],
      args: ["streams"]
    }
  ]),
  { runtime: "node", kind: "raw", title: "node:net, split by hand", protocols: framed, server: "rawFramed" },
  { runtime: "deno", kind: "raw", title: "Deno.listen, split by hand", protocols: framed, server: "rawFramedDeno" },
  { runtime: "bun", kind: "raw", title: "Bun.listen, split by hand", protocols: framed, server: "rawFramedBun" },
  { runtime: "node", kind: "raw", title: "node:net, parsed by hand", protocols: ["resp"], server: "rawResp" },
  { runtime: "node", kind: "netkit", title: "FramedServer", protocols: ["resp"], server: "resp" },
  { runtime: "node", kind: "raw", title: "node:dgram", protocols: rawDatagrams, server: "udpNode" },
  { runtime: "deno", kind: "raw", title: "node:dgram", protocols: rawDatagrams, server: "udpNode" },
  {
    runtime: "deno",
    kind: "peer",
    title: "Deno.listenDatagram",
    protocols: datagrams,
    server: "udpDeno",
    flags: ["--unstable-net"]
  },
  { runtime: "bun", kind: "raw", title: "Bun.udpSocket", protocols: rawDatagrams, server: "udpBun" }
]

/** One measurement. What the system does not tell, or the load does not know, is `null`. */
export interface Sample {
  /** What the server has spent, in the load's unit. CPU time is that of all its threads together. */
  readonly cost: number | null
  /** Messages a second, as seen by the clients. */
  readonly rate: number | null
  /** Milliseconds from sending a message, or starting a server, until the reply is there. */
  readonly p50: number | null
  readonly p99: number | null
  /** The part of all CPUs that went to neither server nor load. */
  readonly others: number | null
  /** The part of all datagrams that were not answered or not received. */
  readonly lost?: number
}
