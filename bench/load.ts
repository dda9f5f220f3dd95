/**
 * The load generator, a process of its own over plain `node:net`: checks what a server answers, warms it up, then measures it.
 * `load.js '{"port":..,"pid":..,...}'` prints one `Sample` as JSON. CPU time is read from /proc, so on Linux alone.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import { type Case, cases, type Sample } from "./cases.ts"

export interface Load {
  /** The name of the case. */
  readonly case: string
  readonly port: number
  readonly pid: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

const options = JSON.parse(process.argv[2]!) as Load
const load: Load & Case = { ...options, ...cases.find(({ name }) => name === options.case)! }
const request = Buffer.from(load.request, "latin1")
const reply = Buffer.from(load.reply, "latin1")

/** Messages whose reply is there, and how long each took, in milliseconds; both from the start of the measurement on. */
let answered = 0
let measuring = false
let latencies = new Float64Array(1 << 20)

const count = (sentAt: number): void => {
  if (!measuring) return
  if (answered === latencies.length) {
    const longer = new Float64Array(2 * answered)
    longer.set(latencies)
    latencies = longer
  }
  latencies[answered++] = performance.now() - sentAt
}

const fail = (error: unknown): never => {
  console.error(String(error))
  process.exit(1)
}

const dial = (): net.Socket => net.connect({ port: load.port, host: "127.0.0.1", noDelay: true })

const repeated = (message: Buffer, times: number): Buffer => Buffer.alloc(times * message.length, message)

/** A connection that always has `inFlight` messages under way. What came back together is sent again together. */
const keepBusy = (): void => {
  const batches = Array.from({ length: load.inFlight + 1 }, (_, messages) => repeated(request, messages))
  const sentAt = new Float64Array(load.inFlight)
  let next = 0
  let received = 0
  const socket = dial()
  const send = (messages: number) => {
    const now = performance.now()
    for (let i = 0; i < messages; i++) sentAt[(next + i) % load.inFlight] = now
    socket.write(batches[messages]!)
  }
  socket.on("connect", () => send(load.inFlight))
  socket.on("data", (chunk) => {
    received += chunk.length
    const messages = Math.floor(received / reply.length)
    received -= messages * reply.length
    for (let i = 0; i < messages; i++) count(sentAt[(next + i) % load.inFlight]!)
    if (messages > 0) send(messages)
    next = (next + messages) % load.inFlight
  })
  socket.on("error", fail)
  socket.on("close", () => fail("the server closed a connection"))
}

/** Connects, sends one message, waits for its reply, closes, and begins again when the connection is gone. */
const connectEach = (): void => {
  const startedAt = performance.now()
  let received = 0
  const socket = dial()
  socket.on("connect", () => socket.write(request))
  socket.on("data", (chunk) => {
    received += chunk.length
    if (received === reply.length) socket.end()
  })
  socket.on("error", fail)
  socket.on("close", () => {
    count(startedAt)
    connectEach()
  })
}

/** Messages for about a mebibyte, cut anywhere, must all be answered. */
const verify = (): Promise<void> =>
  new Promise((resolve) => {
    const count = Math.ceil((1 << 20) / request.length)
    const before = load.before ?? { request: "", reply: "" }
    const sent = Buffer.concat([Buffer.from(before.request), repeated(request, count)])
    const expected = Buffer.concat([Buffer.from(before.reply), repeated(reply, count)])
    const received: Array<Buffer> = []
    let size = 0
    const socket = dial()
    socket.on("connect", () => {
      for (let at = 0; at < sent.length; at += 1009) socket.write(sent.subarray(at, at + 1009))
    })
    socket.on("error", fail)
    socket.on("data", (chunk) => {
      received.push(chunk)
      size += chunk.length
      if (size < expected.length) return
      if (!Buffer.concat(received).equals(expected)) fail("the replies differ")
      socket.end()
      resolve()
    })
  })

/** Microseconds of CPU time so far: of the server with all its threads, of this process, of the whole machine. */
const cpuTimes = () => {
  if (process.platform !== "linux") return null
  const threads = fs.readdirSync(`/proc/${load.pid}/task`)
  const nanos = threads.map((thread) =>
    fs.readFileSync(`/proc/${load.pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]
  )
  const own = process.cpuUsage()
  // In hundredths of a second: user nice system idle iowait irq softirq steal.
  const [user, nice, system, , , irq, softirq, steal] = fs.readFileSync("/proc/stat", "utf8").split(/\s+/).slice(1).map(
    Number
  )
  return {
    server: nanos.reduce((sum, each) => sum + Number(each), 0) / 1000,
    load: own.user + own.system,
    machine: (user! + nice! + system! + irq! + softirq! + steal!) * 10_000
  }
}

const percentile = (sorted: Float64Array, fraction: number): number =>
  sorted[Math.floor(fraction * (sorted.length - 1))]!

const measure = async (): Promise<Sample> => {
  const before = cpuTimes()
  const startedAt = performance.now()
  measuring = true
  await setTimeout(load.seconds * 1000)
  measuring = false
  const micros = (performance.now() - startedAt) * 1000
  const after = cpuTimes()
  const sorted = latencies.subarray(0, answered).sort()
  const figures = { rate: answered / micros * 1e6, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) }
  if (before === null || after === null) return { ...figures, cpu: null, others: null }
  const server = after.server - before.server
  const others = after.machine - before.machine - server - (after.load - before.load)
  return { ...figures, cpu: server / answered, others: Math.max(0, others / micros / os.cpus().length) }
}

await verify()
for (let i = 0; i < load.connections; i++) load.connectEach ? connectEach() : keepBusy()
await setTimeout(load.warmUpSeconds * 1000)
console.log(JSON.stringify(await measure()))
process.exit()
