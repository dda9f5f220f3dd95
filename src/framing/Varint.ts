/**
 * Frames led by their length as an unsigned LEB128 number, seven bits a byte, least significant first: Protocol
 * Buffers' delimited messages and libp2p. https://protobuf.dev/programming-guides/encoding/#varints
 */
import type { Codec } from "./Codec.ts"
import { fromFramer } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, Malformed, More } from "./Framer.ts"
import type { SkippingOptions } from "./Options.ts"
import { maxFrameLength, MiB, skips } from "./Options.ts"

/** 64 bits take ten bytes, the last of which has only one. */
const maxBytes = 10

class VarintFramer extends Framer {
  override locate(bytes: Uint8Array, from: number, to: number): Status {
    let value = 0
    for (let i = 0, scale = 1; i < maxBytes; i++, scale *= 128) {
      if (from + i === to) return More
      const byte = bytes[from + i]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (i === maxBytes - 1 && byte > 1) throw new Malformed("the varint has more than 64 bits")
        this.start = i + 1
        this.end = this.total = i + 1 + value
        return Located
      }
    }
    throw new Malformed(`the varint has more than ${maxBytes} bytes`)
  }
}

/**
 * The length of the payload as a varint of at most 10 bytes, then the payload. A length written in more bytes than it
 * needs is read too.
 *
 * `maxFrameLength` is 8 MiB by default.
 *
 * @category constructors
 */
export const varint = (options: SkippingOptions = {}): Codec<Uint8Array> =>
  fromFramer({
    maxFrameLength: maxFrameLength(options, 8 * MiB),
    skips: skips(options),
    framer: () => new VarintFramer(),
    writing: () => (payload, out) => {
      let length = payload.length
      for (; length >= 0x80; length = Math.floor(length / 128)) out.writeByte(0x80 | length % 128)
      out.writeByte(length)
      out.write(payload)
    }
  })
