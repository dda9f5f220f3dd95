import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"
import * as Framing from "../src/Framing.ts"
import {
  ascii,
  byteByByte,
  bytes,
  concat,
  decode,
  decodeText,
  encode,
  hex,
  refusal,
  utf8,
  wire
} from "./support/frames.ts"

type Row = readonly [
  name: string,
  options: Framing.LengthPrefixedOptions,
  wire: string,
  expected: ReadonlyArray<string>,
  end?: boolean
]

const complete = ([name, options, wire, expected, end = true]: Row) => [name, options, wire, expected, end] as const

/**
 * tokio's names for the same, by the formula in `LengthPrefixedOptions`. `skip` is through the length field where tokio
 * does not say.
 */
const fromTokio = (
  len: number,
  offset: number,
  adjustment: number,
  skip = offset + len
): Framing.LengthPrefixedOptions => ({
  lengthFieldOffset: offset,
  lengthFieldLength: len,
  initialBytesToStrip: skip,
  lengthAdjustment: adjustment + skip - offset - len
})

const nine = "00000009 'abcdefghi'"
const three = `${nine} 00000003 '123' 0000000b 'hello world'`

/**
 * tokio-util, tests/length_delimited.rs. The tests of its transport (would_block, write_zero, flush, pending reads)
 * concern I/O, which a decoder has none of; a read that is pending is a chunk that has not come yet. Where tokio
 * returns an error, ours is named.
 */
const tokio: ReadonlyArray<Row> = [
  ["read_empty_io_yields_nothing", {}, "''", []],
  ["read_single_frame_one_packet", {}, nine, ["abcdefghi"]],
  ["read_single_frame_one_packet_little_endian", { byteOrder: "little" }, "09000000 'abcdefghi'", ["abcdefghi"]],
  ["read_single_multi_frame_one_packet", {}, three, ["abcdefghi", "123", "hello world"]],
  ["read_single_frame_multi_packet", {}, "0000 | 0009 'abc' | 'defghi'", ["abcdefghi"]],
  [
    "read_multi_frame_multi_packet",
    {},
    "0000 | 0009 'abc' | 'defghi' | 00000003 '12' | '3' 0000000b 'hello world'",
    ["abcdefghi", "123", "hello world"]
  ],
  ["read_incomplete_head", {}, "0000", ["FrameTruncated"]],
  ["read_incomplete_head_multi", {}, "00 | 00", ["FrameTruncated"]],
  ["read_incomplete_payload", {}, "00000009 'ab' | 'cd'", ["FrameTruncated"]],
  ["read_max_frame_len", { maxFrameLength: 5 }, nine, ["FrameTooLarge"]],
  ["read_one_byte_length_field", { lengthFieldLength: 1 }, "09 'abcdefghi'", ["abcdefghi"]],
  ["read_header_offset", fromTokio(2, 4, 0), "'zzzz' 0009 'abcdefghi'", ["abcdefghi"]],
  [
    "read_single_multi_frame_one_packet_skip_none_adjusted",
    fromTokio(2, 2, 4, 0),
    "'xx' 0009 'abcdefghi' 'yy' 0003 '123' 'zz' 000b 'hello world'",
    ["xx\0\tabcdefghi", "yy\0\x03123", "zz\0\vhello world"]
  ],
  ["read_single_frame_length_adjusted", fromTokio(3, 0, 0, 4), "00000b 0c 'Hello world'", ["Hello world"]],
  [
    "read_single_multi_frame_one_packet_length_includes_head",
    fromTokio(2, 0, -2),
    "000b 'abcdefghi' 0005 '123' 000d 'hello world'",
    ["abcdefghi", "123", "hello world"]
  ],
  ["worked example 1", fromTokio(2, 0, 0), "000B 'Hello world'", ["Hello world"]],
  ["worked example 2", fromTokio(2, 0, 2, 0), "000B 'Hello world'", ["\0\vHello world"]],
  ["worked example 3", fromTokio(2, 0, -2), "000D 'Hello world'", ["Hello world"]],
  ["worked example 4", fromTokio(3, 0, 5, 0), "00000B 4142 'Hello world'", ["\0\0\vABHello world"]],
  ["worked example 5", fromTokio(2, 1, 1, 3), "41 000B 42 'Hello world'", ["BHello world"]],
  ["worked example 6", fromTokio(2, 1, -3, 3), "41 000F 42 'Hello world'", ["BHello world"]],
  ["worked example 7", fromTokio(3, 0, 0, 4), "00000B FF 'Hello world'", ["Hello world"]]
]

