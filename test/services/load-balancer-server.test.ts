/**
 * The balancer as a process under every runtime, before three backends that are processes too: who gets which connection, what becomes of
 * them when a backend is killed under load, and how backends and the balancer itself are drained.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterEach, describe, expect, it } from "vitest"
import { type Runtime, runtimes, startServer, stopAll } from "../examples/Child.ts"

const script = fileURLToPath(new URL("backend.mjs", import.meta.url))
const processes = new Set<ChildProcess>()

const startBackend = async (name: string, port = 0) => {
  const child = spawn("node", [script, name, String(port)], { stdio: ["ignore", "pipe", "inherit"] })
  processes.add(child)
  const [line] = await once(createInterface({ input: child.stdout }), "line")
  const kill = async () => {
    child.kill("SIGKILL")
    await once(child, "close")
    processes.delete(child)
  }
  return { name, port: Number(/\d+/.exec(line)![0]), kill }
}

type Backend = Awaited<ReturnType<typeof startBackend>>

/** A client that asks line by line; `ask` rejects if the connection ends before the answer. */
class Client {
  readonly socket: net.Socket
  #text = ""
  #ended: string | undefined
  #wake = () => {}

  static async connect(port: number): Promise<Client> {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
    const client = new Client(socket)
    await once(socket, "connect")
    return client
  }

  private constructor(socket: net.Socket) {
    this.socket = socket
    const end = (how: string) => {
      this.#ended ??= how
      this.#wake()
    }
    socket.setEncoding("utf8").on("data", (text) => {
      this.#text += text
      this.#wake()
    })
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    socket.on("end", () => end("end"))
  }

