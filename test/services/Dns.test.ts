/**
 * DNS: its codec against what a hostile peer may send, zone files and the lines they are wrong in, what a zone answers,
 * and server and client together under TestClock.
 */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Either, Fiber, Option, type Scope, Stream, TestClock } from "effect"
import { Framed, Net, type Network, Server, Udp, UdpServer } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import * as DnsClient from "../../examples/services/dns/DnsClient.ts"
import * as DnsServer from "../../examples/services/dns/DnsServer.ts"
import { attempt, Malformed } from "../../examples/services/dns/Malformed.ts"
import * as Message from "../../examples/services/dns/Message.ts"
import * as Name from "../../examples/services/dns/Name.ts"
import * as RecordType from "../../examples/services/dns/RecordType.ts"
import * as Responder from "../../examples/services/dns/Responder.ts"
import * as ZoneFile from "../../examples/services/dns/ZoneFile.ts"
import { bytes, concat, utf8 } from "../support/frames.ts"

const { BADVERS, FORMERR, NOERROR, NOTIMP, NXDOMAIN, REFUSED } = Message.Rcode

const typed = (name: string): RecordType.RecordType => RecordType.parse(name)!

// --- what may be in a message ---

const bits = (count: number) => fc.nat({ max: 2 ** count - 1 })
const blob = (maxLength: number) => fc.uint8Array({ maxLength }).map((octets) => Uint8Array.from(octets))

/** In lower case: a name that is written for the second time may come back spelt as it was the first time. */
const name: fc.Arbitrary<Name.Name> = fc.oneof(
  fc.constantFrom("example.test.", "www.example.test.", "test.", ".", "dot\\.ted.example.test."),
  fc.array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { maxLength: 5 })
    .map((labels) =>
      labels.reduce<Array<Uint8Array>>((all, one) => size(all) + one.length < 250 ? [...all, one] : all, [])
    )
    .map((labels) => labels.map((octets) => `${Name.label(octets, 0, octets.length)}.`).join("").toLowerCase() || ".")
)
const size = (labels: ReadonlyArray<Uint8Array>): number => labels.reduce((sum, { length }) => sum + length + 1, 0)

const question: fc.Arbitrary<Message.Question> = fc.record({
  name,
  type: bits(16).filter((code) => code !== 41).map(RecordType.ofCode),
  class: bits(16)
})

const data: ReadonlyArray<readonly [string, fc.Arbitrary<ReadonlyArray<RecordType.Value>>]> = [
  ["A", fc.tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }))],
  ["AAAA", fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }))],
  ["NS", fc.tuple(name)],
  ["CNAME", fc.tuple(name)],
  ["PTR", fc.tuple(name)],
  ["MX", fc.tuple(bits(16), name)],
  ["TXT", fc.array(blob(255), { minLength: 1, maxLength: 4 })],
  ["SOA", fc.tuple(name, name, bits(32), bits(32), bits(32), bits(32), bits(32))],
  ["TYPE65", fc.tuple(blob(40))]
]

const record: fc.Arbitrary<Message.ResourceRecord> = fc.oneof(
  ...data.map(([type, data]) =>
    fc.record({ name, type: fc.constant(typed(type)), class: bits(16), ttl: bits(32), data })
  )
)
const records = fc.array(record, { maxLength: 5 })

const message: fc.Arbitrary<Message.Message> = fc.record({
  id: bits(16),
  response: fc.boolean(),
  opcode: bits(4),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  rcode: bits(4),
  questions: fc.array(question, { maxLength: 2 }),
  answers: records,
  authority: records,
  additional: records,
  edns: fc.option(fc.record({ version: bits(8), payloadSize: bits(16), dnssecOk: fc.boolean() }), { nil: undefined })
})