const twelve = "'HELLO, WORLD'"

/**
 * netty, LengthFieldBasedFrameDecoder: the examples of its manual, and its tests of recovery, which is ours with
 * `skip`.
 */
const netty: ReadonlyArray<Row> = [
  ["example 1", { lengthFieldLength: 2, initialBytesToStrip: 0 }, `000C ${twelve}`, ["\0\fHELLO, WORLD"]],
  ["example 2", { lengthFieldLength: 2 }, `000C ${twelve}`, ["HELLO, WORLD"]],
  ["example 3", { lengthFieldLength: 2, lengthAdjustment: -2, initialBytesToStrip: 0 }, `000E ${twelve}`, [
    "\0\x0EHELLO, WORLD"
  ]],
  [
    "example 3, by name",
    { lengthFieldLength: 2, lengthIncludesHeader: true, initialBytesToStrip: 0 },
    `000E ${twelve}`,
    ["\0\x0EHELLO, WORLD"]
  ],
  [
    "example 4",
    { lengthFieldOffset: 2, lengthFieldLength: 3, initialBytesToStrip: 0 },
    `4142 00000C ${twelve}`,
    ["AB\0\0\fHELLO, WORLD"]
  ],
  ["example 5", { lengthFieldLength: 3, lengthAdjustment: 2, initialBytesToStrip: 0 }, `00000C 4142 ${twelve}`, [
    "\0\0\fABHELLO, WORLD"
  ]],
  ["example 6", { lengthFieldOffset: 1, lengthFieldLength: 2, lengthAdjustment: 1 }, `41 000C 42 ${twelve}`, [
    "BHELLO, WORLD"
  ]],
  ["example 7", { lengthFieldOffset: 1, lengthFieldLength: 2, lengthAdjustment: -3 }, `41 0010 42 ${twelve}`, [
    "BHELLO, WORLD"
  ]],
  [
    "too long, then recovers (netty's maximum of 16 includes the header)",
    { maxFrameLength: 12, initialBytesToStrip: 0, onTooLarge: "skip" },
    "00000020 '0123456789abcdef0123456789abcdef' 00000001 'a'",
    ["\0\0\0\x01a"]
  ],
  [
    "too long, in two reads",
    { maxFrameLength: 12, initialBytesToStrip: 0, onTooLarge: "skip" },
    "00000020 '0123456789' | 'abcdef0123456789abcdef' 00000001 'a'",
    ["\0\0\0\x01a"]
  ],
  [
    "too long by one (its maximum of 5 with 4 stripped is 1)",
    { maxFrameLength: 1, onTooLarge: "skip" },
    "00000002 | 0000 | 00000001 41",
    ["A"]
  ],
  ["too long, failing at once", { maxFrameLength: 1 }, "00000002", ["FrameTooLarge"], false],
  ["less than its own header", { lengthIncludesHeader: true }, "00000003 00", ["FrameMalformed"]],
  ["less than what is stripped", { initialBytesToStrip: 8 }, "00000003 000000", ["FrameMalformed"]]
]

/**
 * Pekko, Framing.lengthField. Its fields are signed and a negative length is an error of its own; ours are unsigned, so
 * that the same bytes are too large a frame. `computeFrameSize`, which ignores the length parsed, is `Framing.make`.
 */
