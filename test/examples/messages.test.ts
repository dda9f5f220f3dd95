/**
 * The programs of the tutorial that speak in messages, as their users see them: child processes under every runtime,
 * with plain sockets on the other side.
 */
import * as net from "node:net"
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, start, startServer, stopAll } from "./Child.ts"
import { nodePeer } from "./NodePeer.ts"
import { makePeer, type RawSocket } from "./Peer.ts"

const peer = makePeer()

/** In this process: Python's sockets are too far away for thousands of turns, or megabytes. */
const near = nodePeer()

afterAll(() => {
  stopAll()
  peer.stop()
})

const programs = [
  "tcp-gbk-server",
  "message-boundaries",
  "chat-server",
  "chat-client",
  "robot-server",
  "robot-client",
  "random-chat-server",
  "random-chat-client",
  "tcp-header"
]

/** Exactly this comes next, in however many pieces. */
const expectNext = async (socket: RawSocket, expected: string | Uint8Array) => {
  const wanted = Buffer.from(expected)
  let got = Buffer.alloc(0)
  while (got.length < wanted.length) {
    const piece = await socket.receive()
    got = Buffer.concat([got, piece])
    if (piece.length === 0) break
  }
  // Byte by byte only if they differ: it is slow.
  if (!got.equals(wanted)) expect(got).toEqual(wanted)
}

/** Sends texts raw, each after the answer to the one before. */
const answersTo = async (socket: RawSocket, texts: Iterable<string>): Promise<ReadonlyArray<string>> => {
  const answers: Array<string> = []
  for (const text of texts) {
    await socket.send(text)
    answers.push(String(await socket.receive()))
  }
  return answers
}

