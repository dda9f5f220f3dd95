/**
 * Frames led by their length in decimal digits: netstrings (`5:hello,`, http://cr.yp.to/proto/netstrings.txt) and
 * syslog's octet counting (`5 hello`, RFC 6587, 3.4.1).
 */
import type { ByteWriter } from "./ByteWriter.ts"
import type { Codec } from "./Codec.ts"
import { fromFramer } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, Malformed, More } from "./Framer.ts"
import type { SkippingOptions } from "./Options.ts"
import { maxFrameLength, MiB, skips } from "./Options.ts"

const zero = 48
const comma = 44
const maxDigits = 15

/** What stands after the digits and after the payload, and whether a payload may be empty. */
interface Style {
  readonly separator: ":" | " "
  readonly closed: boolean
  readonly allowEmpty: boolean
}

class DecimalFramer extends Framer {
  private readonly style: Style
  private readonly separator: number
  private readonly max: number

  constructor(style: Style, max: number) {
    super()
    this.style = style
    this.separator = style.separator.charCodeAt(0)
    this.max = max
  }

  override locate(bytes: Uint8Array, from: number, to: number): Status {
    let length = 0
    for (let i = 0; i <= maxDigits; i++) {
      if (from + i === to) {
        this.need = i + 1
        return More
      }
      const byte = bytes[from + i]!
      if (byte === this.separator && i > 0) return this.found(bytes, from, to, i + 1, length)
      if (byte < zero || byte > zero + 9) throw new Malformed("the length has something else than digits")
      if (i > 0 && length === 0) throw new Malformed("the length begins with a zero")
      length = length * 10 + byte - zero
    }
    throw new Malformed(`the length has more than ${maxDigits} digits`)
  }

  private found(bytes: Uint8Array, from: number, to: number, start: number, length: number): Status {
    const { allowEmpty, closed } = this.style
    if (length === 0 && !allowEmpty) throw new Malformed("the length is zero")
    this.start = start
    this.end = start + length
    this.total = closed ? this.end + 1 : this.end
    if (!closed || length > this.max) return Located
    this.need = this.total
    if (to - from < this.total) return More
    if (bytes[from + this.end] !== comma) throw new Malformed("no comma after the payload")
    return Located
  }
}

const make = (style: Style, options: SkippingOptions): Codec<Uint8Array> => {
  const max = maxFrameLength(options, 8 * MiB)
  return fromFramer({
    maxFrameLength: max,
    skips: skips(options),
    framer: () => new DecimalFramer(style, max),
    writing: () => (payload, out) => {
      if (payload.length === 0 && !style.allowEmpty) throw new Malformed("an empty payload has no frame here")
      writeAscii(`${payload.length}${style.separator}`, out)
      out.write(payload)
      if (style.closed) out.writeByte(comma)
    }
  })
}

const writeAscii = (text: string, out: ByteWriter): void => {
  const at = out.reserve(text.length)
  for (let i = 0; i < text.length; i++) out.bytes[at + i] = text.charCodeAt(i)
}

/**
 * `5:hello,`: the length in decimal digits, a colon, the payload, a comma.
 *
 * `maxFrameLength` is 8 MiB by default.
 *
 * @category constructors
 */
export const netstring = (options: SkippingOptions = {}): Codec<Uint8Array> =>
  make({ separator: ":", closed: true, allowEmpty: true }, options)

/**
 * `5 hello`: the length in decimal digits, a space, the payload, as syslog over TCP has it (RFC 6587, 3.4.1). No frame
 * is empty.
 *
 * `maxFrameLength` is 8 MiB by default; RFC 5425 asks a receiver for at least 2048 bytes.
 *
 * @category constructors
 */
export const octetCounting = (options: SkippingOptions = {}): Codec<Uint8Array> =>
  make({ separator: " ", closed: false, allowEmpty: false }, options)