const pekko: ReadonlyArray<Row> = [
  ["a negative length", {}, "ffffffff", ["FrameTooLarge"], false],
  ["zero length", {}, "00000000 00000000", ["", ""]],
  ["truncated in the header", { lengthFieldOffset: 2, lengthFieldLength: 2 }, "000000", ["FrameTruncated"]],
  ["computed size below the minimum", { lengthFieldLength: 1, lengthAdjustment: -5 }, "04", ["FrameMalformed"]],
  ["exactly the maximum", { lengthFieldLength: 1, maxFrameLength: 3 }, "03 'abc' 04 'abcd'", ["abc", "FrameTooLarge"]]
]

const ours: ReadonlyArray<Row> = [
  ["a length of 2^63", { lengthFieldLength: 8 }, "8000000000000000 '...'", ["FrameTooLarge"], false],
  ["a length of 2^64 - 1, skipped", { lengthFieldLength: 8, onTooLarge: "skip" }, "ffffffffffffffff 'abc' | 'def'", [
    "FrameTruncated"
  ]],
  ["8 bytes, little-endian", { lengthFieldLength: 8, byteOrder: "little" }, "0300000000000000 'abc'", ["abc"]],
  ["truncated while skipped", { maxFrameLength: 1, onTooLarge: "skip" }, "00000005 'abc'", ["FrameTruncated"]]
]