/** Bytes cut off, put in, and changed. */
const damaged = (whole: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.tuple(
    whole,
    fc.array(fc.tuple(fc.nat(), fc.oneof(bits(8), fc.constantFrom(0, 0xc0, 0xff))), { maxLength: 4 }),
    fc.nat(),
    blob(3)
  )
    .map(([whole, changes, at, more]) => {
      const copy = Uint8Array.from(whole)
      for (const [place, octet] of changes) copy[place % copy.length] = octet
      const end = at % 3 === 0 ? at % (copy.length + 1) : copy.length
      return concat([copy.subarray(0, end), at % 5 === 0 ? more : new Uint8Array()])
    })

describe("messages", () => {
  it("come back as they were", () => {
    fc.assert(fc.property(message, (message) => {
      expect(Either.getOrThrow(Message.decode(Message.encode(message)))).toEqual(message)
    }))
  })

  it("have codes above 15 with EDNS", () => {
    const message = Message.make({ rcode: 4095, edns: { version: 0, payloadSize: 512, dnssecOk: true } })
    expect(Either.getOrThrow(Message.decode(Message.encode(message)))).toEqual(message)
  })

  it("are those of the field", () => {
    const example = bytes(
      "dead 8180 0001 0002 0000 0000 03'www'07'example'04'test'00 0001 0001" +
        "c00c 0005 0001 00000e10 0006 03'web'c010 c02e 0001 0001 0000012c 0004 c0000250"
    )
    const response = Message.make({
      id: 0xdead,
      response: true,
      recursionDesired: true,
      recursionAvailable: true,
      questions: [{ name: "www.example.test.", type: typed("A"), class: 1 }],
      answers: [
        { name: "www.example.test.", type: typed("CNAME"), class: 1, ttl: 3600, data: ["web.example.test."] },
        { name: "web.example.test.", type: typed("A"), class: 1, ttl: 300, data: [Uint8Array.of(192, 0, 2, 80)] }
      ]
    })
    expect(Either.getOrThrow(Message.decode(example))).toEqual(response)
    expect(Message.encode(response)).toEqual(example)
  })

  it("refer to a name in any spelling, at most 14 bits away", () => {
    const text = Array.from({ length: 70 }, () => new Uint8Array(255))
    const at = (name: string, type: string, ...data: ReadonlyArray<RecordType.Value>) => ({
      name,
      type: typed(type),
      class: 1,
      ttl: 0,
      data
    })
    const answers = [
      at("first.test.", "TXT", ...text),
      at("second.test.", "NS", "FIRST.test."),
      at("second.test.", "NS", "first.TEST.")
    ]
    const encoded = Message.encode(Message.make({ answers }))
    expect(Either.getOrThrow(Message.decode(encoded)).answers.map(({ name, data }) => [name, data[0]])).toEqual([
      ["first.test.", text[0]],
      ["second.test.", "first.test."],
      ["second.test.", "first.test."]
    ])
    // The second time `second.test.` is too far away to be pointed to.
    expect(encoded.length).toBe(12 + 22 + 70 * 256 + 2 * (7 + 2 + 10 + 2))
  })

  const head = (...counts: ReadonlyArray<number>): string =>
    `0001 0000 ${counts.map((count) => count.toString(16).padStart(4, "0")).join(" ")}`
  const long = "3f" + "61".repeat(63)

  it.each([
    ["it ends too early", "0001 00"],
    ["it ends too early", head(1, 0, 0, 0)],
    ["it ends too early", head(0, 65535, 0, 0)],
    ["it ends too early", `${head(1, 0, 0, 0)} 03'ww'`],
    ["it ends too early", `${head(1, 0, 0, 0)} 03'www'`],
    ["it ends too early", `${head(1, 0, 0, 0)} 03'www'c0`],
    ["it ends too early", `${head(1, 0, 0, 0)} 00 0001 00`],
    ["it ends too early", `${head(0, 1, 0, 0)} 00 0001 0001 00000000 0005 01020304`],
    ["it ends too early", `${head(0, 1, 0, 0)} 00 0001 0001 00000000 0003 010203`],
    ["it ends too early", `${head(0, 1, 0, 0)} 00 0010 0001 00000000 0002 03 61`],
    ["it ends too early", `${head(0, 1, 0, 0)} 00 0002 0001 00000000 0002 03'www'00`],
    ["octets that belong to nothing", `${head(0, 1, 0, 0)} 00 0001 0001 00000000 0005 0102030405`],
    ["octets that belong to nothing", `${head(0, 0, 0, 0)} 00`],
    ["a pointer that does not lead back", `${head(1, 0, 0, 0)} c00c 0001 0001`],
    ["a pointer that does not lead back", `${head(1, 0, 0, 0)} 03'www'c00c 0001 0001`],
    ["a pointer that does not lead back", `${head(1, 0, 0, 0)} c00e 00 0001 0001`],
    ["a pointer that does not lead back", `${head(1, 0, 0, 0)} c000 0001 0001`],
    ["a pointer that does not lead back", `${head(2, 0, 0, 0)} 01'a'c012 0001 0001 01'b'c00c 0001 0001`],
    ["a label of an unknown kind", `${head(1, 0, 0, 0)} 41'a'00 0001 0001`],
    ["a label of an unknown kind", `${head(1, 0, 0, 0)} 80 00 0001 0001`],
    ["too long a name", `${head(1, 0, 0, 0)} ${long.repeat(4)} 00 0001 0001`],
    ["too long a name", `${head(2, 0, 0, 0)} ${long.repeat(3)} 00 0001 0001 ${long} c00c 0001 0001`],
    ["an OPT record where none may be", `${head(0, 0, 0, 2)} ${"00 0029 0200 00000000 0000".repeat(2)}`],
    ["an OPT record where none may be", `${head(0, 1, 0, 0)} 00 0029 0200 00000000 0000`],
    ["an OPT record where none may be", `${head(0, 0, 0, 1)} 01'a'00 0029 0200 00000000 0000`]
  ])("are refused: %s: %s", (reason, text) => {
    expect(Either.getOrThrow(Either.flip(Message.decode(bytes(text)))).reason).toBe(reason)
  })

  it("may have a name of 255 octets, the root's included", () => {
    const text = `${head(1, 0, 0, 0)} ${long.repeat(3)} 3d${"61".repeat(61)} 00 0001 0001`
    const [question] = Either.getOrThrow(Message.decode(bytes(text))).questions
    expect(Message.encode(Message.make({ id: 1, questions: [question!] }))).toEqual(bytes(text))
  })

  it("are read or refused, never more than that, whatever the bytes are", () => {
    const any = fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged(message.map(Message.encode)))
    fc.assert(
      fc.property(any, (bytes) => {
        const read = Message.decode(bytes)
        if (Either.isLeft(read)) expect(read.left).toBeInstanceOf(Malformed)
        // What has been read can be written.
        else {expect(Either.getOrThrow(Message.decode(Message.encode(read.right))).questions).toHaveLength(
            read.right.questions.length
          )}
      }),
      { numRuns: 1000 }
    )
  })

  it.each([[127, true], [128, false], [8000, false]])("may have %i pointers in a row: %s", (count, read) => {
    // The root, and pointers to one another after it, as the data of a record; the name of the next is the last of them.
    const pointer = (to: number): ReadonlyArray<number> => [0xc0 | to >> 8, to & 0xff]
    const at = 12 + 11
    const chain = [0, 0, ...Array.from({ length: count - 1 }, (_, i) => pointer(at + 2 * i)).flat()]
    const data = [chain.length >> 8, chain.length & 0xff, ...chain]
    const whole = [...bytes(`${head(0, 2, 0, 0)} 00 0041 0001 00000000`), ...data, ...pointer(at + 2 * (count - 1))]
    const decoded = Message.decode(Uint8Array.from([...whole, ...bytes("0041 0001 00000000 0000")]))
    if (read) expect(Either.getOrThrow(decoded).answers[1]!.name).toBe(".")
    else expect(Either.getOrThrow(Either.flip(decoded)).reason).toBe("too many pointers")
  })
})

