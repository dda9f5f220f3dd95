/**
 * Addresses and CIDR blocks as text and values: the examples of the RFCs, what must be refused, and round trips.
 * The URL parser and BigInt arithmetic stand beside our own as independent judges.
 */
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { pipe } from "effect/Function"
import * as Hash from "effect/Hash"
import * as fc from "fast-check"
import { InvalidOption } from "../src/NetError.ts"
import * as SocketAddress from "../src/SocketAddress.ts"

const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
const groupText = (parts: ReadonlyArray<number>): string => parts.map((part) => part.toString(16)).join(":")
const ipv6 = fc.oneof(fc.ipV6(), groups.map(groupText))
const scoped = fc.tuple(ipv6, fc.stringMatching(/^[a-z0-9@.-]{1,15}$/)).map(([host, zone]) => `${host}%${zone}`)
const label = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_-]{0,20}$/)
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."))
  .filter((text) => text.toLowerCase() !== "unix")
const inetAddress = fc.tuple(fc.oneof(fc.ipV4(), ipv6, scoped, name), fc.nat(65535))
  .map(([host, port]) => SocketAddress.inet(host, port))
const unixAddress = fc.string({ unit: "grapheme", minLength: 1, maxLength: 24 })
  .filter((path) => Either.isRight(SocketAddress.fromInput({ path })))
  .map(SocketAddress.unix)

/** The canonical text, or what is wrong. */
const outcome = (result: Either.Either<unknown, InvalidOption>): string =>
  Either.match(result, { onLeft: (error) => error.message, onRight: String })

const notAnAddress = "not an address such as host:port, [::1]:port or unix:path"
const notAHost = "not a host name or IP address"
const notAPath = "not a Unix socket path of 1-107 bytes"

const hostOf = (text: string): string => SocketAddress.inet(text, 0).host
const isHost = (host: string): boolean => Either.isRight(SocketAddress.fromInput({ host, port: 0 }))