describe("lengthPrefixed", () => {
  it.each([...tokio, ...netty, ...pekko, ...ours].map(complete))("%s", (_, options, text, expected, end) => {
    expect(decodeText(Framing.lengthPrefixed(options), wire(text), end)).toEqual(expected)
  })

  it("says where and how much", () => {
    const codec = Framing.lengthPrefixed({ maxFrameLength: 9 })
    expect(decode(codec, wire(`${nine} 8000000a`)).error)
      .toMatchObject({ _tag: "FrameTooLarge", operation: "decode", offset: 13, size: 0x8000000a, limit: 9 })
    const cutShort = decode(codec, wire(`${nine} 00000009 'ab' | 'cd'`)).error
    expect(cutShort).toMatchObject({ _tag: "FrameTruncated", offset: 13, received: 8, expected: 13 })
    expect(cutShort?.message).toBe("decode: the stream ended 8 bytes into the frame at offset 13, which has 13")
    expect(decode(Framing.lengthPrefixed({ maxFrameLength: 1, onTooLarge: "skip" }), wire("00000005 'ab' | 'c'")).error)
      .toMatchObject({ _tag: "FrameTruncated", offset: 0, received: 7, expected: 9 })
  })

  // read_update_max_frame_len_at_rest and _in_flight: a codec does not change, but another one takes over after any
  // frame.
  it("hands over to another limit between two frames", () => {
    const first = Framing.lengthPrefixed().decoder()
    const frames: Array<Uint8Array> = []
    for (const chunk of wire(`00000009 'abcd' | 'efghi' ${nine}`)) {
      first.push(chunk)
      first.decode(frames, 1)
    }
    expect(frames.map(ascii)).toEqual(["abcdefghi"])
    expect(decodeText(Framing.lengthPrefixed({ maxFrameLength: 5 }), [first.leftover()])).toEqual(["FrameTooLarge"])
  })

  it.each<readonly [string, Framing.LengthPrefixedOptions, string, string]>([
    ["write_single_frame_one_packet", {}, "abcdefghi", nine],
    ["write_single_frame_little_endian", { byteOrder: "little" }, "abcdefghi", "09000000 'abcdefghi'"],
    ["write_single_frame_with_short_length_field", { lengthFieldLength: 1 }, "abcdefghi", "09 'abcdefghi'"],
    ["write_single_frame_length_adjusted", fromTokio(4, 0, -2), "abcdefghi", "0000000b 'abcdefghi'"],
    // netty, LengthFieldPrepender: it subtracts what its decoder adds, so its adjustment of -1 is 1 here.
    ["prepender, 2 bytes", { lengthFieldLength: 2 }, "HELLO, WORLD", `000c ${twelve}`],
    [
      "prepender, including itself",
      { lengthFieldLength: 2, lengthIncludesHeader: true },
      "HELLO, WORLD",
      `000e ${twelve}`
    ],
    ["prepender, 4 bytes", {}, "A", "00000001 'A'"],
    ["prepender, 4 bytes including themselves", { lengthIncludesHeader: true }, "A", "00000005 'A'"],
    ["prepender, adjusted by -1", { lengthAdjustment: 1 }, "A", "00000000 'A'"],
    ["prepender, little-endian", { byteOrder: "little" }, "A", "01000000 'A'"],
    [
      "the bytes before the length, from the template",
      { lengthFieldOffset: 2, lengthFieldLength: 1, header: utf8("AB-") },
      "x",
      "'AB' 01 'x'"
    ],
    [
      "the bytes after it, too",
      { lengthFieldLength: 1, lengthAdjustment: 2, initialBytesToStrip: 3, header: utf8("-AB") },
      "x",
      "01 'ABx'"
    ],
    ["zeros without a template", { lengthFieldOffset: 2, lengthFieldLength: 1 }, "x", "000001 'x'"],
    [
      "the header is the payload's, the length put right",
      { lengthFieldOffset: 1, lengthFieldLength: 1, initialBytesToStrip: 0 },
      "A?bc",
      "'A' 02 'bc'"
    ]
  ])("encodes: %s", (_, options, payload, expected) => {
    expect(hex(encode(Framing.lengthPrefixed(options), utf8(payload)))).toBe(hex(bytes(expected)))
  })

  it("writes several frames as one chunk, and a large payload uncopied", () => {
    const encoder = Framing.lengthPrefixed().encoder()
    const small = Either.getOrThrow(encoder.encodeAll([utf8("abc"), utf8(""), utf8("de")]))
    expect(small.map(hex)).toEqual(["00000003616263000000000000000" + "26465"])
    const large = new Uint8Array(100_000)
    const chunks = Either.getOrThrow(encoder.encodeAll([utf8("a"), large, utf8("b")]))
    expect(chunks.map((chunk) => chunk.length)).toEqual([5 + 4, 100_000, 5])
    expect(chunks[1]).toBe(large)
    expect(encoder.offset).toBe(3 + 2 + 12 + 100_014)
  })

  it.each<readonly [string, Framing.LengthPrefixedOptions, number]>([
    ["frame_does_not_fit", { lengthFieldLength: 1, maxFrameLength: 256 }, 255],
    ["neg_adjusted_frame_does_not_fit", { ...fromTokio(1, 0, -1), maxFrameLength: 1000 }, 254],
    ["pos_adjusted_frame_does_not_fit", { ...fromTokio(1, 0, 1), maxFrameLength: 1000 }, 256],
    [
      "max_allowed_frame_fits",
      { lengthFieldLength: 8, maxFrameLength: Number.MAX_SAFE_INTEGER },
      Number.MAX_SAFE_INTEGER
    ],
    ["smaller_frame_len_not_adjusted", { lengthFieldLength: 8, maxFrameLength: 10 }, 10],
    ["prepender overflow, 1 byte", { lengthFieldLength: 1 }, 255],
    ["prepender overflow, 2 bytes", { lengthFieldLength: 2 }, 65_535],
    ["prepender overflow, 3 bytes", { lengthFieldLength: 3, maxFrameLength: 2 ** 30 }, 16_777_215],
    ["the default", {}, 8 * 1024 * 1024]
  ])("knows its maximum: %s", (_, options, max) => {
    const codec = Framing.lengthPrefixed(options)
    expect(codec.maxFrameLength).toBe(max)
    if (max > 2 ** 25) return
    const wire = encode(codec, new Uint8Array(max))
    expect(decode(codec, [wire])).toMatchObject({ frames: [{ length: max }], error: undefined })
    expect(refusal(codec, new Uint8Array(max + 1))).toMatchObject({ _tag: "FrameTooLarge", size: max + 1, limit: max })
  })

  it("refuses a batch whole, and goes on after it", () => {
    const encoder = Framing.lengthPrefixed({ maxFrameLength: 5 }).encoder()
    const refused = encoder.encodeAll([utf8("abc"), utf8("abcdef"), utf8("x")])
    expect(Either.isLeft(refused) && refused.left).toMatchObject({
      _tag: "FrameTooLarge",
      operation: "encode",
      offset: 7,
      size: 6,
      limit: 5
    })
    expect(encoder.offset).toBe(0)
    expect(hex(concat(Either.getOrThrow(encoder.encode(utf8("x")))))).toBe("0000000178")
  })

  it.each<readonly [string, Framing.LengthPrefixedOptions]>([
    ["lengthFieldLength", { lengthFieldLength: 0 }],
    ["lengthFieldLength", { lengthFieldLength: 9 }],
    ["lengthFieldOffset", { lengthFieldOffset: -1 }],
    ["initialBytesToStrip", { initialBytesToStrip: 2 }],
    ["lengthAdjustment", { lengthFieldLength: 1, lengthAdjustment: -256 }],
    ["lengthAdjustment", { lengthAdjustment: 0.5 }],
    ["header", { header: new Uint8Array(3) }],
    ["byteOrder", { byteOrder: "native" as "big" }],
    ["maxFrameLength", { maxFrameLength: Infinity }]
  ])("does not take a wrong %s", (option, options) => {
    expect(() => Framing.lengthPrefixed(options)).toThrow(expect.objectContaining({ _tag: "InvalidOption", option }))
  })
})