describe("names", () => {
  it.each([
    ["www", "www.example.test."],
    ["www.", "www."],
    ["@", "example.test."],
    [".", "."],
    ["a\\.b", "a\\.b.example.test."],
    ["a\\046b.", "a\\.b."],
    ["a\\.", "a\\..example.test."],
    ["\\000\\255.", "\\000\\255."],
    ["ü.", "\\195\\188."],
    ["A b.", "A\\032b."]
  ])("%s is %s", (text, name) => expect(Name.parse(text, "example.test.")).toBe(name))

  it.each(["", "..", "a..b", ".a", "\\", "\\256", "a".repeat(64), "a.".repeat(128)])("%j is none", (text) => {
    expect(Either.isLeft(attempt(() => Name.parse(text, "example.test.")))).toBe(true)
  })

  it("have those above them up to the root", () => {
    expect([...Name.upwards("a\\.b.c.test.")]).toEqual(["a\\.b.c.test.", "c.test.", "test.", "."])
    expect([...Name.upwards(".")]).toEqual(["."])
  })
})

// --- zones ---

const file = readFileSync(new URL("../../examples/services/dns/example.zone", import.meta.url), "utf8")
const zone = Either.getOrThrow(ZoneFile.parse(file))

/** Records as a zone file has them, each on a line. */
const show = ({ data, name, ttl, type }: Message.ResourceRecord): string =>
  `${name} ${ttl} ${type} ${RecordType.showData(type, data)}`

