/**
 * The application of four servers, as a process under every runtime: what each of them does, and how they end together.
 */
import { once } from "node:events"
import * as net from "node:net"
import { afterAll, describe, expect, it } from "vitest"
import { type Child, runtimes, start, stopAll } from "../examples/Child.ts"
import { installed, runTool } from "./tools.ts"

const dig = installed("dig", "dnsutils")

afterAll(stopAll)

const names = ["resp", "chat", "dns", "metrics"] as const

const startApplication = async (runtime: typeof runtimes[number], settings: Record<string, string> = {}) => {
  const listen = Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_LISTEN`, "127.0.0.1:0"]))
  const child = await start(runtime, "application", [], { env: { ...listen, ...settings } })
  const ports = Object.fromEntries(names.map((name) => [name, 0])) as Record<typeof names[number], number>
  for (const _ of names) {
    const [, name, port] = await child.line(/^(\w+) listening on 127\.0\.0\.1:(\d+)$/)
    ports[name as typeof names[number]] = Number(port)
  }
  return { child, ports }
}

/** A plain client that keeps what it has heard. */
const dial = async (port: number) => {
  const socket = net.connect({ port, host: "127.0.0.1" })
  await once(socket, "connect")
  // A reset is an end like any other here.
  socket.on("error", () => {})
  let heard = ""
  let onData = () => {}
  socket.setEncoding("utf8").on("data", (text) => {
    heard += text
    onData()
  })
  const ended = new Promise<string>((resolve) => socket.on("close", () => resolve(heard)))
  const hear = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(heard)) await new Promise<void>((resolve) => onData = resolve)
    return heard
  }
  return { write: (text: string) => socket.write(text), end: () => socket.end(), hear, ended }
}

const refused = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" })
    socket.on("connect", () => {
      socket.destroy()
      resolve(false)
    })
    socket.on("error", () => resolve(true))
  })

const stop = async (child: Child, stderr = "") => {
  child.signal("SIGTERM")
  expect(await child.ended).toMatchObject({ code: 0, stderr })
}

describe.each(runtimes)("under %s", { timeout: 60_000 }, (runtime) => {
  it("serves all four, and tells its metrics over HTTP and plain", async () => {
    const { child, ports } = await startApplication(runtime)
    const resp = await dial(ports.resp)
    resp.write("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n")
    await resp.hear(/^\+OK\r\n\$1\r\n1\r\n$/)
    const ann = await dial(ports.chat)
    await (await dial(ports.chat)).write("hello\n")
    await ann.hear(/^127\.0\.0\.1:\d+ came\n127\.0\.0\.1:\d+: hello\n$/)
    if (dig) {
      const args = ["+short", "+time=5", "@127.0.0.1", "-p", String(ports.dns), "www.example.test"]
      expect((await runTool("dig", args)).stdout).toMatch(/^192\.0\.2\.\d+$/m)
    }
    const http = await dial(ports.metrics)
    http.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    expect(await http.ended).toMatch(
      /^HTTP\/1\.1 200 OK\r\n[^]*netkit_server_connections_opened_total\{server="chat"\} 2\n/
    )
    const plain = await dial(ports.metrics)
    plain.end()
    expect(await plain.ended).toMatch(/^netkit_server_connections_active\{server="resp"\} 1$/m)
    await stop(child)
  })

  it("stops accepting everywhere before it waits anywhere, and answers what has begun", async () => {
    const { child, ports } = await startApplication(runtime)
    const resp = await dial(ports.resp)
    resp.write("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI")
    await resp.hear(/^\+PONG\r\n$/)
    child.signal("SIGTERM")
    for (const name of names) while (!await refused(ports[name]));
    resp.write("NG\r\n")
    expect(await resp.ended).toBe("+PONG\r\n+PONG\r\n")
    expect(await child.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("is configured by the environment, and says what is wrong there", async () => {
    const { child, ports } = await startApplication(runtime, { CHAT_MAX_CONNECTIONS: "1", CHAT_OVERFLOW: "reject" })
    const first = await dial(ports.chat)
    first.write("hello\n")
    expect(await (await dial(ports.chat)).ended).toBe("")
    await stop(child, "connections refused (maxConnections): 1\n")
    const { code, stderr } = await (await start(runtime, "application", [], { env: { CHAT_BACKLOG: "few" } })).ended
    expect(stderr).toContain("few")
    expect(code).toBe(1)
  })
})
