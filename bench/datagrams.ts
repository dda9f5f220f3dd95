/**
 * The load of datagrams, a process of its own under Bun, which sends and receives many by one system call and so outruns every server
 * here. Requests and replies: each carries a 16-bit number in front, which the reply repeats, as in DNS; one without a reply after half
 * a second is lost. One-way: as many as the kernel takes; the server is then asked how many have come.
 * `datagrams.js '{"port":..,"pid":..,...}'` prints one `Sample` as JSON.
 */
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import { bun, type BunUdpSocket } from "../adapters/bun/BunApi.ts"
import { type Case, caseNamed, type Sample } from "./cases.ts"
import { fail, Latencies, type Load, measured } from "./machine.ts"

const options = JSON.parse(process.argv[2]!) as Load
const load: Load & Case = { ...options, ...caseNamed(options.case) }
const request = Buffer.from(load.request, "latin1")
const reply = Buffer.from(load.reply, "latin1")

const latencies = new Latencies()
let measuring = false
let sent = 0
let lost = 0

type OnDatagram = (bytes: Uint8Array) => void

/** A socket of which everything goes to the server; what the kernel does not take is sent when there is room. */
class Sender {
  #socket!: BunUdpSocket
  #waiting: Array<Uint8Array> = []

  async open(onDatagram: OnDatagram): Promise<this> {
    this.#socket = await bun().udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      connect: { hostname: "127.0.0.1", port: load.port },
      binaryType: "uint8array",
      socket: {
        data: (_, bytes) => onDatagram(bytes),
        drain: () => this.flush(),
        error: (...args) => fail(args.at(-1))
      }
    })
    return this
  }

  push(datagram: Uint8Array): void {
    this.#waiting.push(datagram)
  }

  /** Whether the kernel has taken all. */
  flush(): boolean {
    if (this.#waiting.length === 0) return true
    const taken = this.#socket.sendMany(this.#waiting)
    sent += taken
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken)
    return this.#waiting.length === 0
  }
}

/** A socket that always has `inFlight` requests under way. What was answered together is asked again together. */
const keepBusy = async (): Promise<void> => {
  const requests = Array.from({ length: load.inFlight }, () => Buffer.from(request))
  const numbers = requests.map((_, slot) => slot)
  const sentAt = new Float64Array(load.inFlight)
  let flushing = false
  const ask = (slot: number, now: number) => {
    numbers[slot] = (numbers[slot]! + load.inFlight) & 0xffff
    requests[slot]!.writeUInt16BE(numbers[slot]!)
    sentAt[slot] = now
    sender.push(requests[slot]!)
    if (flushing) return
    flushing = true
    setImmediate(() => {
      flushing = false
      sender.flush()
    })
  }
  const sender = await new Sender().open((bytes) => {
    const number = (bytes[0]! << 8) | bytes[1]!
    const slot = number % load.inFlight
    // A reply to what was given up.
    if (number !== numbers[slot]) return
    if (bytes.length !== reply.length) fail(`a reply of ${bytes.length} bytes`)
    const now = performance.now()
    if (measuring) latencies.add(now - sentAt[slot]!)
    ask(slot, now)
  })
  requests.forEach((_, slot) => ask(slot, performance.now()))
  setInterval(() => {
    const now = performance.now()
    sentAt.forEach((at, slot) => {
      if (now - at < 500) return
      if (measuring) lost++
      ask(slot, now)
    })
  }, 100)
}

/** A thousand requests one by one, each answered word for word. */
const verify = async (): Promise<void> => {
  let heard: OnDatagram = () => {}
  const sender = await new Sender().open((bytes) => heard(bytes))
  for (let number = 0; number < 1000; number++) {
    const answer = new Promise<Uint8Array>((resolve) => heard = resolve)
    const [asked, expected] = [request, reply].map((message) => {
      const numbered = Buffer.from(message)
      numbered.writeUInt16BE(number)
      return numbered
    })
    sender.push(asked!)
    sender.flush()
    const got = await Promise.race([answer, setTimeout(1000)])
    if (got === undefined || !expected!.equals(got)) fail(`request ${number} was answered ${got}`)
  }
}

const answers = async (): Promise<Sample> => {
  await verify()
  for (let i = 0; i < load.connections; i++) await keepBusy()
  await setTimeout(load.warmUpSeconds * 1000)
  const figures = await measured(load.pid, async () => {
    measuring = true
    await setTimeout(load.seconds * 1000)
    measuring = false
    return latencies.count
  })
  return { ...figures, ...latencies.percentiles(), lost: lost / (lost + latencies.count) }
}

/** Sends as much as there is room for, a batch a turn, so that this process hears the answers, too. */
const flood = async (senders: ReadonlyArray<Sender>, seconds: number): Promise<void> => {
  const batch = 64
  const until = performance.now() + seconds * 1000
  while (performance.now() < until) {
    for (const sender of senders) {
      if (!sender.flush()) continue
      for (let i = 0; i < batch; i++) sender.push(request)
      sender.flush()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** How many datagrams the server has had. One byte asks; asked again until the answer stays the same. */
const makeCount = async (): Promise<() => Promise<number>> => {
  let heard = (_count: number): void => {}
  const sender = await new Sender().open((bytes) => heard(Number(Buffer.from(bytes).toString())))
  const ask = async (): Promise<number> => {
    const answer = new Promise<number>((resolve) => heard = resolve)
    sender.push(Uint8Array.of(63))
    sender.flush()
    return await Promise.race([answer, setTimeout(100, -1)])
  }
  return async () => {
    let last = await ask()
    for (let tries = 0; tries < 100; tries++) {
      const next = await ask()
      if (next === last && next >= 0) return next
      last = next
    }
    return fail("the server does not tell how many datagrams have come")
  }
}

const oneWay = async (): Promise<Sample> => {
  const count = await makeCount()
  const senders = await Promise.all(Array.from({ length: load.connections }, () => new Sender().open(() => {})))
  await flood(senders, load.warmUpSeconds)
  const before = await count()
  sent = 0
  const figures = await measured(load.pid, async () => {
    await flood(senders, load.seconds)
    return await count() - before
  })
  const received = await count() - before
  return { ...figures, ...latencies.percentiles(), lost: 1 - received / sent }
}

console.log(JSON.stringify(await (load.load === "flood" ? oneWay() : answers())))
process.exit()