describe("zone files", () => {
  const soa = "$ORIGIN t.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n"
  const one = (line: string) => {
    const zone = Either.getOrThrow(ZoneFile.parse(`${soa}${line}\n`))
    return [...zone.lookup("x.t.", typed("ANY"))!.answers, ...zone.lookup("y.t.", typed("ANY"))!.answers].map(show)
  }

  it.each([
    ["x A 1.2.3.4", ["x.t. 5 A 1.2.3.4"]],
    ["x 60 IN A 1.2.3.4 ; comment", ["x.t. 60 A 1.2.3.4"]],
    ["x IN 1h30m A 1.2.3.4", ["x.t. 5400 A 1.2.3.4"]],
    ["X.T. in a 1.2.3.4", ["x.t. 5 A 1.2.3.4"]],
    ["x A 1.2.3.4\n\n \t \n\tA 5.6.7.8\r", ["x.t. 5 A 1.2.3.4", "x.t. 5 A 5.6.7.8"]],
    ["x AAAA 2001:DB8:0:0::1", ["x.t. 5 AAAA 2001:db8::1"]],
    ["x AAAA ::ffff:1.2.3.4", ["x.t. 5 AAAA ::ffff:1.2.3.4"]],
    ["x AAAA 1:2:3:4:5:6:7:8", ["x.t. 5 AAAA 1:2:3:4:5:6:7:8"]],
    ["x MX 10 @\n$ORIGIN sub\n$TTL 1d\n@ NS .", ["x.t. 5 MX 10 t."]],
    ['x TXT one "two \\" ; (" \\"three\\001 ""', ['x.t. 5 TXT "one" "two \\" ; (" "\\"three\\001" ""']],
    ['x TXT (\n"a" ; a comment )\n b\n) ', ['x.t. 5 TXT "a" "b"']],
    ["x A 1.2.3.4\ny PTR x", ["x.t. 5 A 1.2.3.4", "y.t. 5 PTR x.t."]]
  ])("%j", (line, records) => expect(one(line)).toEqual(records))

  it.each([
    [4, "not an IPv4 address: 1.2.3", "x A 1.2.3"],
    [4, "not an IPv4 address: ::1", "x A ::1"],
    [4, "not an IPv6 address: [::1]", "x AAAA [::1]"],
    [5, "not an IPv6 address: 1:2:3", "x A 1.2.3.4\n AAAA 1:2:3"],
    [4, "MX takes 2, not 1", "x MX mail"],
    [4, "not a number of 16 bits: 65536", "x MX 65536 mail"],
    [4, "not a time in seconds: 4294967296", "x 4294967296 A 1.2.3.4"],
    [4, "not a time in seconds: 1x", "x 1x A 1.2.3.4"],
    [4, "TXT takes 1 or more, not 0", "x TXT"],
    [4, "a string of more than 255 octets", `x TXT "${"a".repeat(256)}"`],
    [4, "more data than a record can have", `x TXT ${`"${"a".repeat(255)}" `.repeat(257)}`],
    [4, "no type of records: SPAM", "x SPAM 1"],
    [4, "no type of records: ANY", "x ANY 1"],
    [4, "a record without a type", "x 60 IN"],
    [4, "class CH: only IN is known here", "x CH TXT a"],
    [4, "x.u. is not in the zone t.", "x.u. A 1.2.3.4"],
    [4, "a second SOA for t.", "@ SOA a b 2 2 3 4 5"],
    [5, "the same record twice: x.t. AAAA ::1", "x AAAA ::1\nx AAAA 0::1"],
    [4, "a \\ at the end", "x TXT a\\"],
    [5, "a \\ at the end", "x TXT (\nb \\"],
    [5, "a CNAME beside other records of x.t.", "x A 1.2.3.4\nx CNAME y"],
    [5, "a CNAME beside other records of x.t.", "x CNAME y\nx A 1.2.3.4"],
    [5, "a second CNAME for x.t.", "x CNAME y\nx CNAME z"],
    [5, "a quote without its end", '\nx TXT "a\nb"'],
    [6, "a ) without its (", "\n\nx A 1.2.3.4 )"],
    [4, "a ( without its )", "x A ( 1.2.3.4"],
    [4, "$INCLUDE is not known here", "$INCLUDE other"],
    [4, "$TTL takes one word", "$TTL"],
    [4, 'not a name: "a..b"', "a..b A 1.2.3.4"],
    [4, "a bad escape in \\999", "\\999 A 1.2.3.4"]
  ])("line %i: %s", (line, reason, text) => {
    const error = Either.getOrThrow(Either.flip(ZoneFile.parse(soa + text, "f.zone")))
    expect(error.message).toBe(`f.zone:${line}: ${reason}`)
  })

  it.each([
    ["the zone has no SOA record", ""],
    ["the zone has no SOA record", "a. 5 A 1.2.3.4"],
    ["a relative name without $ORIGIN: a", "a 5 A 1.2.3.4"],
    ["a relative name without $ORIGIN: @", "@ 5 A 1.2.3.4"],
    ["the first record has no owner", " 5 A 1.2.3.4"],
    ["a record without a TTL, and no $TTL before it", "a. A 1.2.3.4"]
  ])("%s: %j", (reason, text) => {
    expect(Either.getOrThrow(Either.flip(ZoneFile.parse(text))).reason).toBe(reason)
  })

  it("are read or refused with a line, whatever the text is", () => {
    const pieces = fc.constantFrom(
      "$TTL 1",
      "$ORIGIN",
      "a.",
      "@",
      " ",
      "\n",
      "(",
      ")",
      '"',
      ";",
      "\\",
      "SOA . . 1 2 3 4 5",
      "A",
      "1.2.3.4",
      "IN",
      "ü"
    )
    fc.assert(fc.property(fc.array(pieces, { maxLength: 20 }), (pieces) => {
      const text = pieces.join(" ")
      const read = ZoneFile.parse(text)
      if (Either.isLeft(read)) expect(read.left.line).toBeLessThanOrEqual(text.split("\n").length)
    }))
  })
})

