/**
 * SOCKS 5: its codecs under any cut of the bytes, what each request is answered, and what a hostile client gets.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, Option, type Scope, TestClock } from "effect"
import { type Connection, Net, type Network, Server, SocketAddress } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as fc from "fast-check"
import * as Socks5 from "../../examples/services/socks5/Socks5.ts"
import * as Socks5Server from "../../examples/services/socks5/Socks5Server.ts"
import { bytes, concat, cuts, decode, encode, hex, utf8 } from "../support/frames.ts"

const address = (text: string): string => hex(encode(Socks5.request, reply(text)))
const reply = (text: string): Socks5.Reply => ({ code: "succeeded", bound: SocketAddress.unsafeParse(text) as never })

describe("the codecs", () => {
  it.each([
    ["0501 00 01 7f000001 1f90", "connect", "127.0.0.1:8080"],
    ["0501 00 03 09 'localhost' 0050", "connect", "localhost:80"],
    ["0501 00 03 09 '127.0.0.1' 0050", "connect", "127.0.0.1:80"],
    ["0501 00 04 20010db8000000000000000000000001 01bb", "connect", "[2001:db8::1]:443"],
    ["0501 00 04 00000000000000000000ffff7f000001 01bb", "connect", "[::ffff:127.0.0.1]:443"],
    ["0502 00 01 00000000 0000", "bind", "0.0.0.0:0"],
    ["0503 00 01 00000000 0000", "udp associate", "0.0.0.0:0"],
    ["0509 00 01 00000000 0000", undefined, "0.0.0.0:0"]
  ])("read %s", (text, command, destination) => {
    fc.assert(fc.property(cuts, (cut) => {
      const { error, frames } = decode(Socks5.request, cut(concat([bytes(text), utf8("\x05\x01")])), false)
      expect(error).toBeUndefined()
      expect(frames.map((request) => [request.command, String(Either.getOrThrow(request.destination))]))
        .toEqual([[command, destination]])
    }))
  })

  it.each([
    ["0501 00 03 00 0050", "an empty name"],
    ["0501 00 03 03 ff0020 0050", "a name of any bytes"],
    ["0501 00 03 05 '127.1' 0050", "a name that would be read as an address"],
    ["0501 00 02", "an unknown type of address"]
  ])("take %s for %s", (text) => {
    const { error, frames } = decode(Socks5.request, [bytes(text)], false)
    expect(error).toBeUndefined()
    expect(Either.isLeft(frames[0]!.destination)).toBe(true)
  })

  it("write addresses", () => {
    expect(address("127.0.0.1:8080")).toBe("05000001" + "7f000001" + "1f90")
    expect(address("[2001:db8::1]:443")).toBe("05000004" + "20010db8000000000000000000000001" + "01bb")
    expect(address("[::1]:1")).toBe("05000004" + "00000000000000000000000000000001" + "0001")
    expect(address("[::]:0")).toBe("05000004" + "00".repeat(16) + "0000")
    expect(address("[fe80::1%eth0]:1")).toBe("05000004" + "fe800000000000000000000000000001" + "0001")
    expect(address("[1:2:3:4:5:6:7:8]:1")).toBe("05000004" + "00010002000300040005000600070008" + "0001")
    expect(address("/run/x.sock")).toBe("05000001" + "00000000" + "0000")
  })

  it("read greetings and passwords however they are cut", () => {
    fc.assert(fc.property(cuts, (cut) => {
      expect(decode(Socks5.greeting, cut(bytes("0502 0002"))).frames).toEqual([[0, 2]])
      expect(decode(Socks5.greeting, cut(bytes("0500"))).frames).toEqual([[]])
      expect(decode(Socks5.authentication, cut(bytes("01 05 'alice' 03 's:t'"))).frames)
        .toEqual([{ name: "alice", password: "s:t" }])
    }))
  })

  it("refuse other versions with their first byte", () => {
    expect(decode(Socks5.greeting, [bytes("04")]).error?._tag).toBe("FrameMalformed")
    expect(decode(Socks5.request, [bytes("04")]).error?._tag).toBe("FrameMalformed")
    expect(decode(Socks5.authentication, [bytes("05")]).error?._tag).toBe("FrameMalformed")
  })

  it("survive noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }).map((noise) => Uint8Array.from(noise)), cuts, (noise, cut) => {
        decode(Socks5.greeting, cut(noise))
        decode(Socks5.authentication, cut(noise))
        decode(Socks5.request, cut(noise))
      })
    )
  })
})

const listen = { host: "127.0.0.1", port: 0 }

const options: Socks5Server.Options = {
  credentials: undefined,
  allow: [],
  deny: [],
  handshakeTimeout: Duration.seconds(10),
  connectTimeout: Duration.seconds(10)
}

type Body = (
  client: Connection.Connection,
  proxy: Server.Running
) => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>

const inMemory = (name: string, changes: Partial<Socks5Server.Options>, body: Body) =>
  it.scoped(name, () =>
    Effect.gen(function* () {
      const handler = Socks5Server.makeHandler({ ...options, ...changes })
      const proxy = yield* Server.serve(Server.make({ listen, handler }))
      yield* body(yield* Net.connect(proxy.address), proxy)
    }).pipe(Effect.provide(MemoryNetwork.layer)))

/** All that comes, to the end of stream. */
const rest = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    let all = ""
    for (let chunk = yield* connection.read; Option.isSome(chunk); chunk = yield* connection.read) {
      all += hex(chunk.value)
    }
    return all
  })

