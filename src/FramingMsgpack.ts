/**
 * MessagePack payloads, by msgpackr. https://github.com/msgpack/msgpack/blob/master/spec.md
 * A module of its own, so that who does not need it does not load it.
 */
import { Packr } from "msgpackr"
import type { Codec } from "./framing/Codec.ts"
import { transform } from "./framing/Codec.ts"
import { Malformed } from "./framing/Framer.ts"

/** Plain MessagePack: no records, which are msgpackr's own, and nothing that refers to another part of the message. */
const packr = new Packr({
  useRecords: false,
  structuredClone: false,
  mapsAsObjects: true,
  variableMapSize: true,
  // @ts-expect-error in msgpackr's manual, but not in its types
  int64AsType: "auto"
})

const uint = (bytes: Uint8Array, at: number, width: number): number => {
  let value = 0
  for (let i = at; i < at + width; i++) value = value * 256 + (bytes[i] ?? 0)
  return value
}

/** Of the types 0xc0 to 0xdf: the bytes of a length, what is counted by it, and the bytes beside that. */
const layouts: ReadonlyArray<readonly [width: number, unit: "none" | "byte" | "item" | "pair", rest: number]> = [
  [0, "none", 0],
  [0, "none", 0],
  [0, "none", 0],
  [0, "none", 0],
  [1, "byte", 0],
  [2, "byte", 0],
  [4, "byte", 0],
  [1, "byte", 1],
  [2, "byte", 1],
  [4, "byte", 1],
  [0, "none", 4],
  [0, "none", 8],
  [0, "none", 1],
  [0, "none", 2],
  [0, "none", 4],
  [0, "none", 8],
  [0, "none", 1],
  [0, "none", 2],
  [0, "none", 4],
  [0, "none", 8],
  [0, "none", 2],
  [0, "none", 3],
  [0, "none", 5],
  [0, "none", 9],
  [0, "none", 17],
  [1, "byte", 0],
  [2, "byte", 0],
  [4, "byte", 0],
  [2, "item", 0],
  [4, "item", 0],
  [2, "pair", 0],
  [4, "pair", 0]
]

/**
 * Refuses a message that announces more items than it has bytes. msgpackr makes an array of the announced length before
 * it reads the first item: five bytes would take 270 MB.
 */
const check = (bytes: Uint8Array): void => {
  const size = bytes.length
  let at = 0
  for (let items = 1; items > 0; items--) {
    if (items > size - at) throw new Malformed("the MessagePack announces more than it has")
    const type = bytes[at++]!
    if (type < 0x80 || type >= 0xe0) continue
    if (type < 0x90) items += 2 * (type & 0x0f)
    else if (type < 0xa0) items += type & 0x0f
    else if (type < 0xc0) at += type & 0x1f
    else if (type === 0xc1) throw new Malformed("the MessagePack has a byte 0xc1, which is no type")
    else {
      const [width, unit, rest] = layouts[type - 0xc0]!
      const count = uint(bytes, at, width)
      at += width + rest + (unit === "byte" ? count : 0)
      items += unit === "item" ? count : unit === "pair" ? 2 * count : 0
    }
  }
  if (at !== size) throw new Malformed("the MessagePack does not end where the frame does")
}

const unpack = (bytes: Uint8Array): unknown => {
  check(bytes)
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new Malformed("not MessagePack", cause)
  }
}

/**
 * MessagePack payloads. Maps become objects, 64-bit integers numbers where these are exact and BigInts else. What is
 * not one whole value is `FrameMalformed`. Add `Framing.schema` to know what came.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 * import { msgpack } from "effect-netkit/FramingMsgpack"
 * import { Schema } from "effect"
 *
 * const Request = Schema.Struct({ id: Schema.Int, method: Schema.String })
 * const rpc = Framing.lengthPrefixed().pipe(msgpack, Framing.schema(Request))
 * ```
 *
 * @category transforms
 */
export const msgpack = (self: Codec<Uint8Array>): Codec<unknown> =>
  transform(self, { decode: unpack, encode: (value: unknown): Uint8Array => packr.pack(value) })