// --- queries ---

const respond = Responder.make(zone)

const ask = (name: string, type: string, more: Partial<Message.Message> = {}) =>
  Message.encode(Message.make({ id: 7, questions: [{ name, type: typed(type), class: Message.IN }], ...more }))

const edns = { version: 0, payloadSize: 4096, dnssecOk: false }

const answerTo = (query: Uint8Array, transport: Responder.Transport = "udp"): Message.Message =>
  Either.getOrThrow(Message.decode(respond(query, transport)!))

describe("a zone", () => {
  const soa = "example.test. 300 SOA ns1.example.test. hostmaster.example.test. 2026010101 7200 900 1209600 300"

  it.each<[string, string, number, ReadonlyArray<string>, ReadonlyArray<string>, ReadonlyArray<string>]>([
    [
      "web.example.test.",
      "A",
      NOERROR,
      ["web.example.test. 3600 A 192.0.2.80", "web.example.test. 3600 A 192.0.2.81"],
      [],
      []
    ],
    ["mail.example.test.", "A", NOERROR, ["mail.example.test. 300 A 192.0.2.25"], [], []],
    ["web.example.test.", "MX", NOERROR, [], [soa], []],
    ["nobody.example.test.", "A", NXDOMAIN, [], [soa], []],
    ["a.b.c.example.test.", "A", NXDOMAIN, [], [soa], []],
    ["deep.example.test.", "A", NOERROR, [], [soa], []],
    ["b.deep.example.test.", "A", NXDOMAIN, [], [soa], []],
    [
      "www.example.test.",
      "AAAA",
      NOERROR,
      [
        "www.example.test. 3600 CNAME web.example.test.",
        "web.example.test. 3600 AAAA 2001:db8::80"
      ],
      [],
      []
    ],
    ["www.example.test.", "CNAME", NOERROR, ["www.example.test. 3600 CNAME web.example.test."], [], []],
    ["www.example.test.", "TXT", NOERROR, ["www.example.test. 3600 CNAME web.example.test."], [soa], []],
    ["dangling.example.test.", "A", NXDOMAIN, ["dangling.example.test. 3600 CNAME nobody.example.test."], [soa], []],
    ["elsewhere.example.test.", "A", NOERROR, ["elsewhere.example.test. 3600 CNAME www.elsewhere.test."], [], []],
    [
      "loop.example.test.",
      "A",
      NOERROR,
      [
        "loop.example.test. 3600 CNAME pool.example.test.",
        "pool.example.test. 3600 CNAME loop.example.test."
      ],
      [],
      []
    ],
    ["x.y.wild.example.test.", "A", NOERROR, ["x.y.wild.example.test. 3600 A 192.0.2.42"], [], []],
    ["x.wild.example.test.", "TXT", NOERROR, [], [soa], []],
    ["wild.example.test.", "A", NOERROR, [], [soa], []],
    [
      "example.test.",
      "MX",
      NOERROR,
      ["example.test. 3600 MX 10 mail.example.test.", "example.test. 3600 MX 20 mail.elsewhere.test."],
      [],
      [
        "mail.example.test. 300 A 192.0.2.25",
        "mail.example.test. 3600 AAAA 2001:db8::25"
      ]
    ],
    [
      "web.example.test.",
      "ANY",
      NOERROR,
      ["web.example.test. 3600 A 192.0.2.80", "web.example.test. 3600 A 192.0.2.81"],
      [],
      []
    ],
    ["www.example.test.", "ANY", NOERROR, ["www.example.test. 3600 CNAME web.example.test."], [], []],
    ["web.example.test.", "TYPE65", NOERROR, [], [soa], []],
    ["example.org.", "A", REFUSED, [], [], []],
    ["test.", "A", REFUSED, [], [], []],
    [".", "NS", REFUSED, [], [], []],
    ["example.test.", "AXFR", REFUSED, [], [], []]
  ])("%s %s", (name, type, rcode, answers, authority, additional) => {
    // The second time it may be remembered.
    for (const query of [ask(name, type), ask(name, type, { edns })]) {
      const found = answerTo(query)
      expect([found.rcode, found.answers.map(show), found.authority.map(show), found.additional.map(show)])
        .toEqual([rcode, answers, authority, additional])
      expect(found.authoritative).toBe(rcode !== REFUSED)
    }
  })

  it("sends on to who knows more", () => {
    for (const name of ["child.example.test.", "a.b.child.example.test.", "ns.child.example.test."]) {
      const found = answerTo(ask(name, "A"))
      expect(found).toMatchObject({ rcode: NOERROR, authoritative: false, answers: [] })
      expect(found.authority.map(show)).toEqual(["child.example.test. 3600 NS ns.child.example.test."])
      expect(found.additional.map(show)).toEqual(["ns.child.example.test. 3600 A 192.0.2.200"])
    }
  })

  it("may be the root", () => {
    const zone = Either.getOrThrow(ZoneFile.parse(". 5 SOA . . 1 2 3 4 5\n*. 5 A 1.2.3.4\na. 5 NS b.a.\n"))
    expect(zone.lookup("x.y.", typed("A"))!.answers.map(show)).toEqual(["x.y. 5 A 1.2.3.4"])
    expect(zone.lookup("x.a.", typed("A"))!.authoritative).toBe(false)
    expect(zone.lookup(".", typed("A"))!.rcode).toBe(NOERROR)
  })
})

