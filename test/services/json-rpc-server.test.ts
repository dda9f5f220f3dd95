/**
 * The JSON-RPC programs as processes under every runtime: the server driven by the client of python-lsp-jsonrpc and by
 * plain sockets, and by its own client.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, startServer, stopAll } from "../examples/Child.ts"
import { makePeer } from "../examples/Peer.ts"
import { runTool, stopTools } from "./tools.ts"

const peer = makePeer()
/** Debian's Python has Debian's packages, whichever comes first on the PATH. */
const python = ["python3", "/usr/bin/python3"].find((file) =>
  spawnSync(file, ["-c", "import pylsp_jsonrpc"]).status === 0
)
if (python === undefined) {
  console.log("pylsp_jsonrpc not found: what it would test is skipped (apt-get install python3-pylsp-jsonrpc)")
}

afterAll(() => {
  stopAll()
  stopTools()
  peer.stop()
})

const stop = async (server: Awaited<ReturnType<typeof startServer>>) => {
  server.signal("SIGTERM")
  expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
}

const framed = (text: string): string => `Content-Length: ${text.length}\r\n\r\n${text}`

describe.each(runtimes)("under %s", { timeout: 60_000 }, (runtime) => {
  it("its own client", async () => {
    const server = await startServer(runtime, "json-rpc-server")
    const { code, stderr, stdout } = await finish(runtime, "json-rpc-client", [
      "--port",
      String(server.port),
      "--at",
      "4"
    ])
    expect(stdout.split("\n").slice(1)).toEqual(['hover: {"contents":"be: 2 times"}', "shutdown: null", ""])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    await server.line(/^client left/)
    await stop(server)
  })

  it.runIf(python)("the client of python-lsp-jsonrpc", async () => {
    const server = await startServer(runtime, "json-rpc-server")
    const script = fileURLToPath(new URL("lsp-client.py", import.meta.url))
    const { stderr, stdout } = await runTool(python!, [script, String(server.port)])
    expect({ stderr, results: JSON.parse(stdout) }).toEqual({
      stderr: "",
      results: [true, { contents: "to: 2 times" }, -32601, -32602, null]
    })
    await stop(server)
  })

  it("plain sockets: cut, half-closed, not JSON, no header", async () => {
    const server = await startServer(runtime, "json-rpc-server")
    const cut = await peer.connect(server.port)
    for (const byte of framed("{") + framed('{"jsonrpc":"2.0","id":1,"method":"none"}')) await cut.send(byte)
    await cut.shutdown()
    const answers = String(await cut.readToEnd()).split(/Content-Length: \d+\r\n\r\n/).slice(1).map((text) =>
      JSON.parse(text)
    )
    expect(answers).toMatchObject([{ id: null, error: { code: -32700 } }, { id: 1, error: { code: -32601 } }])

    const http = await peer.connect(server.port)
    await http.send("GET / HTTP/1.1\r\n\r\n")
    expect(await http.readToEnd()).toHaveLength(0)
    await stop(server)
  })
})