describe("host", () => {
  // RFC 4291, 2.2 and 2.5; RFC 5952, 1, 2, 4 and 5; RFC 6052, 2.4; RFC 4007, 11.
  it.each([
    ["ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"],
    ["2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"],
    ["FF01:0:0:0:0:0:0:101", "ff01::101"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:13.1.68.3", "::d01:4403"],
    ["0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"],
    ["0000:0000:0000:0000:0000:ffff:129.144.152.138", "::ffff:129.144.152.138"],
    ["::FFFF:8190:3426", "::ffff:129.144.52.38"],
    ["2001:0DB8:0000:CD30:0000:0000:0000:0000", "2001:db8:0:cd30::"],
    ["2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:aaaa:bbbb:cccc:dddd::1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["fe80::1234%ne0", "fe80::1234%ne0"],
    ["FE80:0::0.0.0.1%Eth0.100", "fe80::1%Eth0.100"],
    ["[::1]", "::1"],
    ["255.255.255.255", "255.255.255.255"],
    ["Example.COM.", "example.com."],
    ["_sip._tcp.xn--bcher-kva.example", "_sip._tcp.xn--bcher-kva.example"]
  ])("%s becomes %s", (text, canonical) => expect(hostOf(text)).toBe(canonical))

  it.each([
    ...["", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8"],
    ...["1:2:3:4::5:6:7:8", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "12345::", "::g", "::-1", "::1%", "::1%a%b", "::1%a b"],
    ...["::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4%eth0"],
    ...["[1.2.3.4]", "[example.com]", "[::1", "::1]", "[[::1]]"],
    // Numbers that a resolver may read as an address (RFC 6943, 3.1.1).
    ...["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "256.1.1.1", "1.2.3.4.5", "a.1"],
    ...[".", "a..b", ".a", " a", "a b", "a/b", "a@b", "a\0", "a\n", "bücher.example", "127。0。0。1", "x".repeat(64)]
  ])("%j is none", (text) => expect(isHost(text)).toBe(false))

  it("may be a name of 253 characters and no more", () => {
    const longest = `${"x".repeat(63)}.`.repeat(3) + "y".repeat(61)
    expect([longest, `${longest}.`, `${longest}y`].map(isHost)).toEqual([true, true, false])
  })

  // Written in full, since Bun's parser refuses some addresses with `::`.
  it("agrees with the URL parser on every IPv6 address", () => {
    fc.assert(fc.property(groups.map(groupText), (text) => {
      const canonical = `[${hostOf(text)}]`
      const { hostname } = new URL(`http://[${text}]`)
      // URLs write mapped addresses in hexadecimal.
      expect(canonical.includes(".") ? new URL(`http://${canonical}`).hostname : canonical).toBe(hostname)
    }))
  })
})

describe("text", () => {
  it.each([
    ["127.0.0.1:80", "127.0.0.1:80"],
    ["[::1]:80", "[::1]:80"],
    ["[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535"],
    ["[fe80::1%eth0]:80", "[fe80::1%eth0]:80"],
    ["Example.com:0", "example.com:0"],
    ["/run/x.sock", "/run/x.sock"],
    ["unix:/run/x.sock", "/run/x.sock"],
    ["unix:///run/x.sock", "/run/x.sock"],
    ["unix:x.sock", "unix:x.sock"],
    ["unix:@name", "unix:@name"],
    ["", `address "": ${notAnAddress}`],
    ["localhost", `address localhost: ${notAnAddress}`],
    ["::1:80", `address ::1:80: ${notAnAddress}`],
    ["[::1]80", `address [::1]80: ${notAnAddress}`],
    ["http://a:80", `address http://a:80: ${notAnAddress}`],
    [":8080", `address :8080: ${notAnAddress}, but without a host`],
    ["[]:80", `host []: ${notAHost}`],
    ["[127.0.0.1]:80", `host [127.0.0.1]: ${notAHost}`],
    ["unix:", `path "": ${notAPath}`],
    ["unix:@", `path @: ${notAPath}`]
  ])("%j gives %j", (text, expected) => expect(outcome(SocketAddress.parse(text))).toBe(expected))

  const noPorts = ["", "65536", "+80", "-1", " 80", "80 ", "1.5", "0x50", "1e3", "080000", "٨٠", "http"]
  it.each(noPorts)("%j is no port", (text) => {
    expect(outcome(SocketAddress.parse(`a:${text}`))).toBe(`port ${text || '""'}: not a port`)
    expect(outcome(SocketAddress.parsePort(text))).toBe(`port ${text || '""'}: not a port`)
  })

  it("takes the default port where there is none", () => {
    const parse = (text: string) => outcome(SocketAddress.parse(text, { defaultPort: 53 }))
    expect(["a", "[::1]", "a:54", "/x", "::1"].map(parse))
      .toEqual(["a:53", "[::1]:53", "a:54", "/x", `address ::1: ${notAnAddress}`])
    expect(outcome(SocketAddress.parse("a", { defaultPort: 70000 }))).toBe("port 70000: not a port")
  })

  it("of any address is read back as that address", () => {
    fc.assert(fc.property(fc.oneof(inetAddress, unixAddress), (address) => {
      const again = SocketAddress.unsafeParse(SocketAddress.format(address))
      expect(Equal.equals(again, address)).toBe(true)
      expect(Hash.hash(again)).toBe(Hash.hash(address))
      expect([`${again}`, JSON.stringify(again)]).toEqual([`${address}`, JSON.stringify(`${address}`)])
    }))
  })

  it("of any kind never throws", () => {
    const piece = fc.constantFrom("[", "]", ":", "::", "%", ".", "/", "@", "unix:", "127", "ffff", "80", "0x", "\0")
    const pieces = fc.array(fc.oneof(piece, fc.string()), { maxLength: 12 }).map((all) => all.join(""))
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), pieces), (text) => {
        expect([SocketAddress.parseCidr(text), SocketAddress.parsePort(text)].every(Either.isEither)).toBe(true)
        expect(typeof SocketAddress.isPrivate(text)).toBe("boolean")
        const parsed = SocketAddress.parse(text, { defaultPort: 1 })
        if (Either.isLeft(parsed)) expect(parsed.left).toBeInstanceOf(InvalidOption)
        else expect(Equal.equals(SocketAddress.unsafeParse(`${parsed.right}`), parsed.right)).toBe(true)
      }),
      { numRuns: 1000 }
    )
  })
})