describe("responses", () => {
  it("have the question as it was asked, whatever was asked before", () => {
    for (const name of ["web.example.test.", "WEB.example.TEST.", "wEb.ExAmPlE.tEsT."]) {
      for (const recursionDesired of [false, true]) {
        const query = ask(name, "A", { recursionDesired })
        const found = answerTo(query)
        expect(found).toMatchObject({
          id: 7,
          response: true,
          recursionDesired,
          recursionAvailable: false,
          edns: undefined
        })
        expect(found.questions[0]!.name).toBe(name)
        expect(found.answers.map((record) => record.name)).toEqual([name, name])
      }
    }
  })

  it.each<[number, number | undefined, number]>([
    [512, undefined, 512],
    [512, 0, 512],
    [512, 511, 512],
    [1000, 1000, 1000],
    [1232, 1232, 1232],
    [1232, 65535, 1232]
  ])("have at most %i octets in a datagram for who takes %s", (_, payloadSize, most) => {
    const query = (name: string, type: string) =>
      ask(name, type, payloadSize === undefined ? {} : { edns: { ...edns, payloadSize } })
    const texts = (count: number) =>
      Array.from({ length: count }, (_, i) => `t${count} TXT "${String(i).padEnd(99)}"\n`).join("")
    const counts = Array.from({ length: 15 }, (_, i) => i + 1)
    const large = Responder.make(Either.getOrThrow(
      ZoneFile.parse(`$ORIGIN t.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n${counts.map(texts).join("")}`)
    ))
    for (const count of counts) {
      const [udp, tcp] = (["udp", "tcp"] as const).map((transport) => large(query(`t${count}.t.`, "TXT"), transport)!)
      const found = Either.getOrThrow(Message.decode(udp!))
      expect(Either.getOrThrow(Message.decode(tcp!)).answers).toHaveLength(count)
      expect(found).toMatchObject({ truncated: tcp!.length > most, authoritative: true })
      expect(found.answers).toHaveLength(tcp!.length > most ? 0 : count)
      expect(found.edns?.payloadSize).toBe(payloadSize === undefined ? undefined : 1232)
    }
  })

  it("leave out the addresses that nobody has asked for before the answer", () => {
    const hosts = Array.from({ length: 25 }, (_, i) => `@ MX ${i} h${i}\nh${i} A 1.2.3.4\n`).join("")
    const glue = Array.from({ length: 25 }, (_, i) => `sub NS h${i}\n`).join("")
    const respond = Responder.make(
      Either.getOrThrow(ZoneFile.parse(`$ORIGIN t.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n${hosts}${glue}`))
    )
    const over = (transport: Responder.Transport, name: string) =>
      Either.getOrThrow(Message.decode(respond(ask(name, "MX"), transport)!))
    expect(over("udp", "t.")).toMatchObject({ truncated: false, additional: [] })
    expect(over("udp", "t.").answers).toHaveLength(25)
    expect(over("tcp", "t.").additional).toHaveLength(25)
    expect(over("udp", "x.sub.t.")).toMatchObject({ truncated: true, authoritative: false, authority: [] })
  })

  it("say what of EDNS they know", () => {
    expect(answerTo(ask("web.example.test.", "A", { edns: { ...edns, dnssecOk: true } })).edns).toEqual({
      version: 0,
      payloadSize: 1232,
      dnssecOk: true
    })
    const found = answerTo(ask("web.example.test.", "A", { edns: { ...edns, version: 1 } }))
    expect(found).toMatchObject({ rcode: BADVERS, answers: [], edns: { version: 0 } })
    expect(found.questions).toHaveLength(1)
  })

  const header = (rcode: number, flags: number) => bytes(`0007 ${(flags | rcode).toString(16)} 0000 0000 0000 0000`)

  it.each([
    ["a length octet past the end", () => ask("web.example.test.", "A").fill(63, 12, 13), FORMERR],
    ["a name that points to itself", () => bytes("0007 0100 0001 0000 0000 0000 c00c 0001 0001"), FORMERR],
    ["no question", () => ask("a.", "A", { questions: [] }), FORMERR],
    [
      "two questions",
      () => ask("a.", "A", { questions: Array(2).fill({ name: "a.", type: typed("A"), class: 1 }) }),
      FORMERR
    ],
    ["a question for OPT", () => ask("web.example.test.", "OPT"), FORMERR],
    ["more records announced than there are", () => ask("web.example.test.", "A").fill(1, 7, 8), FORMERR],
    ["octets after the end", () => concat([ask("web.example.test.", "A"), Uint8Array.of(0)]), FORMERR],
    ["two OPT records", () => {
      const query = concat([ask("web.example.test.", "A", { edns }), bytes("00 0029 0200 00000000 0000")])
      return query.fill(2, 11, 12)
    }, FORMERR],
    ["the header alone", () => bytes("0007 0100 0001 0000 0000 0000"), FORMERR],
    ["an update", () => ask("example.test.", "SOA", { opcode: 5 }), NOTIMP]
  ])("to %s", (_, query, rcode) => {
    const flags = 0x8000 | (query()[2]! & 0x79) << 8
    for (const transport of ["udp", "tcp"] as const) expect(respond(query(), transport)).toEqual(header(rcode, flags))
  })

  it("to another class", () => {
    const questions = [{ name: "example.test.", type: typed("A"), class: 3 }]
    expect(answerTo(ask(".", "A", { questions }))).toMatchObject({ rcode: REFUSED, questions })
  })

  it("are none to a response, nor to less than a header", () => {
    expect(respond(ask("web.example.test.", "A", { response: true }), "udp")).toBeUndefined()
    for (let length = 0; length < 12; length++) expect(respond(new Uint8Array(length), "tcp")).toBeUndefined()
  })

  it("can be read and fit, whatever the query is", () => {
    const name = fc.constantFrom(
      "web.example.test.",
      "big.example.test.",
      "x.wild.example.test.",
      "a.org.",
      "no.example.test."
    )
    const query = fc.record({ name, type: fc.constantFrom("A", "TXT", "ANY"), edns: fc.boolean() })
      .map((query) => ask(query.name, query.type, query.edns ? { edns } : {}))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), damaged(query)), (query) => {
        for (const transport of ["udp", "tcp"] as const) {
          const response = respond(query, transport)
          expect(response === undefined).toBe(query.length < 12 || query[2]! >= 0x80)
          if (response === undefined) continue
          expect(response.length).toBeLessThanOrEqual(transport === "udp" ? 1232 : 65535)
          expect(response.subarray(0, 2)).toEqual(query.subarray(0, 2))
          expect(Either.getOrThrow(Message.decode(response)).response).toBe(true)
        }
      }),
      { numRuns: 1000 }
    )
  })
})

