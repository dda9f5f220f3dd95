/**
 * The load of connections, a process of its own over plain `node:net`: checks what a server answers, warms it up, then measures it.
 * `streams.js '{"port":..,"pid":..,...}'` prints one `Sample` as JSON.
 */
import { once } from "node:events"
import * as net from "node:net"
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import { type Case, caseNamed, type Sample } from "./cases.ts"
import { fail, Latencies, type Load, measured } from "./machine.ts"

const options = JSON.parse(process.argv[2]!) as Load
const load: Load & Case = { ...options, ...caseNamed(options.case) }
const request = Buffer.from(load.request, "latin1")
const reply = Buffer.from(load.reply, "latin1")

const latencies = new Latencies()
let measuring = false
let receivedBytes = 0

const count = (sentAt: number): void => {
  if (measuring) latencies.add(performance.now() - sentAt)
}

const dial = (): net.Socket => net.connect({ port: load.port, host: "127.0.0.1", noDelay: true })

const repeated = (message: Buffer, times: number): Buffer => Buffer.alloc(times * message.length, message)

const batches = Array.from({ length: load.inFlight + 1 }, (_, messages) => repeated(request, messages))

/** A connection that, once it is begun, always has `inFlight` messages under way. What came back together is sent again together. */
const openBusy = async (): Promise<() => void> => {
  const sentAt = new Float64Array(load.inFlight)
  let next = 0
  let received = 0
  const socket = dial()
  const send = (messages: number) => {
    const now = performance.now()
    for (let i = 0; i < messages; i++) sentAt[(next + i) % load.inFlight] = now
    socket.write(batches[messages]!)
  }
  socket.on("data", (chunk) => {
    received += chunk.length
    receivedBytes += chunk.length
    const messages = Math.floor(received / reply.length)
    received -= messages * reply.length
    for (let i = 0; i < messages; i++) count(sentAt[(next + i) % load.inFlight]!)
    if (messages > 0) send(messages)
    next = (next + messages) % load.inFlight
  })
  socket.on("error", fail)
  socket.on("close", () => fail("the server closed a connection"))
  await once(socket, "connect")
  return () => send(load.inFlight)
}

/** So many connect at a time that no queue overflows. */
const keepBusy = async (): Promise<void> => {
  const begin: Array<() => void> = []
  while (begin.length < load.connections) {
    const batch = Array.from({ length: Math.min(100, load.connections - begin.length) }, openBusy)
    begin.push(...await Promise.all(batch))
  }
  for (const each of begin) each()
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

const measure = async (): Promise<Sample> => {
  const figures = await measured(load.pid, async () => {
    const before = receivedBytes
    measuring = true
    await setTimeout(load.seconds * 1000)
    measuring = false
    // Of large messages few are whole within the time.
    return load.connectEach ? latencies.count : (receivedBytes - before) / reply.length
  })
  return { ...figures, ...latencies.percentiles() }
}

await verify()
if (load.connectEach) { for (let i = 0; i < load.connections; i++) connectEach() }
else await keepBusy()
await setTimeout(load.warmUpSeconds * 1000)
console.log(JSON.stringify(await measure()))
process.exit()
