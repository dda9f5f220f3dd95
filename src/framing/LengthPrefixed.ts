/**
 * Frames whose header says how long they are: the binary framing of most protocols.
 * The options speak netty's dialect (LengthFieldBasedFrameDecoder), and the same ones serve the encoder.
 */
import { InvalidOption } from "../NetError.ts"
import type { ByteWriter } from "./ByteWriter.ts"
import { copy } from "./Bytes.ts"
import type { Codec } from "./Codec.ts"
import { fromFramer } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, Malformed, More } from "./Framer.ts"
import type { SkippingOptions } from "./Options.ts"
import { flag, integer, maxFrameLength, MiB, oneOf, skips } from "./Options.ts"

/**
 * The options of `lengthPrefixed`. A frame on the wire is
 *
 * ```text
 * | lengthFieldOffset bytes | length field | lengthAdjustment + value of the field |
 * | initialBytesToStrip ...      | payload: what is handed out and counted        |
 * ```
 *
 * tokio's dialect counts the adjustment from the payload: with its `num_skip` as `initialBytesToStrip`,
 * `lengthAdjustment = length_adjustment + num_skip - length_field_offset - length_field_length`.
 *
 * @category options
 */
export interface LengthPrefixedOptions extends SkippingOptions {
  /** Bytes before the length field. 0 by default. */
  readonly lengthFieldOffset?: number | undefined
  /** Bytes of the length field, an unsigned integer: 1 to 8. 4 by default. */
  readonly lengthFieldLength?: number | undefined
  /**
   * How many bytes follow the field beyond those that it counts; negative if it counts more than follow. 0 by default.
   */
  readonly lengthAdjustment?: number | undefined
  /**
   * The field counts the whole frame, itself and the bytes before it too: as an adjustment less by these. False by
   * default.
   */
  readonly lengthIncludesHeader?: boolean | undefined
  /**
   * Bytes at the front of the frame that are not handed out: 0 to `lengthFieldOffset`, or everything through the length
   * field and more. By default everything through the length field. The encoder puts them back: the length where it
   * belongs, the others as `header` has them.
   */
  readonly initialBytesToStrip?: number | undefined
  /**
   * The stripped bytes as the encoder writes them, `initialBytesToStrip` of them; the length field's own do not matter.
   * Zeros by default.
   */
  readonly header?: Uint8Array | undefined
  /** `big` (network byte order) by default. */
  readonly byteOrder?: "big" | "little" | undefined
}

interface Layout {
  readonly offset: number
  readonly width: number
  /** Bytes through the length field. */
  readonly head: number
  readonly adjustment: number
  readonly strip: number
  readonly little: boolean
  readonly header: Uint8Array
}

const layoutOf = (options: LengthPrefixedOptions): Layout => {
  const offset = integer("lengthFieldOffset", options.lengthFieldOffset ?? 0, 0)
  const width = integer("lengthFieldLength", options.lengthFieldLength ?? 4, 1, 8)
  const head = offset + width
  const strip = integer("initialBytesToStrip", options.initialBytesToStrip ?? head, 0)
  if (strip > offset && strip < head) {
    throw new InvalidOption({
      option: "initialBytesToStrip",
      value: strip,
      expected: `at most ${offset} or at least ${head}`
    })
  }
  const given = integer("lengthAdjustment", options.lengthAdjustment ?? 0, Number.MIN_SAFE_INTEGER)
  const header = options.header ?? new Uint8Array(strip)
  if (header.length !== strip) {
    throw new InvalidOption({
      option: "header",
      value: `of ${header.length} bytes`,
      expected: `initialBytesToStrip (${strip}) bytes long`
    })
  }
  return {
    offset,
    width,
    head,
    adjustment: flag("lengthIncludesHeader", options.lengthIncludesHeader, false) ? given - head : given,
    strip,
    little: oneOf("byteOrder", options.byteOrder ?? "big", ["big", "little"]) === "little",
    header: Uint8Array.from(header)
  }
}