describe("input", () => {
  it.each([
    [{ port: 80 }, "127.0.0.1:80"],
    [{ host: undefined, port: 80 }, "127.0.0.1:80"],
    [{ host: "[::1]", port: 80 }, "[::1]:80"],
    [{ host: "", port: 80 }, `host "": ${notAHost}`],
    [{ host: null, port: 1 } as never, `host null: ${notAHost}`],
    [{ host: "a", port: 65535 }, "a:65535"],
    [{ host: "a", port: 65536 }, "port 65536: not a port"],
    [{ host: "a", port: 70000 }, "port 70000: not a port"],
    [{ host: "a", port: 1.5 }, "port 1.5: not a port"],
    [{ host: "a", port: NaN }, "port NaN: not a port"],
    [{ host: "a", port: -1 }, "port -1: not a port"],
    [{ host: "a", port: "80" } as never, "port 80: not a port"],
    [{ host: "a" } as never, "port undefined: not a port"],
    [{ path: "/x" }, "/x"],
    [{ path: "" }, `path "": ${notAPath}`],
    [{ path: undefined } as never, `path undefined: ${notAPath}`],
    ["a:1", "a:1"],
    ["a", `listen a: ${notAnAddress}`],
    [null as never, `listen null: ${notAnAddress}`],
    [8080 as never, `listen 8080: ${notAnAddress}`],
    [SocketAddress.unix("/x"), "/x"],
    [SocketAddress.inet("a", 1), "a:1"],
    [new SocketAddress.InetAddress("a b", 1), `host a b: ${notAHost}`]
  ])("%j gives %s", (input, expected) => expect(outcome(SocketAddress.fromInput(input, "listen"))).toBe(expected))

  it("may be a path of 107 bytes and no more", () => {
    const isPath = (path: string) => Either.isRight(SocketAddress.fromInput({ path }))
    const good = ["x".repeat(107), "é".repeat(53), "\0name", "@name", "./@name"]
    const bad = ["x".repeat(108), "é".repeat(54), "\0", "a\0b", "/x\0"]
    expect([good.map(isPath), bad.map(isPath)]).toEqual([good.map(() => true), bad.map(() => false)])
  })

  it.each([
    ["port", () => SocketAddress.inet("::1", 1.5)],
    ["port", () => SocketAddress.withPort(SocketAddress.inet("a", 1), -1)],
    ["host", () => SocketAddress.inet("", 1)],
    ["path", () => SocketAddress.unix("")],
    ["address", () => SocketAddress.unsafeParse("x")],
    ["cidr", () => SocketAddress.unsafeParseCidr("x")]
  ])("with a bad %s makes the unsafe constructors throw", (option, make) => {
    expect(make).toThrowError(expect.objectContaining({ _tag: "InvalidOption", option }))
  })

  it("tells what is wrong of a value that has no text, too", () => {
    expect(() => SocketAddress.inet(Object.create(null), 80)).toThrowError(
      "host [object Object]: not a host name or IP address"
    )
  })
})

describe("addresses", () => {
  it("are equal by canonical text, however a transport spells them", () => {
    const address = SocketAddress.inet("::1", 80)
    for (const same of [SocketAddress.inet("0:0::1", 80), SocketAddress.fromEndpoint({ host: "0::1", port: 80 })]) {
      expect(Equal.equals(address, same)).toBe(true)
      expect(Hash.hash(address)).toBe(Hash.hash(same))
    }
    expect(Equal.equals(SocketAddress.inet("Example.com", 80), SocketAddress.inet("example.COM", 80))).toBe(true)
    expect(Equal.equals(address, SocketAddress.inet("::1", 81))).toBe(false)
    expect(Equal.equals(SocketAddress.inet("fe80::1%a", 1), SocketAddress.inet("fe80::1%A", 1))).toBe(false)
    expect(Equal.equals(SocketAddress.unix("/x"), SocketAddress.unix("/x"))).toBe(true)
    expect(Equal.equals(SocketAddress.unix("/x"), SocketAddress.unix("/X"))).toBe(false)
    expect(Equal.equals<unknown, unknown>(SocketAddress.unix("a"), SocketAddress.inet("a", 0))).toBe(false)
  })

  it("tell mapped from plain IPv4 until unmapped", () => {
    const mapped = SocketAddress.inet("::ffff:1.2.3.4", 80)
    const plain = SocketAddress.inet("1.2.3.4", 80)
    expect(Equal.equals(mapped, plain)).toBe(false)
    expect(Equal.equals(SocketAddress.unmap(mapped), plain)).toBe(true)
    for (const same of [plain, SocketAddress.inet("::1", 1), SocketAddress.inet("a", 1), SocketAddress.unix("/x")]) {
      expect(SocketAddress.unmap(same)).toBe(same)
    }
  })

  it("go to and from a transport's endpoints as they are", () => {
    for (const endpoint of [{ host: "fe80::1%va", port: 1 }, { path: "\0name" }, { path: "" }]) {
      expect(SocketAddress.toEndpoint(SocketAddress.fromEndpoint(endpoint))).toEqual(endpoint)
    }
    expect(SocketAddress.toEndpoint(SocketAddress.inet("[::1]", 1))).toEqual({ host: "::1", port: 1 })
    expect(SocketAddress.toEndpoint(SocketAddress.unix("@name"))).toEqual({ path: "\0name" })
  })

  it("know their kind", () => {
    const values = [SocketAddress.inet("a", 1), SocketAddress.unix("/x"), { host: "a", port: 1 }, null]
    expect(values.map(SocketAddress.isSocketAddress)).toEqual([true, true, false, false])
    expect(values.map(SocketAddress.isInetAddress)).toEqual([true, false, false, false])
    expect(values.map(SocketAddress.isUnixAddress)).toEqual([false, true, false, false])
    expect(["1.2.3.4", "::ffff:1.2.3.4", "a"].map(SocketAddress.family)).toEqual([4, 6, undefined])
    expect(SocketAddress.family(SocketAddress.unix("/x"))).toBe(undefined)
  })

  it("change their port", () => {
    expect(`${SocketAddress.withPort(SocketAddress.inet("::1", 1), 2)}`).toBe("[::1]:2")
    expect(`${pipe(SocketAddress.inet("a", 1), SocketAddress.withPort(3))}`).toBe("a:3")
  })
})

