/**
 * Frames of one size, without header or delimiter.
 */
import type { Codec } from "./Codec.ts"
import { fromFramer } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, Malformed } from "./Framer.ts"
import { integer } from "./Options.ts"

class FixedFramer extends Framer {
  constructor(size: number) {
    super()
    this.end = this.total = size
  }

  override locate(): Status {
    return Located
  }
}

/**
 * Every frame has exactly `size` bytes, at least 1. The encoder takes no other.
 *
 * @category constructors
 */
export const fixed = (size: number): Codec<Uint8Array> => {
  integer("size", size, 1)
  return fromFramer({
    maxFrameLength: size,
    skips: false,
    framer: () => new FixedFramer(size),
    writing: () => (payload, out) => {
      if (payload.length < size) throw new Malformed(`${payload.length} bytes are no frame of ${size}`)
      out.write(payload)
    }
  })
}
