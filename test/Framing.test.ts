import * as Either from "effect/Either"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Framing from "../src/Framing.ts"
import {
  byteByByte,
  concat,
  cuts,
  decode,
  decodeText,
  encode,
  facts,
  hex,
  refusal,
  utf8,
  wire
} from "./support/frames.ts"

type Bytes = Framing.Codec<Uint8Array>

const contentLength = (options: Framing.SkippingOptions = {}): Bytes =>
  Framing.make({
    ...options,
    locate: (bytes, scanned) => {
      const end = Framing.indexOf(bytes, "\r\n\r\n", scanned - 3)
      if (end < 0) return undefined
      const length = /^Content-Length: *(\d+)$/im.exec(new TextDecoder().decode(bytes.subarray(0, end)))
      if (length === null) return { malformed: "no Content-Length" }
      return { start: end + 4, end: end + 4 + Number(length[1]) }
    },
    encode: (payload) => [utf8(`Content-Length: ${payload.length}\r\n\r\n`), payload]
  })

/** Every framing, with a maximum of `max`; and which payloads it can hold. */
const framings = (
  options: Framing.SkippingOptions
): ReadonlyArray<readonly [name: string, codec: Bytes, holds: (payload: Uint8Array) => boolean]> => [
  ["lines", Framing.lines(options), (p) => !p.includes(10) && p.at(-1) !== 13],
  ["lines, CRLF", Framing.lines({ ...options, newline: "\r\n" }), (p) => !p.includes(10)],
  ["lines, strict", Framing.lines({ ...options, strict: true }), (p) => !p.includes(10) && !p.includes(13)],
  ["delimiter", Framing.delimiter("\0", options), (p) => !p.includes(0)],
  // The delimiter must not begin in the payload: bytes 0 and 1 are kept out of it.
  ["delimiter of three bytes", Framing.delimiter(Uint8Array.of(0, 1, 0), options), (p) => !p.includes(0)],
  [
    "delimiters",
    Framing.delimiter([Uint8Array.of(0, 1), Uint8Array.of(13)], options),
    (p) => !p.includes(0) && !p.includes(1) && !p.includes(13)
  ],
  ["lengthPrefixed", Framing.lengthPrefixed(options), () => true],
  [
    "lengthPrefixed, 8 bytes",
    Framing.lengthPrefixed({ ...options, lengthFieldLength: 8, byteOrder: "little" }),
    () => true
  ],
  [
    "lengthPrefixed, all options",
    Framing.lengthPrefixed({
      ...options,
      lengthFieldOffset: 1,
      lengthFieldLength: 3,
      lengthIncludesHeader: true,
      lengthAdjustment: 2,
      initialBytesToStrip: 5,
      header: utf8("abcde")
    }),
    () => true
  ],
  ["varint", Framing.varint(options), () => true],
  ["netstring", Framing.netstring(options), () => true],
  ["octetCounting", Framing.octetCounting(options), (p) => p.length > 0],
  ["make", contentLength(options), () => true]
]

const max = 40
const failing = framings({ maxFrameLength: max })
const skipping = framings({ maxFrameLength: max, onTooLarge: "skip" })

/** Small bytes and few of them, so that delimiters, digits and short lengths come up. */
const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 10, 13, 32, 44, 48, 49, 50, 58, 0x80, 0xff))
const anyBytes = fc.array(byte, { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes))
const payloads = fc.array(fc.array(byte, { maxLength: max }).map((bytes) => Uint8Array.from(bytes)), { maxLength: 12 })

const outcome = (codec: Bytes, chunks: ReadonlyArray<Uint8Array>) => {
  const { error, frames, skipped } = decode(codec, chunks)
  return { frames: frames.map(hex), error: facts(error), skipped }
}

describe.each(failing)("%s", (_, codec, holds) => {
  it("decodes what it encoded, however it is cut", () => {
    fc.assert(fc.property(payloads, cuts, (payloads, cut) => {
      const frames = payloads.filter(holds)
      const bytes = encode(codec, ...frames)
      expect(outcome(codec, cut(bytes))).toEqual({ frames: frames.map(hex), error: undefined, skipped: 0 })
    }))
  })

  it("lets another decoder go on after any frame", () => {
    fc.assert(fc.property(payloads, cuts, fc.nat(), (payloads, cut, place) => {
      const frames = payloads.filter(holds)
      const limit = place % (frames.length + 1)
      const first = codec.decoder()
      const out: Array<Uint8Array> = []
      const chunks = cut(encode(codec, ...frames))
      let used = 0
      while (used < chunks.length && out.length < limit) {
        first.push(chunks[used++]!)
        first.decode(out, limit - out.length)
      }
      expect(first.offset).toBe(encode(codec, ...frames.slice(0, limit)).length)
      const rest = outcome(codec, [first.leftover(), ...chunks.slice(used)])
      expect([...out.map(hex), ...rest.frames]).toEqual(frames.map(hex))
    }))
  })

  it("passes exactly the maximum both ways, and not one more", () => {
    expect(codec.maxFrameLength).toBe(max)
    const most = new Uint8Array(max).fill(97)
    const more = new Uint8Array(max + 1).fill(97)
    expect(outcome(codec, [encode(codec, most, most)]).frames).toEqual([hex(most), hex(most)])
    expect(refusal(codec, more)).toMatchObject({
      _tag: "FrameTooLarge",
      operation: "encode",
      offset: 0,
      size: max + 1,
      limit: max
    })
    const larger = framings({ maxFrameLength: max + 1 }).find(([name]) => name === _)![1]
    const first = encode(codec, most)
    for (const chunks of [[concat([first, encode(larger, more)])], byteByByte(concat([first, encode(larger, more)]))]) {
      const { error, frames } = decode(codec, chunks)
      expect(frames.map(hex)).toEqual([hex(most)])
      expect(error).toMatchObject({
        _tag: "FrameTooLarge",
        operation: "decode",
        offset: first.length,
        size: max + 1,
        limit: max
      })
    }
  })

  it("refuses to encode what it cannot decode again", () => {
    fc.assert(fc.property(payloads, (payloads) => {
      for (const payload of payloads) {
        const encoded = codec.encoder().encode(payload)
        if (Either.isRight(encoded)) expect(outcome(codec, encoded.right).frames).toEqual([hex(payload)])
        else expect(holds(payload)).toBe(false)
      }
    }))
  })
})

