/**
 * The RESP programs as processes under every runtime: the server driven by redis-cli, redis-benchmark and plain
 * sockets, the client against it and against Redis itself.
 */
import * as net from "node:net"
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, start, startServer, stopAll } from "../examples/Child.ts"
import { makePeer } from "../examples/Peer.ts"
import { installed, runTool, startTool, stopTools } from "./tools.ts"

const peer = makePeer()
const cli = installed("redis-cli", "redis-tools")
const benchmark = installed("redis-benchmark", "redis-tools")
// Debian's redis-check-rdb is the server by another name, so that redis-tools is enough for it.
const redis = installed("redis-check-rdb", "redis-tools")

afterAll(() => {
  stopAll()
  stopTools()
  peer.stop()
})

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })

const stop = async (server: Awaited<ReturnType<typeof startServer>>) => {
  server.signal("SIGTERM")
  expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
}

/** What the client of the examples prints for these lines, on any server. */
const dialogue = {
  input: 'SET name "Ada Lovelace"\nGET name\nINCR n\nMGET name none\nINCR name\nECHO "a \\"b\\""\nKEYS zz*\n',
  output: 'OK\n"Ada Lovelace"\n(integer) 1\n1) "Ada Lovelace"\n2) (nil)\n' +
    '(error) ERR value is not an integer or out of range\n"a \\"b\\""\n(empty array)\n'
}

describe.each(runtimes)("under %s", { timeout: 60_000 }, (runtime) => {
  it.runIf(cli)("redis-cli", async () => {
    const server = await startServer(runtime, "resp-server")
    const lines = ['SET k "a b" EX 100', "TTL k", "GET k", "APPEND k \\x00", "STRLEN k", "MSET x 1 y 2", "MGET x y z"]
    const { code, stdout } = await runTool("redis-cli", ["-p", String(server.port)], lines.join("\n"))
    expect(stdout.split("\n")).toEqual(["OK", "100", "a b", "7", "7", "OK", "1", "2", "", ""])
    expect(code).toBe(0)
    expect((await runTool("redis-cli", ["-p", String(server.port), "-2", "HELLO", "3"])).stdout).toMatch(/^NOPROTO/)
    await stop(server)
  })

  it.runIf(benchmark)("redis-benchmark", async () => {
    const server = await startServer(runtime, "resp-server")
    const args = [
      "-p",
      String(server.port),
      "-t",
      "ping,set,get,incr,mset",
      "-P",
      "16",
      "-n",
      "20000",
      "-r",
      "1000",
      "--csv"
    ]
    const { code, stderr, stdout } = await runTool("redis-benchmark", args)
    expect(stdout.trim().split("\n").slice(1).map((line) => line.split(",")[0])).toEqual([
      '"PING_INLINE"',
      '"PING_MBULK"',
      '"SET"',
      '"GET"',
      '"INCR"',
      '"MSET (10 keys)"'
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    await stop(server)
  })

  it("plain sockets: cut, half-closed, hostile", async () => {
    const server = await startServer(runtime, "resp-server")
    const cut = await peer.connect(server.port)
    for (const byte of "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n") {
      await cut.send(byte)
    }
    await cut.shutdown()
    expect(String(await cut.readToEnd())).toBe("+OK\r\n$2\r\n\r\n\r\n")

    const pipelined = await peer.connect(server.port)
    await pipelined.send("PING\r\n".repeat(10_000))
    await pipelined.shutdown()
    expect(String(await pipelined.readToEnd())).toBe("+PONG\r\n".repeat(10_000))

    const hostile = await peer.connect(server.port)
    await hostile.send(`*1\r\n$${2n ** 63n}\r\n`)
    expect(String(await hostile.readToEnd())).toBe("-ERR Protocol error: invalid bulk length\r\n")
    await stop(server)
  })

  it("its own client", async () => {
    const server = await startServer(runtime, "resp-server")
    const { input, output } = dialogue
    expect(await finish(runtime, "resp-client", ["--port", String(server.port)], { input })).toEqual({
      code: 0,
      stdout: output,
      stderr: ""
    })
    await stop(server)
  })

  it("its client says when the server has gone", async () => {
    const listener = await peer.listen()
    const client = await start(runtime, "resp-client", ["--port", String(listener.port)], { input: "PING\n" })
    const socket = await listener.accept()
    await socket.receive()
    await socket.close()
    expect(await client.ended).toEqual({ code: 0, stdout: "peer closed the connection\n", stderr: "" })
  })

  it.runIf(redis)("the client of Redis itself", async () => {
    const port = await freePort()
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    await startTool("redis-check-rdb", args, /Ready to accept connections/, "redis-server")
    const { input, output } = dialogue
    expect(await finish(runtime, "resp-client", ["--port", String(port)], { input })).toEqual({
      code: 0,
      stdout: output,
      stderr: ""
    })
  })
})
