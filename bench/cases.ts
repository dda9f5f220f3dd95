/**
 * What is measured: the five shapes of load, and the servers that bear them.
 */
export const runtimes = ["node", "deno", "bun"] as const
export type Runtime = typeof runtimes[number]

export interface Case {
  readonly name: string
  readonly title: string
  readonly connections: number
  /** Bytes a message. */
  readonly size: number
  /** Messages that each connection has under way. */
  readonly inFlight: number
  /** Every message on a connection of its own, closed when the echo is back; `connections` at a time. */
  readonly connectEach: boolean
  /** The most that this SDK's CPU time may be, as a multiple of the raw runtime's. */
  readonly aim: number
}

export const cases: ReadonlyArray<Case> = [
  {
    name: "single",
    title: "1 connection, 64 bytes there and back",
    connections: 1,
    size: 64,
    inFlight: 1,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "many",
    title: "50 connections, 64 bytes there and back",
    connections: 50,
    size: 64,
    inFlight: 1,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "pipelined",
    title: "50 connections, 16 messages of 64 bytes under way on each",
    connections: 50,
    size: 64,
    inFlight: 16,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "bulk",
    title: "4 connections, 4 messages of 64 KiB under way on each",
    connections: 4,
    size: 65536,
    inFlight: 4,
    connectEach: false,
    aim: 1.4
  },
  {
    name: "connect",
    title: "connect, 64 bytes there and back, close; 8 at a time",
    connections: 8,
    size: 64,
    inFlight: 1,
    connectEach: true,
    aim: 2.2
  }
]

/** A server under test. `raw` is what the others of its runtime are compared with. */
export interface Contender {
  readonly runtime: Runtime
  readonly kind: "raw" | "netkit" | "platform"
  readonly title: string
  /** The program under `servers/`. */
  readonly server: string
}

export const contenders: ReadonlyArray<Contender> = [
  { runtime: "node", kind: "raw", title: "node:net", server: "rawNode" },
  { runtime: "node", kind: "netkit", title: "effect-netkit", server: "netkit" },
  { runtime: "node", kind: "platform", title: "@effect/platform-node", server: "platform" },
  { runtime: "deno", kind: "raw", title: "Deno.listen", server: "rawDeno" },
  { runtime: "deno", kind: "netkit", title: "effect-netkit", server: "netkit" },
  { runtime: "bun", kind: "raw", title: "Bun.listen", server: "rawBun" },
  { runtime: "bun", kind: "netkit", title: "effect-netkit", server: "netkit" }
]

/** One measurement. */
export interface Sample {
  /** Messages a second, as seen by the clients. */
  readonly rate: number
  /** Microseconds of the server's CPU time a message, all its threads together; `null` where the system does not tell. */
  readonly cpu: number | null
  /** Milliseconds from sending a message until its echo is there. */
  readonly p50: number
  readonly p99: number
  /** The part of all CPUs that went to neither server nor load; `null` as for `cpu`. */
  readonly others: number | null
}