describe.each([...failing, ...skipping.map(([name, ...rest]) => [`${name}, skipping`, ...rest] as const)])(
  "%s",
  (_, codec) => {
    it("gives the same for any bytes, however they are cut", () => {
      fc.assert(
        fc.property(anyBytes, cuts, (bytes, cut) => {
          expect(outcome(codec, cut(bytes))).toEqual(outcome(codec, [bytes]))
        }),
        { numRuns: 300 }
      )
    })

    it("never holds more than its maximum and a header", () => {
      const header = _.startsWith("make") ? 8 * 1024 : 20
      fc.assert(fc.property(anyBytes, cuts, (bytes, cut) => {
        const decoder = codec.decoder()
        for (const chunk of cut(bytes)) {
          decoder.push(chunk)
          decoder.decode([])
          expect(decoder.buffered).toBeLessThanOrEqual(max + header)
        }
      }))
    })
  }
)

describe("a decoder", () => {
  it("hands out views of a chunk, and copies only a frame that spans two", () => {
    const chunk = utf8("one\ntwo\nth")
    const { frames } = decode(Framing.lines(), [chunk, utf8("ree\nfour\n")])
    expect(frames.map((frame) => frame.buffer === chunk.buffer)).toEqual([true, true, false, false])
    expect(decodeText(Framing.lines(), [chunk, utf8("ree\nfour\n")])).toEqual(["one", "two", "three", "four"])
  })

  it("gives plain arrays whatever the chunk is of", () => {
    class Special extends Uint8Array {}
    const { frames } = decode(Framing.lines(), [Special.from(utf8("a\nb")), Special.from(utf8("c\n"))])
    for (const frame of frames) expect(Object.getPrototypeOf(frame)).toBe(Uint8Array.prototype)
  })

  it("does not write to a frame that it gave, nor to another's", () => {
    const decoders = Array.from({ length: 50 }, () => Framing.lines().decoder())
    const frames: Array<Uint8Array> = []
    for (let round = 0; round < 20; round++) {
      decoders.forEach((decoder, i) => {
        decoder.push(utf8(`${round},`))
        decoder.push(utf8(`${i}\n${round}`))
        decoder.push(utf8(`,${i}\n`))
        decoder.decode(frames)
      })
    }
    const texts = frames.map((frame) => new TextDecoder().decode(frame))
    expect(texts).toEqual(
      Array.from({ length: 20 }, (_, round) => decoders.flatMap((_, i) => [`${round},${i}`, `${round},${i}`])).flat()
    )
  })

  it("fails for good", () => {
    const decoder = Framing.lines({ maxFrameLength: 3 }).decoder()
    const frames: Array<Uint8Array> = []
    decoder.push(utf8("ok\nlong"))
    const failure = decoder.decode(frames)
    expect(failure?._tag).toBe("FrameTooLarge")
    decoder.push(utf8("\nok\n"))
    expect(decoder.decode(frames)).toBe(failure)
    decoder.end()
    expect(decoder.decode(frames)).toBe(failure)
    expect(frames.length).toBe(1)
    expect(decoder.leftover().length).toBe(0)
  })

  it("takes one frame at a time", () => {
    const decoder = Framing.lines().decoder()
    const frames: Array<Uint8Array> = []
    decoder.push(utf8("a\nb\nc"))
    decoder.push(utf8("d\ne"))
    decoder.end()
    for (const [count, offset] of [[1, 2], [2, 4], [3, 7], [4, 8], [4, 8]]) {
      expect(decoder.decode(frames, 1)).toBeUndefined()
      expect([frames.length, decoder.offset]).toEqual([count, offset])
    }
    expect(frames.map((frame) => new TextDecoder().decode(frame))).toEqual(["a", "b", "cd", "e"])
  })

  it("does not end twice, nor go on after its end", () => {
    const decoder = Framing.lines().decoder()
    const frames: Array<Uint8Array> = []
    decoder.push(utf8("a"))
    decoder.end()
    decoder.end()
    decoder.push(utf8("b\n"))
    decoder.decode(frames)
    decoder.decode(frames)
    expect(frames).toEqual([utf8("a")])
  })
})