// --- on a network ---

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const listen = { host: "127.0.0.1", port: 0 }

const shown = (answers: ReadonlyArray<Message.ResourceRecord>) => answers.map(show)

describe("server and client", () => {
  onMemory("over UDP, and over TCP for what does not fit", () =>
    Effect.gen(function* () {
      const { address, status } = yield* Server.serve(DnsServer.make({ zone, listen }))
      const query = (name: string, type: string) => DnsClient.query(address, name, typed(type))
      expect(shown(yield* query("WWW.example.test.", "AAAA"))).toEqual([
        "WWW.example.test. 3600 CNAME web.example.test.",
        "web.example.test. 3600 AAAA 2001:db8::80"
      ])
      expect((yield* status).accepted).toBe(1)
      expect(yield* query("big.example.test.", "TXT")).toHaveLength(6)
      expect((yield* status).accepted).toBe(3)
      for (
        const [name, message] of [
          ["nobody.example.test.", "nobody.example.test.: no such name (NXDOMAIN)"],
          ["deep.example.test.", "deep.example.test.: no A records"],
          ["example.org.", "example.org.: REFUSED"]
        ] as const
      ) expect(yield* Effect.flip(query(name, "A"))).toMatchObject({ _tag: "NoAnswer", message })
    }))

  onMemory("the port of both is given back when it is taken for one of them", () =>
    Effect.gen(function* () {
      const taken = yield* Server.serve(Server.make({ listen, handler: () => Effect.void }))
      const { port } = taken.address as { readonly port: number }
      const listening = Server.serve(DnsServer.make({ zone, listen: { ...listen, port } }))
      expect(yield* Effect.flip(listening)).toMatchObject({ _tag: "AddressInUse" })
      yield* Udp.bind({ port })
    }))

  onMemory("port 0 is one that is free for both", () =>
    Effect.gen(function* () {
      const other = yield* Server.serve(Server.make({ listen, handler: () => Effect.void }))
      const { address, connections, datagrams } = yield* Server.serve(DnsServer.make({ zone, listen }))
      expect(datagrams.address).toEqual(address)
      expect(connections.address).toEqual(address)
      expect(address).not.toEqual(other.address)
    }))

  onMemory(
    "pipelined queries are answered in order, and what is no query ends the connection",
    () =>
      Effect.gen(function* () {
        const { address } = yield* Server.serve(DnsServer.make({ zone, listen }))
        const { messages, sendAll } = yield* Framed.connect(address, Message.framing)
        const ids = Array.from({ length: 100 }, (_, id) => id)
        const queries = ids.map((id) => ask(id % 2 === 0 ? "web.example.test." : "no.example.test.", "A", { id }))
        yield* sendAll([...queries, new Uint8Array(3), ask("web.example.test.", "A")])
        const responses = yield* Stream.runCollect(messages)
        expect([...responses].map((response) => response[0]! << 8 | response[1]!)).toEqual(ids)
      })
  )

  onMemory("a connection that asks nothing is closed", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(DnsServer.make({ zone, listen, idleTimeout: "3 seconds" }))
      const connection = yield* Net.connect(address)
      yield* connection.write(Uint8Array.of(0, 40, 1))
      const end = yield* Effect.fork(connection.read)
      yield* TestClock.adjust("3 seconds")
      expect(Option.isNone(yield* Fiber.join(end))).toBe(true)
    }))

  onMemory("a connection that asks an octet now and then is closed", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(DnsServer.make({ zone, listen, idleTimeout: "3 seconds" }))
      const connection = yield* Net.connect(address)
      const trickle = Effect.zipRight(connection.write(Uint8Array.of(255)), Effect.sleep("1 second"))
      yield* Effect.fork(Effect.forever(trickle))
      const end = yield* Effect.fork(connection.closed)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(end)
    }))

  onMemory("a query is sent again, and answered by its own answer only", () =>
    Effect.gen(function* () {
      const respond = Responder.make(zone)
      const seen: Array<Uint8Array> = []
      const third = yield* Deferred.make<void>()
      const { address } = yield* UdpServer.make({
        listen,
        handler: ({ bytes, from }, socket) => {
          seen.push(bytes)
          const change = (at: number, by: number) => {
            const response = Uint8Array.from(respond(bytes, "udp")!)
            response[at]! ^= by
            return response
          }
          // The first is lost; the second is answered with another id, another name, as a query, and not at all.
          if (seen.length === 1) return
          if (seen.length === 2) {
            return Effect.forEach(
              [change(1, 1), change(13, 1), change(2, 0x80), utf8("nonsense"), new Uint8Array()],
              (bytes) => socket.send(bytes, from),
              { discard: true }
            )
          }
          return Effect.zipRight(Deferred.succeed(third, undefined), Effect.succeed(respond(bytes, "udp")))
        }
      }).serve
      const asking = yield* Effect.fork(DnsClient.query(address, "ns2.example.test.", typed("A")))
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      yield* Deferred.await(third)
      expect(shown(yield* Fiber.join(asking))).toEqual(["ns2.example.test. 3600 A 192.0.2.54"])
      expect(seen).toEqual([seen[0], seen[0], seen[0]])
    }))

  onMemory("a server that is silent, or speaks no DNS, is told so", () =>
    Effect.gen(function* () {
      const silent = yield* UdpServer.make({ listen, handler: () => {} }).serve
      const asking = yield* Effect.fork(Effect.flip(DnsClient.query(silent.address, "a.", typed("A"))))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ReadTimeout" })
      // The header of a response and the question, and then nothing of what was announced.
      const cut = yield* UdpServer.make({
        listen,
        handler: ({ bytes }) =>
          Uint8Array.from(bytes.subarray(0, 19), (octet, i) => i === 2 ? 0x80 : i === 7 ? 1 : octet)
      }).serve
      expect(yield* Effect.flip(DnsClient.query(cut.address, "a.", typed("A")))).toMatchObject({
        _tag: "BadResponse",
        message: "not a DNS response: it ends too early"
      })
    }))
})
