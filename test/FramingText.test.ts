import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Framing from "../src/Framing.ts"
import * as FramingText from "../src/FramingText.ts"
import { byteByByte, bytes, cuts, decode, encode, hex, refusal, utf8, wire } from "./support/frames.ts"

const lines = Framing.lines()

/** By an independent table: Python 3's codecs. */
const known: ReadonlyArray<readonly [encoding: string, text: string, bytes: string]> = [
  ["gbk", "你好, world", "c4e3bac32c20776f726c64"],
  ["GB2312", "你好", "c4e3bac3"],
  ["gb18030", "你好€🦆", "c4e3bac3a2e39530d838"],
  ["big5", "你好", "a741a66e"],
  ["shift_jis", "こんにちは", "82b182f182c982bf82cd"],
  ["EUC-JP", "こんにちは", "a4b3a4f3a4cba4c1a4cf"],
  ["euc-kr", "안녕", "bec8b3e7"],
  ["windows-1252", "“é€”", "93e98094"],
  ["windows-1251", "Привет", "cff0e8e2e5f2"],
  ["koi8-r", "Привет", "f0d2c9d7c5d4"],
  ["iso-8859-15", "é€", "e9a4"],
  ["UTF8", "é", "c3a9"],
  ["utf-16", "é", "e900"],
  ["UTF-16BE", "é", "00e9"],
  ["latin1", "é\x80", "e980"]
]

describe("text", () => {
  it.each(known)("%s", (encoding, text, expected) => {
    const codec = Framing.varint().pipe(FramingText.text(encoding, { fatal: true }))
    const whole = encode(codec, text)
    expect(hex(whole.subarray(1))).toBe(expected)
    expect(decode(codec, [whole]).frames).toEqual([text])
    expect(
      decode(Framing.bytes.pipe(FramingText.text(encoding, { fatal: true })), byteByByte(bytes(expected))).frames.join(
        ""
      )
    ).toBe(text)
  })

  it.each<readonly [string, string]>([["gbk", "你好世界abc"], ["gb18030", "你€🦆a"], ["big5", "你好a"], [
    "shift_jis",
    "こa"
  ]])(
    "%s: encode then decode is the identity, however it is cut",
    (encoding, unit) => {
      const texts = fc.array(fc.string({ unit: fc.constantFrom(...unit), maxLength: 20 }), { maxLength: 10 })
      const codec = lines.pipe(FramingText.text(encoding, { fatal: true }))
      const raw = Framing.bytes.pipe(FramingText.text(encoding, { fatal: true }))
      fc.assert(fc.property(texts, cuts, (texts, cut) => {
        expect(decode(codec, cut(encode(codec, ...texts)))).toMatchObject({ frames: texts, error: undefined })
        expect(decode(raw, cut(encode(raw, ...texts))).frames.join("")).toBe(texts.join(""))
      }))
    }
  )

  // Node 20's TextDecoder takes 0xFFFF for GBK even when fatal.
  it.each<readonly [string, string]>([
    ["gbk", "ffff"],
    ["gbk", "81"],
    ["gb18030", "81308130ff"],
    ["shift_jis", "a0ff"],
    ["big5", "ff"],
    ["windows-1253", "d2"]
  ])(
    "%s: malformed text %s is replaced or refused, on every runtime",
    (encoding, malformed) => {
      const chunks = wire(`'ok' 0a ${malformed} 0a`)
      expect(decode(lines.pipe(FramingText.text(encoding)), chunks).frames[1]).toContain("\uFFFD")
      const { error, frames } = decode(lines.pipe(FramingText.text(encoding, { fatal: true })), chunks)
      expect(frames).toEqual(["ok"])
      expect(error).toMatchObject({ _tag: "FrameMalformed", offset: 3, reason: `not ${encoding} text` })
    }
  )

  it("the replacement character itself is text where the encoding has it", () => {
    const codec = lines.pipe(FramingText.text("gb18030", { fatal: true }))
    expect(decode(codec, [encode(codec, "a\uFFFDb")]).frames).toEqual(["a\uFFFDb"])
  })

  it("what cannot be encoded is replaced or refused", () => {
    expect(encode(lines.pipe(FramingText.text("gbk")), "a🦆")).toEqual(utf8("a?\n"))
    expect(refusal(lines.pipe(FramingText.text("gbk", { fatal: true })), "a🦆"))
      .toMatchObject({ _tag: "FrameMalformed", operation: "encode", reason: "not all of the text is in gbk" })
  })

  it("half a character at the end is malformed", () => {
    const { error, frames } = decode(Framing.bytes.pipe(FramingText.text("gbk", { fatal: true })), wire("c4e3 | ba"))
    expect(frames).toEqual(["你"])
    expect(error).toMatchObject({ _tag: "FrameMalformed", offset: 2 })
    expect(decode(Framing.bytes.pipe(FramingText.text("gbk")), wire("c4e3 | ba")).frames).toEqual(["你", "\uFFFD"])
  })

  it("over bytes, a byte that proves malformed by the next one is no half character", () => {
    const codec = Framing.bytes.pipe(FramingText.text("big5"))
    const [whole] = decode(codec, wire("878787e040")).frames
    expect(decode(codec, wire("878787e0 | 40")).frames.join("")).toBe(whole)
  })

  it("over bytes, arbitrary bytes give the same text however they are cut", () => {
    for (const encoding of ["gbk", "gb18030", "big5", "shift_jis", "euc-jp"]) {
      const codec = Framing.bytes.pipe(FramingText.text(encoding))
      fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), cuts, (whole, cut) => {
        expect(decode(codec, cut(whole)).frames.join("")).toBe(decode(codec, [whole]).frames.join(""))
      }))
    }
  })

  it.each(["", "klingon", "hex", "base64", "utf-7", "utf-32", "_internal", "constructor"])(
    "does not take '%s'",
    (encoding) => {
      expect(() => FramingText.text(encoding)).toThrow(
        expect.objectContaining({ _tag: "InvalidOption", option: "encoding", value: encoding })
      )
    }
  )
})
