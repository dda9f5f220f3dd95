/**
 * The DNS programs as processes under every runtime: the server driven by dig, dnsperf and plain sockets, the client
 * against it and against servers that are not well.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, start, startServer, stopAll } from "../examples/Child.ts"
import { makePeer } from "../examples/Peer.ts"
import { bytes, hex } from "../support/frames.ts"
import { installed, runTool, stopTools } from "./tools.ts"

const peer = makePeer()
const dig = installed("dig", "bind9-dnsutils")
const dnsperf = installed("dnsperf", "dnsperf")
const folder = mkdtempSync(join(tmpdir(), "netkit-dns-"))

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

/** The query for `web.example.test. A`, as it is and after its length. */
const query = "0007 0100 0001 0000 0000 0000 03'web'07'example'04'test'00 0001 0001"
const framed = bytes(`0022 ${query}`)
/** The response to it. */
const response = "000785000001000200000000" + hex(bytes("03'web'07'example'04'test'00 0001 0001")) +
  "c00c000100010000 0e10 0004 c0000250 c00c00010001 00000e10 0004 c0000251".replace(/ /g, "")

describe.each(runtimes)("under %s", { timeout: 60_000 }, (runtime) => {
  it.skipIf(!dig)("dig", async () => {
    const server = await startServer(runtime, "dns-server")
    const ask = async (...args: ReadonlyArray<string>) => {
      const { code, stdout } = await runTool("dig", ["@127.0.0.1", "-p", String(server.port), "+tries=2", ...args])
      expect(code, stdout).toBe(0)
      return stdout
    }
    const short = async (...args: ReadonlyArray<string>) => (await ask("+short", ...args)).split("\n").slice(0, -1)

    expect(await short("web.example.test")).toEqual(["192.0.2.80", "192.0.2.81"])
    expect(await short("WWW.example.TEST", "AAAA")).toEqual(["web.example.TEST.", "2001:db8::80"])
    expect(await short("example.test", "MX")).toEqual(["10 mail.example.test.", "20 mail.elsewhere.test."])
    expect(await short("example.test", "TXT")).toEqual(['"v=spf1 mx -all"'])
    expect(await short("dot\\.ted.example.test", "TXT")).toEqual(['"a dot in a label" "and \\"quotes\\"; no comment"'])
    expect(await short("example.test", "NS")).toEqual(["ns1.example.test.", "ns2.example.test."])
    expect(await short("+noedns", "web.example.test")).toEqual(["192.0.2.80", "192.0.2.81"])
    expect(await short("+tcp", "web.example.test")).toEqual(["192.0.2.80", "192.0.2.81"])
    expect(await short("+tcp", "+keepopen", "web.example.test", "mail.example.test")).toEqual([
      "192.0.2.80",
      "192.0.2.81",
      "192.0.2.25"
    ])

    const negative = await ask("nobody.example.test")
    expect(negative).toContain("status: NXDOMAIN")
    expect(negative).toMatch(/^example\.test\.\s+300\s+IN\s+SOA\s/m)
    expect(await ask("web.example.test", "MX")).toMatch(/status: NOERROR[^]*ANSWER: 0, AUTHORITY: 1[^]*\sSOA\s/)
    expect(await ask("example.org")).toContain("status: REFUSED")
    expect(await ask("example.test", "-c", "CH")).toContain("status: REFUSED")
    expect(await ask("+opcode=NOTIFY", "example.test", "SOA")).toContain("status: NOTIMP")
    expect(await ask("+edns=1", "+noednsneg", "example.test")).toContain("status: BADVERS")
    expect(await ask("a.child.example.test")).toMatch(/flags: qr rd;[^]*ns\.child\.example\.test\.\s+3600\s+IN\s+A\s/)

    const cut = await ask("+bufsize=512", "+ignore", "big.example.test", "TXT")
    expect(cut).toMatch(/flags: qr aa tc rd; QUERY: 1, ANSWER: 0,/)
    expect(await ask("+bufsize=512", "big.example.test", "TXT")).toMatch(
      /^;; Truncated, retrying in TCP mode\.[^]*flags: qr aa rd; QUERY: 1, ANSWER: 6,/
    )
    await stop(server)
  })

  it.skipIf(!dnsperf)("dnsperf", async () => {
    const server = await startServer(runtime, "dns-server")
    const names = join(folder, `${runtime}.txt`)
    writeFileSync(names, "web.example.test A\nwww.example.test AAAA\nnobody.example.test A\nexample.test MX\n")
    for (const mode of ["udp", "tcp"]) {
      const args = ["-s", "127.0.0.1", "-p", String(server.port), "-m", mode, "-d", names, "-n", "1000", "-c", "4"]
      const { code, stdout } = await runTool("dnsperf", args)
      expect(stdout).toMatch(/Queries completed:\s+4000 \(100\.00%\)/)
      expect(stdout).toMatch(/Response codes:\s+NOERROR 3000 \(75\.00%\), NXDOMAIN 1000 \(25\.00%\)/)
      expect(code).toBe(0)
    }
    await stop(server)
  })

  it("plain datagrams, most of them no queries", async () => {
    const server = await startServer(runtime, "dns-server")
    const { receive, send } = await peer.datagrams()
    const formErr = "000781010000000000000000"
    for (
      const [datagram, answer] of [
        ["", undefined],
        ["0007 0100 0001 0000 0000 00", undefined],
        [query.replace("0100", "8180"), undefined],
        ["ff".repeat(1500), undefined],
        ["0007 0100 0001 0000 0000 0000", formErr],
        ["0007 0100 0001 0000 0000 0000 c00c 0001 0001", formErr],
        ["0007 0100 0001 0000 0000 0000 03'web'c00c 0001 0001", formErr],
        ["0007 0100 ffff ffff ffff ffff 00 0001 0001", formErr],
        [query.replace("0001 0000 0000", "0001 0001 0000"), formErr],
        [`${query} 00`, formErr],
        [query.replace("0100", "2900"), "0007a9040000000000000000"],
        [query.replace("0100", "7000"), "0007f0040000000000000000"]
      ] as const
    ) {
      await send(bytes(datagram), server.port)
      if (answer !== undefined) expect([datagram, (await receive()).toString("hex")]).toEqual([datagram, answer])
    }
    for (let i = 0; i < 500; i++) await send(crypto.getRandomValues(new Uint8Array(i)), server.port)
    // Whatever some of them were answered, the next query is answered too; the receiver may have lost its own.
    const other = await peer.datagrams()
    await other.send(bytes(query), server.port)
    expect((await other.receive()).toString("hex")).toBe(response)
    await stop(server)
  })

  it("plain connections: cut, pipelined, half-closed, hostile, silent", async () => {
    const server = await startServer(runtime, "dns-server", ["--idle", "4"])
    const silent = await peer.connect(server.port)

    const cut = await peer.connect(server.port)
    for (const byte of framed) await cut.send(Uint8Array.of(byte))
    expect((await cut.receive()).toString("hex")).toBe(`0042${response}`)
    await server.line(new RegExp(`^connection from ${cut.address}$`))

    const pipelined = await peer.connect(server.port)
    await pipelined.send(Buffer.concat(Array(5000).fill(framed)))
    await pipelined.shutdown()
    expect((await pipelined.readToEnd()).equals(Buffer.from(`0042${response}`.repeat(5000), "hex"))).toBe(true)

    for (
      const rubbish of [
        "GET / HTTP/1.1\r\n\r\n",
        Uint8Array.of(0, 0),
        Uint8Array.of(0, 3, 1, 2, 3),
        "\xff".repeat(70_000)
      ]
    ) {
      const hostile = await peer.connect(server.port)
      // Python's socket may be reset while it sends to a server that has heard enough.
      await hostile.send(rubbish).catch(() => {})
      await hostile.shutdown().catch(() => {})
      await hostile.readToEnd().catch(() => {})
    }
    const gone = await peer.connect(server.port)
    await gone.send(framed)
    await gone.reset()

    const last = await peer.connect(server.port)
    await last.send(framed)
    expect((await last.receive()).toString("hex")).toBe(`0042${response}`)
    expect(await silent.readToEnd()).toHaveLength(0)
    await stop(server)
  })

  it("its own client", async () => {
    const server = await startServer(runtime, "dns-server")
    const ask = (...args: ReadonlyArray<string>) =>
      finish(runtime, "dns-client", [...args, "--port", String(server.port)])
    expect(await ask("www.example.test")).toEqual({
      code: 0,
      stdout: "web.example.test.\n192.0.2.80\n192.0.2.81\n",
      stderr: ""
    })
    const { code, stdout } = await ask("big.example.test.", "txt", "--server", "127.0.0.1")
    expect(stdout.match(/^"\d Lorem ipsum .*"$/mg)).toHaveLength(6)
    expect(code).toBe(0)
    expect(await ask("nobody.example.test", "MX")).toEqual({
      code: 1,
      stdout: "",
      stderr: "nobody.example.test.: no such name (NXDOMAIN)\n"
    })
    expect(await ask("web.example.test", "MX")).toMatchObject({ code: 1, stderr: "web.example.test.: no MX records\n" })
    await stop(server)
  })

  it("its client with a server that does not answer", async () => {
    const { close, port, receive } = await peer.datagrams()
    const client = await start(runtime, "dns-client", ["a.b", "--port", String(port), "--timeout", "2"])
    const first = await receive()
    // Sent again after a second, as it was.
    expect((await receive()).equals(first)).toBe(true)
    const { code, stderr, stdout } = await client.ended
    expect(stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}: nothing received within 2s\n$`))
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    await close()
  })
})

/** What reads flags and files is the same under all; once is enough. */
describe("flags", { timeout: 60_000 }, () => {
  const runtime = runtimes.at(-1)!

  it.each(["dns-server", "dns-client"])("%s --help", async (name) => {
    const { code, stderr, stdout } = await finish(runtime, name, ["--help"])
    expect(stdout).toMatch(/usage/)
    expect(stdout).toContain(`npm run -s example -- ${name}`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it.each([
    [[], "error: missing required argument 'name'"],
    [["a..b"], "name a..b: not a domain name"],
    [["a.b", "SPAM"], "type SPAM: not a type of records, such as A, MX or TYPE65"],
    [["a.b", "A", "more"], "error: too many arguments. Expected 2 arguments but got 3."]
  ])("dns-client %j", async (flags, line) => {
    const { code, stderr, stdout } = await finish(runtime, "dns-client", flags)
    expect(stderr.split("\n", 1)[0]).toBe(line)
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  })

  it("dns-server --zone, with a fault in its line", async () => {
    const zone = join(folder, "fault.zone")
    writeFileSync(zone, "$ORIGIN t.\n@ 5 SOA a b 1 2 3 4 5\nx 5 A 1.2.3\n")
    expect(await finish(runtime, "dns-server", ["--port", "0", "--zone", zone])).toEqual({
      code: 1,
      stdout: "",
      stderr: `${zone}:3: not an IPv4 address: 1.2.3\n`
    })
    const { code, stderr } = await finish(runtime, "dns-server", ["--port", "0", "--zone", join(folder, "none")])
    expect(stderr).toContain("no such file")
    expect(code).toBe(1)
  })
})
