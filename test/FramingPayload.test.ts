import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Framing from "../src/Framing.ts"
import { byteByByte, bytes, concat, cuts, decode, encode, hex, refusal, utf8, wire } from "./support/frames.ts"

describe("bytes", () => {
  it("gives what has come, and writes what it is given", () => {
    expect(decode(Framing.bytes, wire("'ab' | 'c'")).frames).toEqual([utf8("ab"), utf8("c")])
    expect(encode(Framing.bytes, utf8("ab"), utf8(""), utf8("c"))).toEqual(utf8("abc"))
  })
})

const encodings: ReadonlyArray<Framing.PlainEncoding> = ["utf-8", "utf-16le", "utf-16be", "latin1"]

const latin = fc.array(fc.nat(255), { maxLength: 40 }).map((codes) => String.fromCharCode(...codes))
const wellFormed = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: "grapheme", maxLength: 40 }))

describe("text", () => {
  it.each<readonly [Framing.PlainEncoding, string, string]>([
    ["utf-8", "héllo 你好 🦆", "68c3a96c6c6f20e4bda0e5a5bd20f09fa686"],
    ["utf-16le", "hé你🦆", "6800e900604f3ed886dd"],
    ["utf-16be", "hé你🦆", "006800e94f60d83edd86"],
    ["latin1", "hé\x80ÿ", "68e980ff"]
  ])("%s", (encoding, text, expected) => {
    const codec = Framing.varint().pipe(Framing.text(encoding, { fatal: true }))
    const whole = encode(codec, text)
    expect(hex(whole.subarray(1))).toBe(expected)
    expect(decode(codec, [whole]).frames).toEqual([text])
  })

  it.each(encodings)("%s: encode then decode is the identity, however it is cut", (encoding) => {
    const codec = Framing.lengthPrefixed().pipe(Framing.text(encoding, { fatal: true }))
    const texts = fc.array(encoding === "latin1" ? latin : wellFormed, { maxLength: 20 })
    fc.assert(fc.property(texts, cuts, (texts, cut) => {
      expect(decode(codec, cut(encode(codec, ...texts)))).toMatchObject({ frames: texts, error: undefined })
    }))
  })

  it("encodes texts of any length", () => {
    const codec = Framing.varint().pipe(Framing.text())
    const texts = [0, 1, 600, 700, 2047, 2048, 2049, 10_000].flatMap((size) => ["x".repeat(size), "你".repeat(size)])
    expect(decode(codec, [encode(codec, ...texts)]).frames).toEqual(texts)
  })

  it("slices lines of any script alike, in long and short chunks", () => {
    const codec = Framing.lines().pipe(Framing.text())
    const lines = Array.from(
      { length: 4000 },
      (_, i) => i % 900 < 600 ? `line ${i}` : i % 7 === 0 ? `\uFEFFzeile ä ${i}` : "x".repeat(i % 300)
    )
    const whole = encode(codec, ...lines)
    expect(decode(codec, [whole]).frames).toEqual(lines)
    for (const size of [1, 100, 4096, 5000]) {
      const chunks = Array.from(
        { length: Math.ceil(whole.length / size) },
        (_, i) => whole.subarray(i * size, (i + 1) * size)
      )
      expect(decode(codec, chunks).frames).toEqual(lines)
    }
  })

  it.each<readonly [Framing.PlainEncoding, string, string]>([
    ["utf-8", "'ok' 0a c3 28 0a 'ok' 0a", "\uFFFD("],
    ["utf-8", "'ok' 0a ff 0a 'ok' 0a", "\uFFFD"],
    ["utf-8", "'ok' 0a eda080 0a 'ok' 0a", "\uFFFD\uFFFD\uFFFD"],
    ["utf-8", "'ok' 0a e4bd 0a 'ok' 0a", "\uFFFD"]
  ])("%s: malformed text is replaced or refused: %s", (encoding, text, replaced) => {
    const lines = Framing.lines()
    expect(decode(lines.pipe(Framing.text(encoding)), wire(text)).frames).toEqual(["ok", replaced, "ok"])
    const { error, frames } = decode(lines.pipe(Framing.text(encoding, { fatal: true })), wire(text))
    expect(frames).toEqual(["ok"])
    expect(error).toMatchObject({ _tag: "FrameMalformed", operation: "decode", offset: 3, reason: "not utf-8 text" })
  })

  it("malformed UTF-16 is replaced or refused", () => {
    const odd = wire("03 610062")
    const half = wire("04 3ed86100")
    for (const chunks of [odd, half]) {
      expect(decode(Framing.varint().pipe(Framing.text("utf-16le")), chunks).frames[0]).toContain("\uFFFD")
      expect(decode(Framing.varint().pipe(Framing.text("utf-16le", { fatal: true })), chunks).error?._tag).toBe(
        "FrameMalformed"
      )
    }
  })

  it("what cannot be encoded is replaced or refused", () => {
    const half = "a\ud800b"
    expect(encode(Framing.bytes.pipe(Framing.text()), half)).toEqual(utf8("a\uFFFDb"))
    expect(refusal(Framing.bytes.pipe(Framing.text("utf-8", { fatal: true })), half)._tag).toBe("FrameMalformed")
    expect(encode(Framing.bytes.pipe(Framing.text("latin1")), "a你🦆b")).toEqual(utf8("a??b"))
    expect(refusal(Framing.bytes.pipe(Framing.text("latin1", { fatal: true })), "你")).toMatchObject({
      reason: "not all of the text is in latin1"
    })
  })

  it.each(["utf-8", "utf-16le", "utf-16be"] as const)("%s: over bytes, no character is cut", (encoding) => {
    const codec = Framing.bytes.pipe(Framing.text(encoding, { fatal: true }))
    const text = "aé你🦆z"
    const whole = encode(codec, text)
    const { error, frames } = decode(codec, byteByByte(whole))
    expect(error).toBeUndefined()
    expect(frames).toEqual([...text])
    fc.assert(fc.property(wellFormed, cuts, (text, cut) => {
      expect(decode(codec, cut(encode(codec, text))).frames.join("")).toBe(text)
    }))
  })

  it("over bytes, half a character at the end is malformed", () => {
    const chunks = wire("'ok' e4 | bd")
    expect(decode(Framing.bytes.pipe(Framing.text()), chunks).frames).toEqual(["ok", "\uFFFD"])
    const { error, frames } = decode(Framing.bytes.pipe(Framing.text("utf-8", { fatal: true })), chunks)
    expect(frames).toEqual(["ok"])
    expect(error).toMatchObject({ _tag: "FrameMalformed", offset: 2 })
  })

  it("over bytes, arbitrary bytes give the same text however they are cut", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), cuts, (whole, cut) => {
        expect(decode(Framing.bytes.pipe(Framing.text()), cut(whole)).frames.join("")).toBe(
          new TextDecoder("utf-8", { ignoreBOM: true }).decode(whole)
        )
      }),
      { numRuns: 1000 }
    )
  })

  it("over bytes, a waiting half is left over for the next codec", () => {
    const decoder = Framing.bytes.pipe(Framing.text()).decoder()
    decoder.push(bytes("'ok' e4bd"))
    const frames: Array<string> = []
    decoder.decode(frames)
    expect([frames, hex(decoder.leftover())]).toEqual([["ok"], "e4bd"])
  })

  it("does not take an encoding it has no table for", () => {
    expect(() => Framing.text("gbk" as "utf-8")).toThrow(/FramingText/)
    expect(() => Framing.text("toString" as "utf-8")).toThrow(
      expect.objectContaining({ _tag: "InvalidOption", option: "encoding" })
    )
  })
})