/** The bytes that a decoder holds, by what it would hand over. */
const held = <A>(decoder: Framing.Decoder<A>): number => {
  const rest = decoder.leftover()
  return rest.buffer.byteLength
}

describe("a hostile sender", () => {
  const chunk = new Uint8Array(64 * 1024).fill(97)

  it.each<readonly [string, Bytes]>([
    ["lines", Framing.lines({ onTooLarge: "skip" })],
    ["strict lines", Framing.lines({ onTooLarge: "skip", strict: true })],
    ["delimiter", Framing.delimiter("\r\n\r\n", { onTooLarge: "skip" })]
  ])("of an endless frame of %s is skipped in constant memory", (_, codec) => {
    const decoder = codec.decoder()
    for (let i = 0; i < 200; i++) {
      decoder.push(i % 2 === 0 ? chunk : chunk.subarray(0, 1000 + i))
      expect(decoder.decode([])).toBeUndefined()
    }
    expect(decoder.skipped).toBe(1)
    expect(held(decoder)).toBeLessThanOrEqual(16 * 1024)
  })

  it("of an endless line holds no more than the maximum", () => {
    for (const size of [1, 7, 4096]) {
      const decoder = Framing.lines({ maxFrameLength: 64 * 1024 }).decoder()
      let sent = 0
      while (decoder.decode([]) === undefined) {
        decoder.push(chunk.subarray(0, size))
        sent += size
      }
      expect(sent).toBeLessThanOrEqual(64 * 1024 + 1 + size)
    }
  })

  it.each<readonly [string, Bytes, string]>([
    ["a length of 8 MiB", Framing.lengthPrefixed(), "00800000 | 61"],
    ["a varint of 8 MiB", Framing.varint(), "80808004 | 61"],
    ["a netstring of 8 MiB", Framing.netstring(), "'8388608:' | 'a'"],
    ["a Content-Length of 8 MiB", contentLength(), "'Content-Length: 8388608\\r\\n\\r\\n' | 'a'"]
  ])("that announces %s gets no memory for it", (_, codec, text) => {
    const decoder = codec.decoder()
    for (const chunk of wire(text)) decoder.push(chunk)
    expect(decoder.decode([])).toBeUndefined()
    expect(held(decoder)).toBeLessThanOrEqual(16 * 1024)
  })

  it("of a frame in single bytes is put together in time", () => {
    const size = 1024 * 1024
    const codec = Framing.lengthPrefixed()
    const bytes = encode(codec, new Uint8Array(size).fill(7))
    const decoder = codec.decoder()
    const frames: Array<Uint8Array> = []
    for (let at = 0; at < bytes.length; at += 16) {
      decoder.push(bytes.subarray(at, at + 16))
      decoder.decode(frames)
    }
    expect(frames.map((frame) => [frame.length, frame.every((byte) => byte === 7)])).toEqual([[size, true]])
  })

  it("of thousands of empty frames gets them one batch at a time", () => {
    const decoder = Framing.lines().decoder()
    decoder.push(new Uint8Array(100_000).fill(10))
    const frames: Array<Uint8Array> = []
    decoder.decode(frames, 1000)
    expect(frames.length).toBe(1000)
    decoder.decode(frames)
    expect(frames.length).toBe(100_000)
  })

  it("of half a delimiter again and again does not slow the search down", () => {
    const codec = Framing.delimiter("aab", { maxFrameLength: 1 << 20 })
    const decoder = codec.decoder()
    for (let i = 0; i < 1 << 20; i += 64) {
      decoder.push(chunk.subarray(0, 64))
      decoder.decode([])
    }
    decoder.push(utf8("b"))
    const frames: Array<Uint8Array> = []
    decoder.decode(frames)
    expect(frames[0]?.length).toBe((1 << 20) - 2)
  })
})

describe("indexOf", () => {
  it("finds text and bytes", () => {
    const bytes = utf8("ab\r\nab\r\n\r\n" + "x".repeat(100) + "\r\n\r\n")
    expect(Framing.indexOf(bytes, "\r\n\r\n")).toBe(6)
    expect(Framing.indexOf(bytes, utf8("\r\n\r\n"), 7)).toBe(110)
    expect(Framing.indexOf(bytes, "ab", -5)).toBe(0)
    expect(Framing.indexOf(bytes, "ba")).toBe(-1)
    expect(Framing.indexOf(bytes, "")).toBe(0)
    expect(Framing.indexOf(utf8("a"), "ab")).toBe(-1)
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 80 }),
        fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 }),
        fc.nat(90),
        (text, part, from) => {
          expect(Framing.indexOf(utf8(text), part, from)).toBe(text.indexOf(part, from))
        }
      )
    )
  })
})