const filled = (size: number): Uint8Array => new Uint8Array(size).fill(1)

describe("varint", () => {
  // netty, ProtobufVarint32FrameDecoder and LengthFieldPrepender tests.
  it.each<readonly [size: number, header: string]>([
    [0, "00"],
    [10, "0a"],
    [127, "7f"],
    [128, "8001"],
    [266, "8a02"],
    [300, "ac02"],
    [2046, "fe0f"],
    [0x4000, "808001"],
    [0x200000, "80808001"]
  ])("%i bytes", (size, header) => {
    const whole = encode(Framing.varint(), filled(size))
    expect(hex(whole.subarray(0, header.length / 2))).toBe(header)
    const { frames } = decode(Framing.varint(), [whole.subarray(0, 1), whole.subarray(1, 127), whole.subarray(127)])
    expect(frames.map((frame) => [frame.length, frame.every((byte) => byte === 1)])).toEqual([[size, true]])
  })

  it.each<readonly [string, string, ReadonlyArray<string>]>([
    ["in pieces of 1, 2, 2", "04 | 0101 | 0101", ["\x01\x01\x01\x01"]],
    ["written longer than it needs", "8180808000 'a'", ["a"]],
    ["four continuation bytes wait for the fifth (netty throws)", "81808080 | 00 'a'", ["a"]],
    ["ten continuation bytes", "80808080808080808080 'a'", ["FrameMalformed"]],
    ["64 bits", "ffffffffffffffffff01", ["FrameTooLarge"]],
    ["65 bits", "ffffffffffffffffff02", ["FrameMalformed"]],
    ["cut in the length", "80", ["FrameTruncated"]],
    ["cut in the payload", "02 'a'", ["FrameTruncated"]]
  ])("%s", (_, text, expected) => {
    expect(decodeText(Framing.varint(), wire(text))).toEqual(expected)
    expect(decodeText(Framing.varint(), byteByByte(bytes(text)))).toEqual(expected)
  })
})