describe("transform", () => {
  const numbers = Framing.transform(Framing.lines().pipe(Framing.text()), {
    decode: (text) => {
      if (!/^\d+$/.test(text)) throw new Error(`no number: ${text}`)
      return Number(text)
    },
    encode: (n: number) => {
      if (n < 0) throw new Error("below zero")
      return String(n)
    }
  })

  it("changes the payload both ways", () => {
    expect(decode(numbers, wire("'1\\n22\\n'")).frames).toEqual([1, 22])
    expect(encode(numbers, 1, 22)).toEqual(utf8("1\n22\n"))
    expect(Framing.isCodec(numbers)).toBe(true)
    expect(Framing.isCodec({})).toBe(false)
    expect(numbers.maxFrameLength).toBe(64 * 1024)
  })

  it("turns what is thrown into FrameMalformed", () => {
    const { error, frames } = decode(numbers, wire("'1\\n' | 'x\\n2\\n'"))
    expect(frames).toEqual([1])
    expect(error).toMatchObject({ _tag: "FrameMalformed", operation: "decode", offset: 2, reason: "no number: x" })
    expect((error?.cause as Error).message).toBe("no number: x")
    expect(refusal(numbers, -1)).toMatchObject({ _tag: "FrameMalformed", operation: "encode", reason: "below zero" })
  })
})

describe("json", () => {
  const ndjson = Framing.lines().pipe(Framing.json)

  it("is one value a frame", () => {
    const values = [{ a: [1, "\n你"] }, null, "x", 1.5]
    expect(decode(ndjson, byteByByte(encode(ndjson, ...values))).frames).toEqual(values)
    fc.assert(fc.property(fc.array(fc.jsonValue()), cuts, (values, cut) => {
      const plain = JSON.parse(JSON.stringify(values)) as Array<unknown>
      expect(decode(ndjson, cut(encode(ndjson, ...values))).frames).toEqual(plain)
    }))
  })

  it("refuses what is not JSON", () => {
    expect(decode(ndjson, wire("'{}\\n{\\n'"))).toMatchObject({
      frames: [{}],
      error: { _tag: "FrameMalformed", reason: "not JSON", offset: 3 }
    })
    expect(decode(ndjson, wire("22ff22 0a")).error).toMatchObject({ _tag: "FrameMalformed", reason: "not utf-8 text" })
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const value of [undefined, () => 1, 1n, cycle]) expect(refusal(ndjson, value)._tag).toBe("FrameMalformed")
  })
})

