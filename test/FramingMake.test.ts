import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Framing from "../src/Framing.ts"
import { ascii, byteByByte, bytes, cuts, decode, decodeText, encode, refusal, utf8, wire } from "./support/frames.ts"

/**
 * Pekko's grouped frames and computeFrameSize: the length is what the function makes of the header, whatever the field
 * says.
 */
const doubled = Framing.make({
  maxFrameLength: 8,
  locate: (bytes) => bytes.length < 1 ? undefined : { start: 1, end: 1 + 2 * bytes[0]! },
  encode: (payload) =>
    payload.length % 2 === 1 ? { malformed: "an odd payload" } : [Uint8Array.of(payload.length / 2), payload]
})

describe("make, with locate", () => {
  it("decodes and encodes", () => {
    expect(decodeText(doubled, wire("01 'ab' 00 02 'c' | 'def'"))).toEqual(["ab", "", "cdef"])
    expect(encode(doubled, utf8("ab"), utf8(""), utf8("cdef"))).toEqual(bytes("01 'ab' 00 02 'cdef'"))
    expect(refusal(doubled, utf8("a"))).toMatchObject({ _tag: "FrameMalformed", reason: "an odd payload" })
    expect(refusal(doubled, utf8("abcdefghij"))).toMatchObject({ _tag: "FrameTooLarge", size: 10, limit: 8 })
    expect(decode(doubled, wire("01 'ab' 05")).error).toMatchObject({
      _tag: "FrameTooLarge",
      offset: 3,
      size: 10,
      limit: 8
    })
  })

  it("takes a frame with something after the payload", () => {
    const bracketed = Framing.make({
      locate: (bytes, scanned) => {
        const close = Framing.indexOf(bytes, "]", scanned)
        return close < 0 ? undefined : { start: 1, end: close, next: close + 1 }
      },
      encode: (payload) => [utf8("["), payload, utf8("]")]
    })
    expect(decodeText(bracketed, wire("'[ab][' | 'c' | ']'"))).toEqual(["ab", "c"])
    expect(encode(bracketed, utf8("ab"))).toEqual(utf8("[ab]"))
  })

  it("asks again only when there are as many bytes as it said", () => {
    const asked: Array<readonly [length: number, scanned: number]> = []
    const codec = Framing.make({
      locate: (bytes, scanned) => {
        asked.push([bytes.length, scanned])
        return bytes.length < 4 ? { need: 4 } : { start: 0, end: 4 }
      },
      encode: (payload) => payload
    })
    expect(decodeText(codec, byteByByte(utf8("abcdef")))).toEqual(["abcd", "FrameTruncated"])
    expect(asked).toEqual([[1, 0], [4, 1], [1, 0]])
  })

  it("bounds the header", () => {
    const never = Framing.make({ maxHeaderLength: 100, locate: () => undefined, encode: (payload) => payload })
    for (const chunks of [[new Uint8Array(1000)], byteByByte(new Uint8Array(1000))]) {
      expect(decode(never, chunks).error).toMatchObject({
        _tag: "FrameMalformed",
        reason: "its header is longer than 100 bytes"
      })
    }
    const far = Framing.make({ locate: () => ({ need: 1e9 }), encode: (payload) => payload })
    expect(decode(far, wire("'a'")).error?._tag).toBe("FrameMalformed")
  })

  it.each<readonly [string, Framing.Location]>([
    ["of no bytes", { start: 0, end: 0 }],
    ["that ends before it begins", { start: 2, end: 1 }],
    ["that begins before itself", { start: -1, end: 1 }],
    ["whose next begins within it", { start: 0, end: 2, next: 1 }],
    ["that is nowhere", { start: 0, end: NaN }]
  ])("does not accept a frame %s", (_, location) => {
    const codec = Framing.make({ locate: () => location, encode: (payload) => payload })
    expect(decode(codec, wire("'abc'")).error?._tag).toBe("FrameMalformed")
  })

  it("turns what it throws into FrameMalformed", () => {
    const codec = Framing.make({
      locate: (bytes) => ({ start: 0, end: (JSON.parse(ascii(bytes)) as ReadonlyArray<number>)[0]! }),
      encode: () => {
        throw new RangeError("no room")
      }
    })
    expect(decode(codec, wire("'}'")).error).toMatchObject({ _tag: "FrameMalformed", cause: expect.any(SyntaxError) })
    expect(refusal(codec, utf8("x"))).toMatchObject({ _tag: "FrameMalformed", operation: "encode", reason: "no room" })
  })

  it("is announced endless, and refused", () => {
    const codec = Framing.make({ locate: () => ({ start: 0, end: Infinity }), encode: (payload) => payload })
    expect(decode(codec, wire("'a'")).error?._tag).toBe("FrameTooLarge")
  })
})