describe("ranges", () => {
  const predicates = {
    loopback: SocketAddress.isLoopback,
    private: SocketAddress.isPrivate,
    linkLocal: SocketAddress.isLinkLocal,
    multicast: SocketAddress.isMulticast,
    unspecified: SocketAddress.isUnspecified
  }

  // The ends of the ranges of RFC 6890, and their neighbours.
  it.each([
    ["loopback", ["127.0.0.0", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]],
    ["private", ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]],
    ["private", ["::ffff:10.0.0.1", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]],
    ["linkLocal", ["169.254.0.0", "169.254.255.255", "fe80::", "fe80::1%eth0", "febf:ffff::"]],
    ["multicast", ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"]],
    ["unspecified", ["0.0.0.0", "::", "::ffff:0.0.0.0"]],
    ["none", ["9.255.255.255", "11.0.0.0", "126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0", "0.0.0.1"]],
    ["none", ["192.167.255.255", "192.169.0.0", "169.253.255.255", "169.255.0.0", "223.255.255.255", "240.0.0.0"]],
    ["none", ["::2", "fbff::", "fe00::", "fe7f::", "fec0::", "feff::", "100.64.0.0", "192.0.2.1", "2001:db8::1"]]
  ])("%s: %s", (kind, hosts) => {
    for (const host of hosts) {
      for (const [range, holds] of Object.entries(predicates)) {
        expect([host, range, holds(host)]).toEqual([host, range, range === kind])
        expect(holds(SocketAddress.inet(host, 1))).toBe(range === kind)
      }
      expect(SocketAddress.isIp(host)).toBe(true)
    }
  })

  it("hold no name and no path", () => {
    for (const host of ["localhost", "", "127.0.0.1:80", SocketAddress.inet("a", 1), SocketAddress.unix("/x")]) {
      expect(SocketAddress.isIp(host)).toBe(false)
      expect(Object.values(predicates).some((holds) => holds(host))).toBe(false)
    }
  })
})

