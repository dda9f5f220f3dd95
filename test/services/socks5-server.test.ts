/**
 * The SOCKS 5 proxy as a process under every runtime, driven by curl and by plain sockets: what is relayed, how each end is passed on,
 * and that a hostile client is alone with what it does.
 */
import { randomBytes } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { runtimes, startServer, stopAll } from "../examples/Child.ts"
import { makePeer, type RawSocket } from "../examples/Peer.ts"
import { installed, runTool, stopTools } from "./tools.ts"

const peer = makePeer()
const curl = installed("curl", "curl")
const body = randomBytes(300_000).toString("hex")
const sites: Array<http.Server> = []

/** A web server; `undefined` where this machine has no such address. */
const site = (host: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = http.createServer((_, response) => response.end(body))
    sites.push(server)
    server.on("error", () => resolve(undefined))
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port))
  })

let port: number
let port6: number | undefined

beforeAll(async () => {
  port = (await site("127.0.0.1"))!
  port6 = await site("::1")
})

afterAll(() => {
  stopAll()
  stopTools()
  peer.stop()
  for (const server of sites) server.close()
})

type Proxy = Awaited<ReturnType<typeof startServer>>

const stop = async (proxy: Proxy) => {
  proxy.signal("SIGTERM")
  expect(await proxy.ended).toMatchObject({ code: 0, stderr: "" })
}

const fetch = async (proxy: Proxy, option: string, url: string, ...more: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await runTool("curl", ["-sS", option, `127.0.0.1:${proxy.port}`, ...more, url])
  return { code, stderr, page: stdout === body ? "whole" : stdout.length }
}

const hello = Buffer.from([5, 1, 0])
const to = (port: number) => Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255])

const receiveExactly = async (socket: RawSocket, length: number): Promise<Buffer> => {
  let all = Buffer.alloc(0)
  while (all.length < length) {
    const part = await socket.receive()
    if (part.length === 0) throw new Error(`end of stream after ${all.length} bytes`)
    all = Buffer.concat([all, part])
  }
  expect(all.length).toBe(length)
  return all
}

/** A client, and the server that it is connected to through the proxy. */
const tunnel = async (proxy: Proxy) => {
  const listener = await peer.listen()
  const client = await peer.connect(proxy.port)
  await client.send(Buffer.concat([hello, to(listener.port)]))
  const server = await listener.accept()
  const answer = await receiveExactly(client, 12)
  expect(answer.toString("hex", 0, 10)).toBe("050005000001" + "7f000001")
  return { client, server }
}

describe.each(runtimes)("under %s", { timeout: 60_000 }, (runtime) => {
  it.runIf(curl)("curl: names, IPv4, IPv6, and where nobody is", async () => {
    const proxy = await startServer(runtime, "socks5-server")
    const whole = { code: 0, page: "whole", stderr: "" }
    expect(await fetch(proxy, "--socks5-hostname", `http://localhost:${port}/`)).toEqual(whole)
    expect(await fetch(proxy, "--socks5", `http://127.0.0.1:${port}/`)).toEqual(whole)
    if (port6 !== undefined) {
      expect(await fetch(proxy, "--socks5-hostname", `http://[::1]:${port6}/`)).toEqual(whole)
    }
    expect(await fetch(proxy, "--socks5", "http://127.0.0.1:1/")).toMatchObject({
      code: 97,
      stderr: expect.stringContaining("(5)")
    })
    expect(await fetch(proxy, "--socks5-hostname", "http://none.invalid/")).toMatchObject({
      code: 97,
      stderr: expect.stringContaining("(4)")
    })
    await stop(proxy)
  })

  it.runIf(curl)("curl: user and password, and rules", async () => {
    const rules = ["--allow", "127.0.0.0/8", "--allow", "::1", "--deny", "127.0.0.2"]
    const proxy = await startServer(runtime, "socks5-server", ["--user", "alice:sec:ret", ...rules])
    const user = (text: string) => ["--proxy-user", text]
    const name = `http://localhost:${port}/`
    expect(await fetch(proxy, "--socks5-hostname", name, ...user("alice:sec:ret"))).toMatchObject({
      code: 0,
      page: "whole"
    })
    expect(await fetch(proxy, "--socks5-hostname", name, ...user("alice:wrong"))).toMatchObject({
      code: 97,
      page: 0
    })
    expect(await fetch(proxy, "--socks5-hostname", name)).toMatchObject({ code: 97, page: 0 })
    for (const host of ["127.0.0.2", "192.0.2.1", "0.0.0.0"]) {
      expect(await fetch(proxy, "--socks5", `http://${host}:${port}/`, ...user("alice:sec:ret")))
        .toMatchObject({ code: 97, stderr: expect.stringContaining("(2)") })
    }
    await stop(proxy)
  })

  it("half-closes pass, resets pass, whichever side they come from", async () => {
    const proxy = await startServer(runtime, "socks5-server")
    const half = await tunnel(proxy)
    await half.client.send("question")
    await half.client.shutdown()
    expect(String(await half.server.readToEnd())).toBe("question")
    await half.server.send("answer")
    await half.server.shutdown()
    expect(String(await half.client.readToEnd())).toBe("answer")

    const byServer = await tunnel(proxy)
    await byServer.server.send("some")
    expect(String(await byServer.client.receive())).toBe("some")
    await byServer.server.reset()
    await expect(byServer.client.receive()).rejects.toThrow(/reset/i)

    const byClient = await tunnel(proxy)
    await byClient.client.reset()
    await expect(byClient.server.receive()).rejects.toThrow(/reset/i)
    await stop(proxy)
  })

  it("hostile clients end alone", async () => {
    const proxy = await startServer(runtime, "socks5-server", ["--handshake-timeout", "0.5"])
    const good = await tunnel(proxy)
    const noise = await peer.connect(proxy.port)
    await noise.send(Buffer.concat([Buffer.from([4]), randomBytes(10_000)]))
    await noise.readToEnd().catch(() => {})
    const gone = await peer.connect(proxy.port)
    await gone.send(Buffer.from([5, 3, 0]))
    await gone.reset()
    const slow = [await peer.connect(proxy.port), await peer.connect(proxy.port)]
    await slow[1]!.send(hello)
    expect((await slow[0]!.readToEnd()).length).toBe(0)
    expect((await slow[1]!.readToEnd()).toString("hex")).toBe("0500")
    await good.client.send("still here")
    expect(String(await good.server.receive())).toBe("still here")
    await good.client.close()
    await good.server.close()
    await stop(proxy)
  })

  it("a signal lets tunnels end, and cuts off by reset who does not", async () => {
    const proxy = await startServer(runtime, "socks5-server", ["--drain", "1.5"])
    const ends = await tunnel(proxy)
    const stays = await tunnel(proxy)
    await ends.client.send("question")
    expect(String(await ends.server.receive())).toBe("question")
    proxy.signal("SIGTERM")
    await new Promise((resolve) => setTimeout(resolve, 300))
    await ends.server.send("answer")
    await ends.server.shutdown()
    expect(String(await ends.client.readToEnd())).toBe("answer")
    await ends.client.close()
    await expect(stays.client.receive()).rejects.toThrow(/reset/i)
    await expect(stays.server.receive()).rejects.toThrow(/reset/i)
    expect(await proxy.ended).toMatchObject({ code: 0 })
  })
})
