/**
 * DNS messages and names, against what a hostile peer may send.
 */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import { attempt, Malformed } from "../../examples/services/dns/Malformed.ts"
import * as Message from "../../examples/services/dns/Message.ts"
import * as Name from "../../examples/services/dns/Name.ts"
import * as RecordType from "../../examples/services/dns/RecordType.ts"
import { bytes } from "../support/frames.ts"
import { bits, blob, damaged, typed } from "./dns.ts"

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