describe("schema", () => {
  class Move extends Schema.Class<Move>("Move")({
    to: Schema.Struct({ x: Schema.Int, y: Schema.Int }),
    at: Schema.DateFromString,
    steps: Schema.Array(Schema.String)
  }) {}
  const moves = Framing.lengthPrefixed().pipe(Framing.json, Framing.schema(Move))

  it("decodes and encodes", () => {
    const move = new Move({ to: { x: 1, y: 2 }, at: new Date(0), steps: ["a"] })
    const { error, frames } = decode(moves, [encode(moves, move)])
    expect(error).toBeUndefined()
    expect(frames).toEqual([move])
    expect(frames[0]).toBeInstanceOf(Move)
  })

  it("names the field that does not fit", () => {
    const json = Framing.lengthPrefixed().pipe(Framing.json)
    const good = encode(json, { to: { x: 1, y: 2 }, at: "2026-11-20T00:00:00Z", steps: [] })
    const bad = encode(json, { to: { x: 1, y: "2".repeat(10_000) }, at: "2026-11-20T00:00:00Z", steps: [] })
    const { error, frames } = decode(moves, [concat([good, bad])])
    expect(frames.length).toBe(1)
    expect(error).toMatchObject({ _tag: "FrameMalformed", operation: "decode", offset: good.length, path: ["to", "y"] })
    expect(error?.message).toMatch(/^decode: malformed frame at offset \d+: to\.y: Expected number, actual "222/)
    expect(error?.message.length).toBeLessThan(300)
    expect(error?.cause).toMatchObject({ _tag: "ParseError" })
    const wrong = { to: { x: 1, y: 2 }, at: new Date(0), steps: ["a", 1] } as unknown as Move
    expect(refusal(moves, wrong)).toMatchObject({ _tag: "FrameMalformed", operation: "encode" })
  })

  it("works over text too", () => {
    const numbers = Framing.lines().pipe(Framing.text(), Framing.schema(Schema.NumberFromString))
    expect(decode(numbers, wire("'1\\n-2.5\\n'")).frames).toEqual([1, -2.5])
    expect(decode(numbers, wire("'one\\n'")).error).toMatchObject({ _tag: "FrameMalformed", path: [] })
  })
})

describe("either", () => {
  const Order = Schema.Struct({ item: Schema.String })
  const codec = Framing.lines({ maxFrameLength: 20 }).pipe(Framing.json, Framing.schema(Order), Framing.either)

  it("gives what was refused as a value, and goes on", () => {
    const { error, frames } = decode(codec, [utf8('{"item":"a"}\n{"item":\n{"item":1}\n{"item":"b"}\n')])
    expect(error).toBe(undefined)
    expect(frames.map((frame) => Either.getOrElse(frame, ({ offset, reason }) => `${offset}: ${reason}`))).toEqual([
      { item: "a" },
      "13: not JSON",
      "22: item: Expected string, actual 1",
      { item: "b" }
    ])
  })

  it("leaves the limits of the framing as they are", () => {
    expect(decode(codec, [utf8(`${"x".repeat(21)}\n{"item":"b"}\n`)]).error).toMatchObject({ _tag: "FrameTooLarge" })
  })

  it("writes as the codec under it", () => {
    expect(encode(codec, { item: "a" })).toEqual(utf8('{"item":"a"}\n'))
  })
})

describe("text over a function of the user's", () => {
  const length = Framing.lines().pipe(Framing.json)

  it("gives it bytes that encoding other text meanwhile leaves alone", () => {
    const led = Framing.transform({
      decode: (frame: Uint8Array) => frame,
      encode: (body: Uint8Array) => concat([encode(length, body.length), body])
    })
    const custom = Framing.make({
      locate: () => undefined,
      encode: (payload) => [encode(length, payload.length), payload]
    })
    for (const codec of [Framing.bytes.pipe(led), custom]) {
      expect(encode(codec.pipe(Framing.text()), "hello world!")).toEqual(utf8("12\nhello world!"))
      expect(encode(codec.pipe(Framing.json), "hello world")).toEqual(utf8('13\n"hello world"'))
    }
  })

  it("gives it bytes that it may keep", () => {
    const kept: Array<Uint8Array> = []
    const keeping = Framing.transform({
      decode: (frame: Uint8Array) => frame,
      encode: (body: Uint8Array) => (kept.push(body), body)
    })
    encode(Framing.bytes.pipe(keeping, Framing.text()), "one", "two")
    expect(kept).toEqual([utf8("one"), utf8("two")])
  })
})

describe("a schema each way", () => {
  it("decodes one and encodes the other", () => {
    const codec = Framing.lines().pipe(Framing.json, Framing.schema(Schema.NumberFromString, Schema.Boolean))
    expect(decode(codec, [utf8('"7"\n')]).frames).toEqual([7])
    expect(encode(codec, true)).toEqual(utf8("true\n"))
    expect(decode(codec, [utf8("true\n")]).error).toMatchObject({ _tag: "FrameMalformed" })
  })
})