  async ask(question: string): Promise<string> {
    this.socket.write(`${question}\n`)
    while (!this.#text.includes("\n")) {
      if (this.#ended !== undefined) throw new Error(this.#ended)
      await new Promise<void>((resolve) => this.#wake = resolve)
    }
    const [line] = this.#text.split("\n", 1)
    this.#text = this.#text.slice(line!.length + 1)
    return line!
  }

  /** How the connection ends: `end`, or the code of an error. */
  async end(): Promise<string> {
    while (this.#ended === undefined) await new Promise<void>((resolve) => this.#wake = resolve)
    return this.#ended
  }
}

afterEach(() => {
  stopAll()
  for (const child of processes) child.kill("SIGKILL")
  processes.clear()
})

const start = async (runtime: Runtime, ...flags: ReadonlyArray<string>) => {
  const backends = await Promise.all(["a", "b", "c"].map((name) => startBackend(name)))
  const balancer = await startServer(runtime, "load-balancer", [
    ...backends.flatMap(({ port }) => ["--backend", `127.0.0.1:${port}`]),
    ...["--check-interval", "0.1", "--rise", "1", "--fall", "2", "--admin-port", "0", ...flags]
  ])
  const [, adminPort] = await balancer.line(/^admin on 127\.0\.0\.1:(\d+)$/)
  const admin = async (command: string): Promise<ReadonlyArray<string>> => {
    const socket = net.connect(Number(adminPort), "127.0.0.1").setEncoding("utf8")
    socket.end(`${command}\n`)
    let text = ""
    for await (const part of socket) text += part
    return text.trimEnd().split("\n")
  }
  const all: Array<Client> = []
  const connect = async () => {
    const client = await Client.connect(balancer.port)
    all.push(client)
    return client
  }
  const clients = (count: number) => Promise.all(Array.from({ length: count }, connect))
  const stop = async () => {
    for (const { socket } of all) socket.destroy()
    balancer.signal("SIGTERM")
    expect(await balancer.ended).toMatchObject({ code: 0, stderr: "" })
  }
  return { admin, backends, balancer, clients, connect, stop }
}

const count = (names: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Which backend each client is served by. */
const namesOf = (clients: ReadonlyArray<Client>): Promise<ReadonlyArray<string>> =>
  Promise.all(clients.map(async (client) => (await client.ask("x")).split(" ")[0]!))

describe.each(runtimes)("under %s", { timeout: 20_000 }, (runtime) => {
  it("connections go to the backend with the fewest", async () => {
    const { admin, backends, clients, stop } = await start(runtime)
    const first = await clients(30)
    const names = await namesOf(first)
    expect(count(names)).toEqual({ a: 10, b: 10, c: 10 })
    expect(await admin("status")).toEqual([
      ...backends.map(({ port }) => `127.0.0.1:${port} up: 10 active, 10 served, 0 failed`),
      "ok"
    ])
    for (const [i, client] of first.entries()) {
      if (names[i] !== "b") continue
      client.socket.end()
      expect(await client.end()).toBe("end")
    }
    expect(count(await namesOf(await clients(9)))).toEqual({ b: 9 })
    await stop()
  })

  it("a backend killed under load: what was answered stays answered, the rest is told or moved", async () => {
    const { admin, backends, clients, connect, stop } = await start(runtime)
    const state = async (wanted: RegExp) => {
      while (!wanted.test((await admin("status"))[0]!)) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const silent = await clients(12)
    const mute = await clients(3)
    const muted = await Promise.all(mute.map((client) => client.ask("mute")))
    // More than a program reads ahead, so that the kernel has some of it when the backend is killed.
    for (const client of mute) client.socket.write("unread\n".repeat(200_000))
    let going = true
    let answered = 0
    const broken: Array<string> = []
    const work = async (id: number) => {
      let client = await connect()
      for (let i = 0; going; i++) {
        try {
          const answer = await client.ask(`${id}-${i}`)
          expect(answer).toMatch(new RegExp(`^[abc] ${id}-${i}$`))
          answered++
        } catch (error) {
          broken.push((error as Error).message)
          client.socket.destroy()
          // Nobody but the killed backend may break a connection, and each of its connections but once.
          client = await connect()
        }
      }
    }
    const workers = Array.from({ length: 12 }, (_, id) => work(id))
    while (answered < 500) await new Promise((resolve) => setTimeout(resolve, 10))
    const [victim] = backends as [Backend]
    await victim.kill()
    const before = answered
    while (answered < before + 500) await new Promise((resolve) => setTimeout(resolve, 10))
    going = false
    await Promise.all(workers)
    expect(broken.length).toBeGreaterThan(0)
    expect(broken.length).toBeLessThanOrEqual(12)
    const cut = mute.filter((_, i) => muted[i]!.startsWith(victim.name))
    expect(cut.length).toBeGreaterThan(0)
    for (const client of cut) expect(await client.end()).toBe("ECONNRESET")
    expect(count(await namesOf(silent))).toEqual({ b: expect.any(Number), c: expect.any(Number) })
    await state(/ down: 0 active/)
    const again = await startBackend("a", victim.port)
    await state(/ up: /)
    expect(await namesOf(await clients(1))).toEqual([again.name])
    // Who is mute would be waited for.
    for (const backend of backends.slice(1)) await backend.kill()
    await stop()
  })

  it("a backend that drains keeps what it has and gets nothing new", async () => {
    const { admin, backends, clients, stop } = await start(runtime)
    const before = await clients(6)
    expect(count(await namesOf(before))).toEqual({ a: 2, b: 2, c: 2 })
    const a = `127.0.0.1:${backends[0]!.port}`
    expect(await admin(`drain ${a}`)).toEqual(["ok"])
    expect((await admin("status"))[0]).toBe(`${a} up draining: 2 active, 2 served, 0 failed`)
    expect(count(await namesOf(await clients(6)))).toEqual({ b: 3, c: 3 })
    expect(count(await namesOf(before))).toEqual({ a: 2, b: 2, c: 2 })
    expect(await admin(`undrain ${a}`)).toEqual(["ok"])
    expect(count(await namesOf(await clients(3)))).toEqual({ a: 3 })
    expect(await admin("drain 127.0.0.1:1")).toEqual(["error: no backend 127.0.0.1:1"])
    expect(await admin("reload")).toEqual(["error: status, drain HOST:PORT, or undrain HOST:PORT"])
    await stop()
  })

  it("a signal lets exchanges end, then cuts off by reset who stays", async () => {
    const { balancer, clients, connect } = await start(runtime, "--drain", "1.5")
    const [ends, stays, silent] = await clients(3) as [Client, Client, Client]
    await Promise.all([ends.ask("one"), stays.ask("one")])
    balancer.signal("SIGTERM")
    expect(await silent.end()).toBe("end")
    await expect(connect()).rejects.toThrow("ECONNREFUSED")
    expect(await ends.ask("two")).toMatch(/ two$/)
    ends.socket.end()
    expect(await ends.end()).toBe("end")
    expect(await stays.end()).toBe("ECONNRESET")
    expect(await balancer.ended).toMatchObject({ code: 0 })
  })

  it("a client for whom there is no backend is reset", async () => {
    const { backends, connect, stop } = await start(runtime)
    await Promise.all(backends.map(({ kill }) => kill()))
    const end = await connect().then((client) => client.end(), (error) => error.code)
    expect(end).toBe("ECONNRESET")
    await stop()
  })
})