describe("netstring", () => {
  it.each<readonly [string, string, ReadonlyArray<string>]>([
    ["its example", "'12:hello world!,'", ["hello world!"]],
    ["empty", "'0:,' | '0:,'", ["", ""]],
    ["several", "'1:a,2:bc,' | '3' | ':de' | 'f,'", ["a", "bc", "def"]],
    ["no comma", "'1:a,2:bcd'", ["a", "FrameMalformed"]],
    ["leading zero", "'01:a,'", ["FrameMalformed"]],
    ["two zeros", "'00:,'", ["FrameMalformed"]],
    ["no digits", "':a,'", ["FrameMalformed"]],
    ["a sign", "'+1:a,'", ["FrameMalformed"]],
    ["a space", "'1 :a,'", ["FrameMalformed"]],
    ["too large", "'65:'", ["FrameTooLarge"]],
    ["endless digits", "'1111111111111111111111111111'", ["FrameMalformed"]],
    ["without its comma", "'1:a'", ["FrameTruncated"]],
    ["cut in the length", "'1'", ["FrameTruncated"]]
  ])("%s", (_, text, expected) => {
    expect(decodeText(Framing.netstring({ maxFrameLength: 64 }), wire(text))).toEqual(expected)
    expect(decodeText(Framing.netstring({ maxFrameLength: 64 }), byteByByte(bytes(text)))).toEqual(expected)
  })

  it("encodes and skips", () => {
    expect(encode(Framing.netstring(), utf8("hello world!"), utf8(""))).toEqual(utf8("12:hello world!,0:,"))
    const codec = Framing.netstring({ maxFrameLength: 2, onTooLarge: "skip" })
    expect(decode(codec, wire("'3:a' | 'bc,' | '1:x,'"))).toMatchObject({ frames: [utf8("x")], skipped: 1 })
  })
})

describe("octetCounting", () => {
  it.each<readonly [string, string, ReadonlyArray<string>]>([
    ["two messages", "'5 <1>ab4 <2>' | 'c'", ["<1>ab", "<2>c"]],
    ["a length of zero (RFC 6587: NONZERO-DIGIT)", "'0 '", ["FrameMalformed"]],
    ["octet stuffing, which is another method", "'<1>ab\\n'", ["FrameMalformed"]],
    ["cut in the message", "'5 <1>'", ["FrameTruncated"]]
  ])("%s", (_, text, expected) => {
    expect(decodeText(Framing.octetCounting(), wire(text))).toEqual(expected)
  })

  it("encodes, but not what is empty", () => {
    expect(encode(Framing.octetCounting(), utf8("<1>ab"), utf8("<2>c"))).toEqual(utf8("5 <1>ab4 <2>c"))
    expect(refusal(Framing.octetCounting(), utf8(""))).toMatchObject({ _tag: "FrameMalformed", operation: "encode" })
  })
})

describe("fixed", () => {
  it("cuts into equal parts", () => {
    expect(decodeText(Framing.fixed(3), wire("'ab' | 'cdefgh' | 'i'"))).toEqual(["abc", "def", "ghi"])
    expect(decode(Framing.fixed(3), wire("'abcd'")).error).toMatchObject({
      _tag: "FrameTruncated",
      offset: 3,
      received: 1,
      expected: 3
    })
  })

  it("takes and gives its size only", () => {
    expect(encode(Framing.fixed(2), utf8("ab"), utf8("cd"))).toEqual(utf8("abcd"))
    expect(refusal(Framing.fixed(2), utf8("a"))).toMatchObject({ _tag: "FrameMalformed" })
    expect(refusal(Framing.fixed(2), utf8("abc"))).toMatchObject({ _tag: "FrameTooLarge", size: 3, limit: 2 })
    for (const wrong of [0, -1, 1.5, NaN, Infinity]) expect(() => Framing.fixed(wrong)).toThrow(/size/)
  })
})
