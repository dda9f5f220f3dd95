/**
 * The TCP programs of the tutorial as their users see them: child processes under every runtime, with plain sockets on
 * the other side.
 */
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, start, startServer, stopAll } from "./Child.ts"
import { makePeer } from "./Peer.ts"

const peer = makePeer()

afterAll(() => {
  stopAll()
  peer.stop()
})

const programs = [
  "tcp-client",
  "tcp-server-once",
  "tcp-server-loop",
  "tcp-server-sessions",
  "tcp-echo-server",
  "half-close",
  "abnormal-disconnect",
  "address-in-use"
]

const gbk = (...bytes: ReadonlyArray<number>) => Uint8Array.from(bytes)
/** 你好 and 谢谢. */
const hello = gbk(0xc4, 0xe3, 0xba, 0xc3)
const thanks = gbk(0xd0, 0xbb, 0xd0, 0xbb)

const utf8 = (text: string) => new TextEncoder().encode(text)

describe.concurrent.each(runtimes)(`under %s, against ${peer.language}`, { timeout: 60_000 }, (runtime) => {
  describe.concurrent("flags", () => {
    // The same code reads the flags of every program on every runtime: all cases under one, the first under each.
    const some = <A>(cases: ReadonlyArray<A>) => runtime === runtimes.at(-1) ? cases : cases.slice(0, 1)

    it.each(some(programs))("%s --help", async (name) => {
      const { code, stderr, stdout } = await finish(runtime, name, ["--help"])
      expect(stdout).toMatch(/usage/)
      expect(stdout).toContain(`npm run -s example -- ${name}`)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })

    const wrong = [
      { flags: ["--port", "70000"], line: "^--port 70000: not a port$" },
      { flags: ["--port", "-1"], line: "^--port -1: not a port$" },
      { flags: ["--port", "8o"], line: "^--port 8o: not a port$" },
      { flags: ["--port"], line: "--port" },
      { flags: ["--host", "no host"], line: "^--host no host: not a host name or IP address$" },
      { flags: ["--encoding", "latin"], line: "^--encoding latin: not one of utf-8, gbk$" },
      { flags: ["--colour"], line: "--colour" },
      { flags: ["extra"], line: "arguments" }
    ]
    it.each(some(wrong))("wrong: $flags", async ({ flags, line }) => {
      const { code, stderr, stdout } = await finish(runtime, "tcp-client", flags)
      expect(stderr).toMatch(new RegExp(line, "m"))
      expect(stderr).toMatch(/^usage/m)
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    })
  })

  describe.concurrent("tcp-client", () => {
    const dial = async (flags: ReadonlyArray<string> = []) => {
      const listener = await peer.listen()
      const client = await start(runtime, "tcp-client", ["--port", String(listener.port), ...flags])
      return { client, socket: await listener.accept() }
    }

    it("takes piped answers, asks bad ones again, and prints no questions", async () => {
      const listener = await peer.listen()
      const input = `no host\n127.0.0.1\nport\n70000\n${listener.port}\n\n你好`
      const ended = finish(runtime, "tcp-client", [], { input })
      const socket = await listener.accept()
      expect(String(await socket.receive())).toBe("你好")
      await socket.send("好")
      expect(await ended).toEqual({ code: 0, stdout: "received: 好\n", stderr: "" })
      expect(await socket.readToEnd()).toHaveLength(0)
    })

    it.each(["", "127.0.0.1\n1\n"])("ends quietly at the end of input after %j", async (input) => {
      expect(await finish(runtime, "tcp-client", [], { input })).toEqual({ code: 0, stdout: "", stderr: "" })
    })

    it("prints at most 1024 bytes and leaves out the character that this cuts", async () => {
      const { client, socket } = await dial(["--message", "x"])
      await socket.send("好".repeat(500))
      expect(await client.ended).toEqual({ code: 0, stdout: `received: ${"好".repeat(341)}\n`, stderr: "" })
    })

    it("speaks GBK, and puts a split character together", async () => {
      const { client, socket } = await dial(["--message", "你好", "--encoding", "gbk"])
      expect(await socket.receive()).toEqual(Buffer.from(hello))
      await socket.send(thanks.subarray(0, 1))
      await socket.send(thanks.subarray(1, 2))
      expect(await client.ended).toEqual({ code: 0, stdout: "received: 谢\n", stderr: "" })
    })

    it("ends with the connection while standard input is open", async () => {
      const closed = await dial(["--message", "x"])
      await closed.socket.receive()
      await closed.socket.close()
      expect(await closed.client.ended).toEqual({ code: 0, stdout: "peer closed the connection\n", stderr: "" })

      const reset = await dial(["--message", "x"])
      await reset.socket.receive()
      await reset.socket.reset()
      const { code, stderr } = await reset.client.ended
      expect(stderr).toMatch(/^read from 127\.0\.0\.1:\d+: connection reset by the peer\n$/)
      expect(code).toBe(1)
    })

    it("ends at a signal, in a question and in the wait for an answer", async () => {
      const waiting = await dial(["--message", "x"])
      await waiting.socket.receive()
      waiting.client.signal("SIGTERM")
      expect(await waiting.client.ended).toEqual({ code: 0, stdout: "", stderr: "" })
      expect(await waiting.socket.readToEnd()).toHaveLength(0)
    })

    it("tells in one line what went wrong", async () => {
      const refused = await finish(runtime, "tcp-client", ["--port", "1", "--message", "x"])
      expect(refused).toEqual({
        code: 1,
        stdout: "",
        stderr: "connect to 127.0.0.1:1: connection refused; is a server listening there?\n"
      })
      const unencodable = await finish(runtime, "tcp-client", ["--port", "1", "--message", "🚀", "--encoding", "gbk"])
      expect(unencodable.stderr).toMatch(/^🚀: cannot be written in gbk.*\n$/)
      expect(unencodable.code).toBe(1)
    })
  })

  it("tcp-server-once serves one client and ends, whatever that client does", async () => {
    const server = await startServer(runtime, "tcp-server-once", ["--backlog", "1"])
    const client = await peer.connect(server.port)
    await client.send("hello")
    expect(String(await client.readToEnd())).toBe("thank you !")
    expect(await server.ended).toEqual({
      code: 0,
      stdout: [
        `listening on 127.0.0.1:${server.port}`,
        `connection from ${client.address}`,
        "received: hello",
        `client left ${client.address}`,
        ""
      ].join("\n"),
      stderr: ""
    })
    await expect(peer.connect(server.port)).rejects.toThrow()
  })

  it("tcp-server-once ends when its client said nothing, and after a signal when its client is done", async () => {
    for (const leave of ["close", "reset"] as const) {
      const server = await startServer(runtime, "tcp-server-once")
      const silent = await peer.connect(server.port)
      // One that is reset before it is accepted was no client.
      await server.line(new RegExp(`^connection from ${silent.address}$`))
      await silent[leave]()
      const { code, stderr } = await server.ended
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    }
    const server = await startServer(runtime, "tcp-server-once")
    const late = await peer.connect(server.port)
    await server.line(new RegExp(`^connection from ${late.address}$`))
    server.signal("SIGTERM")
    server.signal("SIGINT")
    await late.send("late")
    expect(String(await late.readToEnd())).toBe("thank you !")
    const { code, stdout } = await server.ended
    expect(stdout).toContain(`received: late\nclient left ${late.address}\n`)
    expect(code).toBe(0)
  })

  it("tcp-server-loop takes one message from each client and holds nobody up for a silent one", async () => {
    const server = await startServer(runtime, "tcp-server-loop", ["--reply", "谢谢", "--encoding", "gbk"])
    const silent = await peer.connect(server.port)
    for (const text of ["one", "two"]) {
      const client = await peer.connect(server.port)
      await client.send(text)
      expect(await client.readToEnd()).toEqual(Buffer.from(thanks))
      await server.line(new RegExp(`^received: ${text}$`))
      await server.line(new RegExp(`^client left ${client.address}$`))
      await client.close()
    }
    await silent.reset()
    await server.line(new RegExp(`^client left ${silent.address}$`))
    server.signal("SIGINT")
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("tcp-server-sessions answers every message, and ends the sessions that wait for one after a signal", async () => {
    const server = await startServer(runtime, "tcp-server-sessions")
    const silent = await peer.connect(server.port)
    const client = await peer.connect(server.port)
    await server.line(new RegExp(`^connection from ${client.address}$`))

    await client.send("one")
    expect(String(await client.receive())).toBe("thank you !")
    // One byte a receive: the characters come out whole, one after the other.
    const bytes = utf8("你好")
    for (const [at, text] of [[0, "你"], [3, "好"]] as const) {
      for (let i = at; i < at + 3; i++) await client.send(bytes.subarray(i, i + 1))
      expect(String(await client.receive())).toBe("thank you !")
      await server.line(new RegExp(`^received: ${text}$`))
    }

    server.signal("SIGTERM")
    server.signal("SIGTERM")
    expect(await client.readToEnd()).toHaveLength(0)
    const { code, stderr, stdout } = await server.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    for (const { address } of [client, silent]) expect(stdout).toContain(`client left ${address}\n`)
  })

  it("tcp-server-sessions --concurrency 1 lets the next client wait", async () => {
    const server = await startServer(runtime, "tcp-server-sessions", ["--concurrency", "1"])
    const first = await peer.connect(server.port)
    await first.send("first")
    expect(String(await first.receive())).toBe("thank you !")
    const second = await peer.connect(server.port)
    await second.send("second")
    await first.send("again")
    expect(String(await first.receive())).toBe("thank you !")
    await first.close()
    expect(String(await second.receive())).toBe("thank you !")
    await second.close()
    await server.line(new RegExp(`^client left ${second.address}$`))
    server.signal("SIGTERM")
    const { stdout } = await server.ended
    expect(stdout.split("\n").slice(1, -1)).toEqual([
      `connection from ${first.address}`,
      "received: first",
      "received: again",
      `client left ${first.address}`,
      `connection from ${second.address}`,
      "received: second",
      `client left ${second.address}`
    ])
  })

  it("tcp-echo-server gives everybody all bytes back", async () => {
    const server = await startServer(runtime, "tcp-echo-server")
    const silent = await peer.connect(server.port)
    expect(await peer.echo(server.port, 8 << 20, 1)).toBe(1)
    expect(await peer.echo(server.port, 1000, 200)).toBe(200)

    const broken = await peer.connect(server.port)
    await server.line(new RegExp(`^connection from ${broken.address}$`))
    await broken.send("to be lost")
    await broken.reset()
    const slow = await peer.connect(server.port)
    for (const byte of utf8("byte by byte")) await slow.send(Uint8Array.of(byte))
    await slow.shutdown()
    expect(String(await slow.readToEnd())).toBe("byte by byte")
    await slow.close()
    await server.line(new RegExp(`^client left ${slow.address}$`))

    server.signal("SIGINT")
    const { code, stderr, stdout } = await server.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout.match(/^connection from /mg)).toHaveLength(204)
    expect(stdout.match(/^client left /mg)).toHaveLength(204)
    expect(stdout).toContain(`client left ${silent.address}\n`)
  })

  it("tcp-echo-server --once ends after the first client", async () => {
    const server = await startServer(runtime, "tcp-echo-server", ["--once"])
    expect(await peer.echo(server.port, 100_000, 1)).toBe(1)
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("a port that is taken", async () => {
    const { port } = await peer.listen()
    const { code, stderr, stdout } = await finish(runtime, "tcp-echo-server", ["--port", String(port)])
    expect(stderr).toMatch(new RegExp(`^listen on 127.0.0.1:${port}: address already in use; .*another port.*\n$`))
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
  })

  it("half-close shows the four steps", async () => {
    const { code, stderr, stdout } = await finish(runtime, "half-close")
    expect(stdout).toMatch(/^1\. client: .*\n2\. server: .*\n3\. server: .*\n4\. client: .*\n$/)
    expect(stdout).toContain("8000000 of 8000000 bytes")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it("abnormal-disconnect names the error of each that broke off, and the others go on", async () => {
    const { code, stderr, stdout } = await finish(runtime, "abnormal-disconnect")
    const named = /^server: ConnectionReset: read from 127\.0\.0\.1:[1-9]\d*: connection reset by the peer$/mg
    expect(stdout.match(named)).toHaveLength(2)
    expect(stdout).toMatch(/^3 others have had their next answer$/m)
    expect(stdout.match(/closed in good order$/mg)).toHaveLength(3)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it("address-in-use fails to bind twice and binds again after the close", async () => {
    const { code, stderr, stdout } = await finish(runtime, "address-in-use")
    const port = /^first bind: listening on 127\.0\.0\.1:(\d+)$/m.exec(stdout)?.[1]
    expect(stdout).toContain(`second bind: AddressInUse: listen on 127.0.0.1:${port}: address already in use`)
    expect(stdout).toContain(`third bind: listening on 127.0.0.1:${port} again`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })
})
