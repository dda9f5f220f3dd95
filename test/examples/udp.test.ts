/**
 * The UDP programs of the tutorial, and those about addresses and queues, as their users see them: child processes
 * under every runtime, with plain sockets on the other side.
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
  "udp-server",
  "udp-client",
  "udp-broadcast",
  "bind-addresses",
  "backlog",
  "tcp-vs-udp",
  "reliable-udp"
]

/** 你好. */
const gbk = Uint8Array.of(0xc4, 0xe3, 0xba, 0xc3)

describe.concurrent.each(runtimes)(`under %s, against ${peer.language}`, { timeout: 60_000 }, (runtime) => {
  // What reads the flags is the same for all programs and runtimes; once is enough.
  describe.runIf(runtime === runtimes.at(-1)).concurrent("flags", () => {
    it.each(programs)("%s --help", async (name) => {
      const { code, stderr, stdout } = await finish(runtime, name, ["--help"])
      expect(stdout).toMatch(/usage/)
      expect(stdout).toContain(`npm run -s example -- ${name}`)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })

    it.each([
      ["udp-server", ["--port", "70000"], "--port 70000: not a port"],
      ["udp-broadcast", ["--group", "10.0.0.1"], "--group 10.0.0.1: not an IPv4 multicast address"],
      ["reliable-udp", ["--loss", "1"], "--loss 1: not a share of 0-0.9"]
    ])("%s %j", async (name, flags, line) => {
      const { code, stderr, stdout } = await finish(runtime, name, flags)
      expect(stderr.split("\n", 1)[0]).toBe(line)
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    })
  })

  /** Runs a program that needs no other side. */
  const output = async (name: string, flags: ReadonlyArray<string> = []): Promise<string> => {
    const { code, stderr, stdout } = await finish(runtime, name, flags)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    return stdout
  }

  describe.concurrent("udp-server", () => {
    it("prints each datagram, an empty one and no text too, until one says quit", async () => {
      const server = await startServer(runtime, "udp-server")
      const { address, send } = await peer.datagrams()
      for (const data of ["你好", "", Uint8Array.of(0xff), "quit now", "quit"]) await send(data, server.port)
      const { code, stderr, stdout } = await server.ended
      expect(stdout.split("\n").slice(1)).toEqual([
        `from ${address}: 你好`,
        `from ${address}: `,
        `from ${address}: \ufffd`,
        `from ${address}: quit now`,
        `from ${address}: quit`,
        ""
      ])
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })

    it("speaks GBK, and ends at a signal", async () => {
      const server = await startServer(runtime, "udp-server", ["--encoding", "gbk"])
      const { address, send } = await peer.datagrams()
      await send(gbk, server.port)
      await server.line(new RegExp(`^from ${address}: 你好$`))
      server.signal("SIGINT")
      expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
    })

    it("tells that its port is taken", async () => {
      const { port } = await peer.datagrams()
      const { code, stderr, stdout } = await finish(runtime, "udp-server", ["--port", String(port)])
      expect(stderr).toMatch(new RegExp(`127.0.0.1:${port}: address already in use; .*\n$`))
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    })
  })

  describe.concurrent("udp-client", () => {
    it("sends each line as a datagram and ends at an empty one", async () => {
      const { port, receive } = await peer.datagrams()
      const input = `127.0.0.1\n${port}\none\n你好\n\nnot sent\n`
      expect(await finish(runtime, "udp-client", [], { input })).toEqual({ code: 0, stdout: "", stderr: "" })
      expect(String(await receive())).toBe("one")
      expect(String(await receive())).toBe("你好")
    })

    it("goes on where nobody is, and is heard once somebody is", async () => {
      const { close, port } = await peer.datagrams()
      await close()
      const client = await start(runtime, "udp-client", ["--port", String(port)])
      client.type("one\ntwo\nthree\n")
      const server = await start(runtime, "udp-server", ["--port", String(port)], { second: true })
      await server.line(/^listening on /)
      client.type("quit\n\n")
      expect((await server.ended).stdout).toMatch(/: quit\n$/)
      expect(await client.ended).toEqual({ code: 0, stdout: "", stderr: "" })
    })
  })

  it.each([
    ["broadcast", []],
    ["multicast", ["--group", "239.255.77.88"]]
  ])("udp-broadcast reaches every receiver by %s", async (_, flags) => {
    const stdout = await output("udp-broadcast", ["--receivers", "4", ...flags])
    expect(stdout.match(/^receiver \d: "hello, everybody" from 127\.0\.0\.1:\d+$/mg)).toHaveLength(4)
  })

  it("bind-addresses shows who reaches which server", async () => {
    const [heads, loopback, otherLoopback] = (await output("bind-addresses")).split("\n")
    expect(heads).toMatch(/bound to 0\.0\.0\.0:\d+ +bound to 127\.0\.0\.1:\d+$/)
    expect(loopback).toMatch(/^127\.0\.0\.1 .* reached +reached$/)
    if (process.platform === "linux") expect(otherLoopback).toMatch(/^127\.0\.0\.2 .* reached +ConnectionRefused$/)
  })

  it("backlog: all wait, then each is served in its turn", async () => {
    const [waiting, taken] = (await output("backlog", ["--clients", "3"])).split("server: now accepts one by one\n")
    expect(waiting!.match(/^client \d: connected/mg)).toEqual([1, 2, 3].map((n) => `client ${n}: connected`))
    expect(taken!.match(/"I am client \d"/g)).toEqual([1, 2, 3].map((n) => `"I am client ${n}"`))
    expect(taken!.match(/^client \d: served$/mg)).toHaveLength(3)
  })

  it("backlog: one too many is turned away", async () => {
    const stdout = await output("backlog", ["--backlog", "1", "--clients", "3"])
    expect(stdout).toMatch(/^client 1: served$/m)
    expect(stdout).toMatch(/^client 3: turned away /m)
  })

  it("tcp-vs-udp fills its table with what it saw", async () => {
    const rows = (await output("tcp-vs-udp")).split("\n").map((line) => line.split(/ {2,}/))
    expect(rows[0]).toEqual(["", "TCP", "UDP"])
    expect(rows[2]).toEqual(["receives for 5 sends", expect.stringMatching(/^[1-5]$/), "5"])
    expect(rows[3]).toEqual(["all there, in order", "yes", "yes"])
    expect(rows[4]).toEqual(["100000 bytes in one send", "100000 arrive", "MessageTooLarge, nothing is sent"])
    expect(rows[5]![1]).toContain("ConnectionRefused")
  })

  it("reliable-udp brings all messages over a link that loses half", async () => {
    const stdout = await output("reliable-udp", ["--loss", "0.5", "--seed", "1"])
    expect(stdout).toMatch(/^link: has lost /m)
    expect(stdout).toMatch(/^receiver: \d+ is a duplicate: dropped$/m)
    const taken = Array.from(stdout.matchAll(/^receiver: (\d+) "message/mg), ([, sequence]) => Number(sequence))
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(stdout).toMatch(/^10 messages: .* [1-9]\d* sent again; all there, in order, each once$/m)
  })
})
