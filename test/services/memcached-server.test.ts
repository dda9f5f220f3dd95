/**
 * The memcached program as a process under every runtime, driven by the tools of libmemcached, its own test of a
 * server's protocol among them, and by plain sockets.
 */
import { randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { runtimes, startServer, stopAll } from "../examples/Child.ts"
import { makePeer } from "../examples/Peer.ts"
import { installed, runTool, stopTools } from "./tools.ts"

const peer = makePeer()
const tools = installed("memccapable", "libmemcached-tools")
const folder = mkdtempSync(join(tmpdir(), "netkit-memcached-"))

afterAll(() => {
  stopAll()
  stopTools()
  peer.stop()
  rmSync(folder, { recursive: true })
})

const stop = async (server: Awaited<ReturnType<typeof startServer>>) => {
  server.signal("SIGTERM")
  expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
}

describe.each(runtimes)("under %s", { timeout: 60_000 }, (runtime) => {
  it.runIf(tools)("libmemcached's test of the protocol", async () => {
    const server = await startServer(runtime, "memcached-server")
    const { stdout } = await runTool("memccapable", ["-h", "127.0.0.1", "-p", String(server.port), "-a"])
    expect(stdout).toMatch(/All tests passed/)
    await stop(server)
  })

  it.runIf(tools)("libmemcached's tools", async () => {
    const server = await startServer(runtime, "memcached-server")
    const servers = `--servers=127.0.0.1:${server.port}`
    const key = `${runtime}.bin`
    const file = join(folder, key)
    writeFileSync(file, randomBytes(300_000))
    expect(await runTool("memcping", [servers])).toMatchObject({ code: 0 })
    expect(await runTool("memccp", [servers, file])).toMatchObject({ code: 0 })
    expect(await runTool("memccat", [servers, `--file=${file}.copy`, key])).toMatchObject({ code: 0 })
    expect(readFileSync(`${file}.copy`).equals(readFileSync(file))).toBe(true)
    expect((await runTool("memcstat", [servers])).stdout).toMatch(/curr_items: 1$/m)
    expect(await runTool("memcrm", [servers, key])).toMatchObject({ code: 0 })
    expect((await runTool("memcstat", [servers])).stdout).toMatch(/curr_items: 0$/m)
    writeFileSync(file, new Uint8Array(1024 * 1024 + 1))
    expect((await runTool("memccp", [servers, file])).stderr).toMatch(/TOO BIG|OBJECT|SERVER ERROR/i)
    await stop(server)
  })

  it("plain sockets: cut, half-closed, too large", async () => {
    const server = await startServer(runtime, "memcached-server")
    const cut = await peer.connect(server.port)
    for (const byte of "set a 3 0 4\r\n\r\n\r\n\r\nget a\r\n") await cut.send(byte)
    await cut.shutdown()
    expect(String(await cut.readToEnd())).toBe("STORED\r\nVALUE a 3 4\r\n\r\n\r\n\r\nEND\r\n")

    const large = await peer.connect(server.port)
    await large.send(`set a 0 0 3000000\r\n${"x".repeat(3_000_000)}\r\nversion\r\n`)
    await large.shutdown()
    expect(String(await large.readToEnd())).toBe("SERVER_ERROR object too large for cache\r\nVERSION 1.6.0\r\n")

    const endless = await peer.connect(server.port)
    await endless.send("x".repeat(70_000))
    expect(String(await endless.readToEnd())).toBe("CLIENT_ERROR line too long\r\n")
    await stop(server)
  })
})