describe.concurrent.each(runtimes)(`under %s, against ${peer.language}`, { timeout: 60_000 }, (runtime) => {
  /** A client program, connected to the peer. */
  const dial = async (name: string, flags: ReadonlyArray<string> = []) => {
    const listener = await peer.listen()
    const client = await start(runtime, name, ["--port", String(listener.port), ...flags])
    return { client, socket: await listener.accept() }
  }

  // What reads the flags is the same for all programs and runtimes; once is enough.
  describe.runIf(runtime === runtimes.at(-1)).concurrent("flags", () => {
    it.each(programs)("%s --help", async (name) => {
      const { code, stderr, stdout } = await finish(runtime, name, ["--help"])
      expect(stdout).toMatch(/usage/)
      expect(stdout).toContain(`npm run -s example -- ${name}`)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })

    it.each([
      ["robot-server", ["--framing", "words"], "--framing words: not one of raw, lines"],
      ["random-chat-server", ["--seed", "x"], "--seed x: not a whole number"],
      ["tcp-header", ["--hex", "1e6c"], "--hex 1e6c: not a whole TCP header in hexadecimal digits"],
      ["tcp-header", ["--hex", "f".repeat(40)], `--hex ${"f".repeat(40)}: not a whole TCP header in hexadecimal digits`]
    ])("%s %j", async (name, flags, line) => {
      const { code, stderr, stdout } = await finish(runtime, name, flags)
      expect(stderr.split("\n", 1)[0]).toBe(line)
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    })
  })

  describe.each(["chat-client", "robot-client"])("%s", (name) => {
    it("ends with the connection while standard input is open", async () => {
      const closed = await dial(name)
      await closed.socket.close()
      const { code, stderr, stdout } = await closed.client.ended
      expect(stdout).toMatch(/(^|\n)peer closed the connection\n$/)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })

      const reset = await dial(name)
      reset.client.type("hello\n")
      await reset.socket.receive()
      await reset.socket.reset()
      const ended = await reset.client.ended
      expect(ended.stderr).toMatch(/^read from 127\.0\.0\.1:\d+: connection reset by the peer\n$/)
      expect(ended.code).toBe(1)
    })
  })

  it("tcp-gbk-server reads GBK and answers in UTF-8", async () => {
    const server = await startServer(runtime, "tcp-gbk-server")
    const silent = await peer.connect(server.port)
    const client = await peer.connect(server.port)
    await client.send(Uint8Array.of(0xc4, 0xe3, 0xba))
    await expectNext(client, "你")
    await client.send(Uint8Array.of(0xc3))
    await expectNext(client, "好")
    // Half a character, which is dropped at the end of the stream.
    await client.send(Uint8Array.of(0xc4))
    await client.shutdown()
    expect(await client.readToEnd()).toHaveLength(0)
    await silent.reset()
    await server.line(new RegExp(`^client left ${silent.address}$`))
    server.signal("SIGTERM")
    const { code, stderr, stdout } = await server.ended
    expect(stdout.match(/^received: .*$/mg)).toEqual(["received: 你", "received: 好"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it.each([["raw", ""], ["lines", "\n"]])("robot-server answers by its rules: %s", async (framing, end) => {
    const server = await startServer(runtime, "robot-server", ["--framing", framing, "--name", "小白"])
    const robot = await peer.connect(server.port)
    const answer = async (text: string) => String((await answersTo(robot, [text + end]))[0])
    expect(await answer("你好")).toBe(`你好${end}`)
    expect(await answer("HeLLo, what is your name and the time?")).toBe(`你好${end}`)
    expect(await answer("你叫什么名字")).toBe(`小白${end}`)
    expect(await answer("Name?")).toBe(`小白${end}`)
    const before = Date.now()
    const time = await answer("what TIME is it")
    expect(time).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d${end}$`))
    expect(Date.parse(time.trim().replace(" ", "T"))).toBeGreaterThan(before - 1000)
    expect(Date.parse(time.trim().replace(" ", "T"))).toBeLessThanOrEqual(Date.now())
    expect(await answer("时间")).toMatch(/^\d{4}-/)
    expect(await answer("?")).toMatch(/^对不起/)
    if (framing === "lines") {
      await robot.send("hello\r\nnam")
      await expectNext(robot, "你好\n")
      await robot.send("e\n")
      await expectNext(robot, "小白\n")
    }
    await robot.close()
    await server.line(new RegExp(`^client left ${robot.address}$`))
    server.signal("SIGINT")
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it.each([["raw", ""], ["lines", "\n"]])("robot-client talks until an empty line: %s", async (framing, end) => {
    const { client, socket } = await dial("robot-client", ["--framing", framing])
    client.type("你好\nsecond\n")
    await expectNext(socket, `你好${end}`)
    await socket.send(`one${end}`)
    await expectNext(socket, `second${end}`)
    await socket.send(`two${end}`)
    await client.line(/^two$/)
    client.type("\nnever\n")
    expect(await socket.readToEnd()).toHaveLength(0)
    const { code, stderr, stdout } = await client.ended
    const [banner, ...answers] = stdout.split("\n")
    const [, left, right] = /^(\*+) .* (\*+)$/.exec(banner!)!
    expect(Math.abs(left!.length - right!.length)).toBeLessThanOrEqual(1)
    expect(answers).toEqual(["one", "two", ""])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it("random-chat-server answers with what it was told, in an order that --seed repeats, until Bye", async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `消息 ${i}`)
    const chat = async () => {
      const server = await startServer(runtime, "random-chat-server", ["--seed", "7"])
      const client = await peer.connect(server.port)
      const answers = await answersTo(client, texts)
      await client.send("Bye")
      expect(await client.readToEnd()).toHaveLength(0)
      const next = await peer.connect(server.port)
      const others = await answersTo(next, Array(20).fill("again"))
      server.signal("SIGTERM")
      await next.close()
      expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
      return { answers, others }
    }
    const first = await chat()
    first.answers.forEach((answer, i) => expect(texts.slice(0, i + 1)).toContain(answer))
    expect(new Set(first.answers).size).toBeGreaterThan(1)
    first.others.forEach((answer) => expect([...texts, "again"]).toContain(answer))
    expect(first.others.filter((answer) => answer !== "again").length).toBeGreaterThan(0)
    expect(await chat()).toEqual(first)
  })

  it.runIf(runtime === runtimes[0])("random-chat-server remembers the newest 1,000 messages", async () => {
    const server = await startServer(runtime, "random-chat-server")
    const client = await near.connect(server.port)
    await answersTo(client, Array(1000).fill("old"))
    const meanwhile = await answersTo(client, Array(1000).fill("new"))
    expect(meanwhile.slice(0, -100)).toContain("old")
    expect(new Set(await answersTo(client, Array(100).fill("new")))).toEqual(new Set(["new"]))
    await client.close()
    server.signal("SIGTERM")
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("random-chat-client prints answers until Bye", async () => {
    const { client, socket } = await dial("random-chat-client")
    client.type("\n你好\nBye\n")
    await expectNext(socket, "你好")
    await socket.send("回答")
    await expectNext(socket, "Bye")
    await socket.close()
    expect(await client.ended).toEqual({ code: 0, stdout: "回答\npeer closed the connection\n", stderr: "" })
  })

  it("chat: each line goes to all the others, one typed at the server to all", async () => {
    const server = await startServer(runtime, "chat-server")
    const anna = await peer.connect(server.port)
    const broken = await peer.connect(server.port)
    await server.line(new RegExp(`^connection from ${anna.address}$`))
    await server.line(new RegExp(`^connection from ${broken.address}$`))
    const client = await start(runtime, "chat-client", ["--port", String(server.port)], { second: true })
    const [, bert] = await server.line(/^connection from (.*)$/)

    client.type("\n大家好\n")
    await server.line(new RegExp(`^${bert}: 大家好$`))
    await expectNext(anna, "大家好\n")
    // Bytes that are no text are passed on as they came, a line in pieces goes out whole, an empty one not at all.
    await anna.send(Uint8Array.of(0xff, 0x0a, 0x0a, 0x68))
    await server.line(new RegExp(`^${anna.address}: \uFFFD$`))
    await anna.send("i\r\n")
    await expectNext(broken, Buffer.concat([Buffer.from("大家好\n"), Buffer.of(0xff, 0x0a), Buffer.from("hi\n")]))
    await client.line(/^hi$/)
    await server.line(new RegExp(`^${anna.address}: hi$`))
    await broken.reset()
    await server.line(new RegExp(`^client left ${broken.address}$`))

    server.type("\n欢迎\n")
    await client.line(/^server: 欢迎$/)
    await expectNext(anna, "server: 欢迎\n")
    // Typed after the signal it would be a race: a client that the drain finds idle is let go.
    client.type("bye\n")
    await expectNext(anna, "bye\n")
    server.signal("SIGINT")
    server.signal("SIGINT")
    await anna.close()
    client.signal("SIGTERM")
    expect(await client.ended).toMatchObject({ code: 0, stderr: "" })
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("chat-client sends piped lines and ends with them; the server goes on after its own input", async () => {
    const server = await startServer(runtime, "chat-server", ["--encoding", "gbk"], { input: "to nobody\n" })
    const anna = await peer.connect(server.port)
    await server.line(new RegExp(`^connection from ${anna.address}$`))
    const flags = ["--port", String(server.port), "--encoding", "gbk"]
    const client = await finish(runtime, "chat-client", flags, { input: "你\n好", second: true })
    expect(client).toEqual({ code: 0, stdout: "", stderr: "" })
    await server.line(/: 你$/)
    await server.line(/: 好$/)
    await server.line(/^client left/)
    await anna.close()
    server.signal("SIGTERM")
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("chat-server drops a client that does not read, and holds nobody up for it", async () => {
    const server = await startServer(runtime, "chat-server")
    const stalled = net.connect(server.port, "127.0.0.1").pause()
    const [, name] = await server.line(/^connection from (.*)$/)
    stalled.on("error", () => {})
    const reader = await near.connect(server.port)
    await server.line(new RegExp(`^connection from ${reader.address}$`))
    let dropped = false
    const dropping = server.line(new RegExp(`^dropped ${name}:`)).then(() => dropped = true)
    const text = "x".repeat(60_000)
    while (!dropped) {
      server.type(`${text}\n`)
      await expectNext(reader, `server: ${text}\n`)
    }
    await dropping
    await server.line(new RegExp(`^client left ${name}$`))
    stalled.destroy()
    await reader.close()
    server.signal("SIGTERM")
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("message-boundaries", async () => {
    const { code, stderr, stdout } = await finish(runtime, "message-boundaries")
    expect(stdout).toMatch(/^raw: 5 sends arrive as 1 receive: onetwothreefourfive$/m)
    expect(stdout).toMatch(/^raw: 1 send of 1000000 bytes arrives as ([2-9]|\d\d+) receives$/m)
    expect(stdout).toMatch(/^length-prefixed: 6 sends arrive as 6 messages:$/m)
    expect(stdout.match(/^ {2}\d+ bytes: .*$/mg)).toHaveLength(6)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it("tcp-header", async () => {
    const value = (stdout: string, field: string) => new RegExp(`^${field} +\\d+ +(\\S+)`, "m").exec(stdout)?.[1]
    const sample = await finish(runtime, "tcp-header")
    expect(value(sample.stdout, "source port")).toBe("7788")
    expect(["URG", "ACK", "PSH", "RST", "SYN", "FIN"].map((flag) => value(sample.stdout, flag)).join("")).toBe("010010")
    const hex = "0001 ffff fffffffe 00000003 5029 0102 00ab 0004 aabb"
    const own = await finish(runtime, "tcp-header", ["--hex", hex])
    const fields = [
      "source port",
      "destination port",
      "sequence number",
      "acknowledgement number",
      "header length",
      "window"
    ]
    expect(fields.map((field) => value(own.stdout, field))).toEqual(["1", "65535", "4294967294", "3", "20", "258"])
    expect(["URG", "ACK", "PSH", "RST", "SYN", "FIN"].map((flag) => value(own.stdout, flag)).join("")).toBe("101001")
    expect(value(own.stdout, "checksum")).toBe("0x00ab")
    expect(value(own.stdout, "urgent pointer")).toBe("4")
    expect(own).toMatchObject({ code: 0, stderr: "" })
  })
})