type Resp = string | number | null | ReadonlyArray<Resp>

/** A part of Redis' protocol: simple strings, integers, bulk strings and arrays, as values. */
const resp = Framing.make<Resp, Resp>({
  maxFrameLength: 1000,
  parse: (bytes) => {
    const value = (at: number): readonly [Resp, number] | undefined => {
      const end = Framing.indexOf(bytes, "\r\n", at)
      if (end < 0) return undefined
      const line = ascii(bytes.subarray(at + 1, end))
      const next = end + 2
      switch (String.fromCharCode(bytes[at]!)) {
        case "+":
          return [line, next]
        case ":":
          return [Number(line), next]
        case "$": {
          const size = Number(line)
          if (size < 0) return [null, next]
          return bytes.length < next + size + 2
            ? undefined
            : [ascii(bytes.subarray(next, next + size)), next + size + 2]
        }
        case "*": {
          const items: Array<Resp> = []
          for (let i = 0, from = next;; i++) {
            if (i === Number(line)) return [items, from]
            const item = value(from)
            if (item === undefined) return undefined
            items.push(item[0])
            from = item[1]
          }
        }
      }
      throw new Error(`no RESP type: ${bytes[at]}`)
    }
    const found = value(0)
    return found === undefined ? undefined : { value: found[0], next: found[1] }
  },
  encode: (value) => utf8(write(value))
})

const write = (value: Resp): string => {
  if (value === null) return "$-1\r\n"
  if (typeof value === "number") return `:${value}\r\n`
  if (typeof value === "string") return `$${utf8(value).length}\r\n${value}\r\n`
  return `*${value.length}\r\n${value.map(write).join("")}`
}

describe("make, with parse", () => {
  const values = fc.letrec<{ value: Resp }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.string({ unit: "grapheme", maxLength: 8 }),
      fc.integer(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 3 })
    )
  })).value

  it("gives values, however they are cut", () => {
    fc.assert(fc.property(fc.array(values), cuts, (values, cut) => {
      expect(decode(resp, cut(encode(resp, ...values)))).toMatchObject({ frames: values, error: undefined })
    }))
  })

  it("says where it is malformed", () => {
    expect(decode(resp, wire("'+OK\\r\\n!\\r\\n'"))).toMatchObject({
      frames: ["OK"],
      error: { _tag: "FrameMalformed", offset: 5, reason: "no RESP type: 33" }
    })
  })

  it("is bounded both ways", () => {
    const most = "x".repeat(1000 - 8)
    expect(decode(resp, [encode(resp, most)]).frames).toEqual([most])
    expect(refusal(resp, `${most}x`)).toMatchObject({ _tag: "FrameTooLarge", size: 1001, limit: 1000 })
    const longer = utf8(write(`${most}x`))
    for (const chunks of [[longer], byteByByte(longer)]) {
      expect(decode(resp, chunks).error).toMatchObject({ _tag: "FrameTooLarge", size: 1001, limit: 1000 })
    }
  })

  it("must not take bytes that are not there", () => {
    const codec = Framing.make<number, number>({
      parse: () => ({ value: 1, next: 10 }),
      encode: () => new Uint8Array(10)
    })
    expect(decode(codec, wire("'abc'")).error?._tag).toBe("FrameMalformed")
  })

  it("has a state for each decoder and each encoder, if it is a function", () => {
    const numbered = Framing.make<string, string>(() => {
      let sequence = 0
      return {
        parse: (bytes) => {
          if (bytes.length < 2) return undefined
          if (bytes[0] !== sequence) return { malformed: `number ${bytes[0]}, not ${sequence}` }
          sequence++
          return { value: String.fromCharCode(bytes[1]!), next: 2 }
        },
        encode: (value) => Uint8Array.of(sequence++, value.charCodeAt(0))
      }
    })
    const whole = encode(numbered, "a", "b", "c")
    expect(whole).toEqual(bytes("00 'a' 01 'b' 02 'c'"))
    expect(encode(numbered, "a")).toEqual(bytes("00 'a'"))
    expect(decode(numbered, byteByByte(whole)).frames).toEqual(["a", "b", "c"])
    expect(decode(numbered, wire("00 'a' 00 'b'")).error).toMatchObject({ reason: "number 0, not 1" })
  })

  it("does not take wrong options", () => {
    expect(() => Framing.make({ encode: () => new Uint8Array(0) } as never)).toThrow(
      expect.objectContaining({ _tag: "InvalidOption" })
    )
    expect(() => Framing.make({ maxHeaderLength: 0, locate: () => undefined, encode: (p) => p })).toThrow(
      /maxHeaderLength/
    )
  })
})