/** What the field can express, less what the frame has besides the payload. */
const capacity = ({ adjustment, head, strip, width }: Layout): number => {
  const most = 256 ** width - 1 + adjustment + head - strip
  if (most >= 0) return most
  throw new InvalidOption({
    option: "lengthAdjustment",
    value: adjustment,
    expected: "one that leaves room for a payload"
  })
}

class LengthFramer extends Framer {
  private readonly layout: Layout

  constructor(layout: Layout) {
    super()
    this.layout = layout
    this.start = layout.strip
    this.need = layout.head
  }

  override locate(bytes: Uint8Array, from: number, to: number): Status {
    const { adjustment, head, little, offset, strip, width } = this.layout
    if (to - from < head) return More
    const value = readUint(bytes, from + offset, width, little)
    const total = value + adjustment + head
    if (total < head || total < strip) throw new Malformed(`a length of ${value} is less than its own header's`)
    this.end = this.total = total
    return Located
  }
}

/** Exact up to 2^53, far above any limit. */
const readUint = (bytes: Uint8Array, at: number, width: number, little: boolean): number => {
  let value = 0
  if (little) { for (let i = at + width - 1; i >= at; i--) value = value * 256 + bytes[i]! }
  else for (let i = at; i < at + width; i++) value = value * 256 + bytes[i]!
  return value
}

const writeUint = (bytes: Uint8Array, at: number, width: number, little: boolean, value: number): void => {
  // Shifts see the lower 32 bits alone, and cost a tenth of a division.
  if (width > 4) {
    writeUint(bytes, little ? at + 4 : at, width - 4, little, Math.floor(value / 2 ** 32))
    return writeUint(bytes, little ? at : at + width - 4, 4, little, value)
  }
  for (let i = 0, rest = value; i < width; i++, rest >>>= 8) bytes[little ? at + i : at + width - 1 - i] = rest
}

const writer = ({ adjustment, head, header, little, offset, strip, width }: Layout) => {
  const front = Math.max(head, strip)
  // Where the header is part of the payload, it is written from there, with the length put right.
  const within = front - strip
  const bare = strip === width && offset === 0
  return (payload: Uint8Array, out: ByteWriter): void => {
    if (payload.length < within) throw new Malformed(`a frame of ${payload.length} bytes has no room for its header`)
    const value = strip + payload.length - head - adjustment
    if (value < 0) throw new Malformed(`the length field would have to be ${value}`)
    const at = out.writeBehind(front, within > 0 ? payload.subarray(within) : payload)
    if (!bare) copy(header, out.bytes, at)
    if (within > 0) out.bytes.set(payload.subarray(0, within), at + strip)
    writeUint(out.bytes, at + offset, width, little, value)
  }
}

/**
 * A length field, then that many bytes. By default 4 bytes, big-endian, counting the payload, which is all that is
 * handed out.
 *
 * `maxFrameLength` is 8 MiB by default, and never more than the length field can express; it counts the payload handed
 * out, both ways. A length beyond it fails before any byte of the frame is waited for; one less than its own header is
 * `FrameMalformed`.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 *
 * const redisLike = Framing.lengthPrefixed({ lengthFieldLength: 2, byteOrder: "little" })
 * const wholeMessage = Framing.lengthPrefixed({ lengthIncludesHeader: true, initialBytesToStrip: 0 })
 * ```
 *
 * @category constructors
 */
export const lengthPrefixed = (options: LengthPrefixedOptions = {}): Codec<Uint8Array> => {
  const layout = layoutOf(options)
  const max = Math.min(maxFrameLength(options, 8 * MiB), capacity(layout))
  return fromFramer({
    maxFrameLength: max,
    skips: skips(options),
    framer: () => new LengthFramer(layout),
    writing: () => writer(layout)
  })
}
