import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Framing from "../src/Framing.ts"
import { msgpack } from "../src/FramingMsgpack.ts"
import { byteByByte, bytes, concat, cuts, decode, encode, hex, refusal } from "./support/frames.ts"

const codec = Framing.varint().pipe(msgpack)

/** One message in a frame, as `c0`. */
const framed = (message: string): Array<Uint8Array> => [encode(Framing.varint(), bytes(message))]

describe("msgpack", () => {
  // https://github.com/msgpack/msgpack/blob/master/spec.md
  it.each<readonly [string, unknown, string]>([
    ["nil", null, "c0"],
    ["booleans", [true, false], "92c3c2"],
    ["integers", [0, 127, 128, 65535, 65536, -1, -32, -33, -129], "99007fcc80cdffffce00010000ffe0d0dfd1ff7f"],
    ["a float", 1.5, "ca3fc00000"],
    ["text", "héllo", "a668c3a96c6c6f"],
    ["a map", { a: 1, b: [] }, "82a16101a16290"]
  ])("%s", (_, value, expected) => {
    expect(decode(codec, framed(expected)).frames).toEqual([value])
    if (typeof value !== "number") expect(hex(encode(codec, value).subarray(1))).toBe(expected)
  })

  it("reads any width of integer, BigInt where a number is not exact", () => {
    expect(decode(codec, framed("93 cf0000000000000001 d3ffffffffffffffff cfffffffffffffffff")).frames)
      .toEqual([[1, -1, 18446744073709551615n]])
  })

  it("encode then decode is the identity, however it is cut", () => {
    // A key `__proto__` comes back under another name, so that nobody's prototype is set by a peer.
    const value = fc.jsonValue().map((value) => JSON.stringify(value)).filter((text) => !text.includes("__proto__"))
      .map((text) => JSON.parse(text) as unknown)
    fc.assert(fc.property(fc.array(value, { maxLength: 5 }), cuts, (values, cut) => {
      expect(decode(codec, cut(encode(codec, ...values)))).toMatchObject({ error: undefined })
      expect(decode(codec, cut(encode(codec, ...values))).frames).toEqual(values)
    }))
  })

  it.each<readonly [string, string]>([
    ["nothing", ""],
    ["an array of more items than bytes", "dd01ffffff"],
    ["a map of more items than bytes", "dfffffffff"],
    ["nested arrays of more items than bytes", "dc0003 dc0004 0102"],
    ["binary longer than the frame", "c6ffffffff01"],
    ["text longer than the frame", "a361"],
    ["an extension cut short", "d4"],
    ["a byte that is no type", "c1"],
    ["two values", "c0c0"],
    ["a reference", "d66900000001"],
    ["an unfinished record", "93d4724091a16101"]
  ])("refuses %s", (_, message) => {
    const { error, frames } = decode(codec, framed(message))
    expect(frames).toEqual([])
    expect(error).toMatchObject({ _tag: "FrameMalformed", operation: "decode", offset: 0 })
  })

  it("neither crashes nor hangs at arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (message) => {
        const { error, frames } = decode(codec, [encode(Framing.varint(), message)])
        expect(frames.length === 1 || error?._tag === "FrameMalformed").toBe(true)
      }),
      { numRuns: 2000 }
    )
    expect(decode(codec, [encode(Framing.varint(), new Uint8Array(1 << 20).fill(0x91))]).error?._tag).toBe(
      "FrameMalformed"
    )
  })

  it("does not let a peer reach the prototype", () => {
    const [value] = decode(codec, framed("81 a9 '__proto__' 81 a161 01")).frames as [object]
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect("a" in {}).toBe(false)
  })

  it("refuses what it cannot encode", () => {
    expect(refusal(codec, 2n ** 64n)).toMatchObject({ _tag: "FrameMalformed", operation: "encode" })
  })

  it("is described by a schema", () => {
    const points = Framing.lengthPrefixed().pipe(
      msgpack,
      Framing.schema(Schema.Struct({ x: Schema.Number, y: Schema.Number }))
    )
    const whole = encode(points, { x: 1, y: 2 })
    expect(decode(points, byteByByte(concat([whole, whole]))).frames).toEqual([{ x: 1, y: 2 }, { x: 1, y: 2 }])
  })
})