describe("CIDR", () => {
  // RFC 4291, 2.3 and RFC 4632, 3.1.
  it.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["192.0.2.129/25", "192.0.2.128/25"],
    ["2001:0DB8:0:CD30:123:4567:89AB:CDEF/60", "2001:db8:0:cd30::/60"],
    ["::1", "::1/128"],
    ["::/0", "::/0"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"]
  ])("%s is %s", (text, canonical) => expect(outcome(SocketAddress.parseCidr(text))).toBe(canonical))

  it.each([
    ...["", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0"],
    ...["10/8", "10.0.0.0 /8", "::/129", "::1%lo/128", "[::1]/128", "example.com/8", "10.0.0.0:80"]
  ])("%j is none", (text) => {
    expect(outcome(SocketAddress.parseCidr(text))).toBe(`cidr ${text || '""'}: not a CIDR block such as 10.0.0.0/8`)
  })

  it.each([
    ["10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"], ["11.0.0.0", "::10.1.2.3", "a00::"]],
    ["::ffff:10.0.0.0/104", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.0"]],
    ["192.0.2.129/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127"]],
    ["192.0.2.1", ["192.0.2.1"], ["192.0.2.0"]],
    ["0.0.0.0/0", ["255.255.255.255", "::ffff:1.2.3.4"], ["::1", "example.com"]],
    ["::/0", ["::1", "ffff::"], ["10.1.2.3", "::ffff:10.1.2.3"]],
    ["::ffff:0:0/96", ["10.1.2.3"], ["::1"]],
    ["fe80::/10", ["fe80::1%eth0", "[febf::]"], ["fec0::"]],
    ["2001:db8::/33", ["2001:db8:7fff::"], ["2001:db8:8000::"]]
  ])("%s has %s, not %s", (text, inside, outside) => {
    const cidr = SocketAddress.unsafeParseCidr(text)
    const blocks = [SocketAddress.unsafeParseCidr("203.0.113.0/24"), cidr]
    for (const host of [...inside, ...outside]) {
      const expected = [host, inside.includes(host)]
      expect([host, SocketAddress.matches(cidr, host)]).toEqual(expected)
      expect([host, SocketAddress.matches(blocks, host)]).toEqual(expected)
    }
    for (const host of inside) {
      expect(pipe(cidr, SocketAddress.matches(SocketAddress.inet(host, 1)))).toBe(true)
    }
  })

  it("is a value", () => {
    const cidr = SocketAddress.unsafeParseCidr("10.1.2.3/8")
    const same = SocketAddress.unsafeParseCidr("::ffff:10.0.0.0/104")
    expect(Equal.equals(cidr, same)).toBe(true)
    expect(Hash.hash(cidr)).toBe(Hash.hash(same))
    expect(JSON.stringify(cidr)).toBe('"10.0.0.0/8"')
    expect([cidr, "10.0.0.0/8"].map(SocketAddress.isCidr)).toEqual([true, false])
    expect(SocketAddress.matches([], "10.1.2.3")).toBe(false)
    expect(SocketAddress.matches(cidr, SocketAddress.unix("/x"))).toBe(false)
  })

  const toBigInt = (parts: ReadonlyArray<number>, bits: bigint): bigint =>
    parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n)

  it("agrees with arithmetic on IPv6", () => {
    fc.assert(fc.property(groups, groups, fc.nat(8), fc.nat(128), (net, rest, shared, prefix) => {
      const peer = [...net.slice(0, shared), ...rest.slice(shared)]
      // Mapped addresses are IPv4, for which the next test is.
      fc.pre(toBigInt(peer, 16n) >> 32n !== 0xffffn)
      const shift = BigInt(128 - prefix)
      const expected = toBigInt(net, 16n) >> shift === toBigInt(peer, 16n) >> shift
      const cidr = SocketAddress.unsafeParseCidr(`${groupText(net)}/${prefix}`)
      expect(SocketAddress.matches(cidr, groupText(peer))).toBe(expected)
      expect(Equal.equals(SocketAddress.unsafeParseCidr(`${cidr}`), cidr)).toBe(true)
    }))
  })

  it("agrees with arithmetic on IPv4, in both spellings", () => {
    const octets = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })
    fc.assert(fc.property(octets, octets, fc.nat(4), fc.nat(32), (net, rest, shared, prefix) => {
      const peer = [...net.slice(0, shared), ...rest.slice(shared)]
      const shift = BigInt(32 - prefix)
      const expected = toBigInt(net, 8n) >> shift === toBigInt(peer, 8n) >> shift
      const cidr = SocketAddress.unsafeParseCidr(`${net.join(".")}/${prefix}`)
      expect(SocketAddress.matches(cidr, peer.join("."))).toBe(expected)
      expect(SocketAddress.matches(cidr, `::ffff:${peer.join(".")}`)).toBe(expected)
    }))
  })
})

describe("config", () => {
  const load = (value: string) =>
    SocketAddress.config("LISTEN", { defaultPort: 80 }).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["LISTEN", value]])))
    )

  it.effect("reads an address", () =>
    Effect.gen(function* () {
      expect(`${yield* load("[0::1]:8080")}`).toBe("[::1]:8080")
      expect(`${yield* load("localhost")}`).toBe("localhost:80")
    }))

  it.effect("says which setting is wrong, and how", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(load("localhost:http"))
      expect(`${error}`).toBe('(Invalid data at LISTEN: "port http: not a port")')
    }))
})