const to = (port: number): Uint8Array => Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255)
const portOf = ({ address }: { readonly address: SocketAddress.SocketAddress }): number =>
  (address as SocketAddress.InetAddress).port
const nowhere = "05 01 00 01 7f000001 0009"
const blocks = (...texts: ReadonlyArray<string>) => texts.map(SocketAddress.unsafeParseCidr)

describe("the proxy", () => {
  inMemory(
    "gives the relay what came with the request, and passes half-closes on",
    {},
    (client) =>
      Effect.gen(function* () {
        const listener = yield* Net.listen(listen)
        yield* client.writeAll([bytes("050100"), to(portOf(listener)), "hello"])
        yield* client.shutdown
        const server = yield* listener.accept
        expect(yield* rest(server)).toBe(hex(utf8("hello")))
        yield* server.write("goodbye")
        yield* server.shutdown
        const bound = hex(encode(Socks5.request, { code: "succeeded", bound: server.remoteAddress }))
        expect(yield* rest(client)).toBe(`0500${bound}${hex(utf8("goodbye"))}`)
      })
  )

  describe.each<[string, Partial<Socks5Server.Options>, string, string]>([
    ["refused", {}, nowhere, "05"],
    ["not allowed", { allow: blocks("10.0.0.0/8") }, nowhere, "02"],
    ["denied", { deny: blocks("127.0.0.0/8") }, nowhere, "02"],
    ["denied though allowed", { allow: blocks("127.0.0.0/8"), deny: blocks("127.0.0.1") }, nowhere, "02"],
    ["allowed", { allow: blocks("127.0.0.1") }, nowhere, "05"],
    [
      "denied in another spelling",
      { deny: blocks("127.0.0.1") },
      `05 01 00 04 ${"00".repeat(10)}ffff7f000001 0009`,
      "02"
    ],
    ["denied as 0.0.0.0", { deny: blocks("127.0.0.0/8") }, "05 01 00 01 00000000 0009", "02"],
    ["no such name", { deny: blocks("10.0.0.0/8") }, "05 01 00 03 0c 'nosuch.local' 0009", "04"],
    ["no name at all", {}, "05 01 00 03 00 0009", "04"],
    ["BIND", {}, "05 02 00 01 7f000001 0009", "07"],
    ["UDP ASSOCIATE", {}, "05 03 00 01 7f000001 0009", "07"],
    ["an unknown command", {}, "05 09 00 01 7f000001 0009", "07"],
    ["an unknown type of address", {}, "05 01 00 05 00", "08"]
  ])("%s", (_, changes, request, code) => {
    inMemory(`is answered ${code}`, changes, (client) =>
      Effect.gen(function* () {
        yield* client.writeAll([bytes("050100"), bytes(request)])
        expect(yield* rest(client)).toBe(`050005${code}000100000000` + "0000")
      }))
  })

  const credentials = { name: "alice", password: "secret" }

  describe.each([
    ["the right password", "050102 01 05 'alice' 06 'secret'", "0502" + "0100" + "05050001000000000000"],
    ["a wrong password", "050102 01 05 'alice' 06 'Secret'", "0502" + "0101"],
    ["a shorter password", "050102 01 05 'alice' 05 'secre'", "0502" + "0101"],
    ["an empty password", "050102 01 05 'alice' 00", "0502" + "0101"],
    ["a wrong name", "050102 01 03 'bob' 06 'secret'", "0502" + "0101"],
    ["no password", "050100", "05ff"],
    ["no method", "0500", "05ff"]
  ])("with a user, %s", (_, handshake, answer) => {
    inMemory(`is answered ${answer}`, { credentials }, (client) =>
      Effect.gen(function* () {
        yield* client.writeAll([bytes(handshake), bytes(nowhere)])
        expect(yield* rest(client)).toBe(answer)
      }))
  })

  inMemory(
    "without a user, does not take a client that only offers a password",
    {},
    (client) =>
      Effect.gen(function* () {
        yield* client.write(bytes("050102"))
        expect(yield* rest(client)).toBe("05ff")
      })
  )

  inMemory(
    "ends a handshake that takes too long, however many bytes come",
    {},
    (client, proxy) =>
      Effect.gen(function* () {
        for (const byte of bytes("05ff000102")) {
          yield* client.write(Uint8Array.of(byte))
          yield* TestClock.adjust("1900 millis")
        }
        expect((yield* proxy.status).active).toBe(1)
        yield* TestClock.adjust("1 second")
        expect((yield* proxy.status).active).toBe(0)
      })
  )

  inMemory("ends alone who sends noise or leaves in the middle", {}, (first, proxy) =>
    Effect.gen(function* () {
      yield* first.write(bytes("0503"))
      yield* first.shutdown
      expect(yield* rest(first)).toBe("")
      const noise = yield* Net.connect(proxy.address)
      yield* noise.write("GET / HTTP/1.1\r\n\r\n")
      expect(yield* rest(noise)).toBe("")
      const good = yield* Net.connect(proxy.address)
      yield* good.write(bytes("050100"))
      expect(hex(yield* good.readExactly(2))).toBe("0500")
    }))
})
