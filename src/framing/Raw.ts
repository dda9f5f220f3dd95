/**
 * Bytes as they come, in chunks that are no messages.
 * For streams of text or bytes that need no framing; with a text transform, characters stay whole.
 */
import type { Codec, Whole } from "./Codec.ts"
import { fromFramer } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, More } from "./Framer.ts"

class RawFramer extends Framer {
  private readonly whole: Whole

  constructor(whole: Whole) {
    super()
    this.whole = whole
  }

  override locate(bytes: Uint8Array, from: number, to: number): Status {
    this.end = this.total = this.whole(bytes, from, to)
    return this.total > 0 ? Located : More
  }

  override reach(_bytes: Uint8Array, from: number, to: number): number {
    return to - from
  }

  override finish(_bytes: Uint8Array, from: number, to: number): Status {
    this.end = this.total = to - from
    return Located
  }
}

const make = (whole: Whole): Codec<Uint8Array> =>
  fromFramer({
    maxFrameLength: Infinity,
    skips: false,
    framer: () => new RawFramer(whole),
    writing: () => (payload, out) => out.write(payload),
    recut: make
  })

/**
 * No framing: whatever has arrived is a frame, and where one ends means nothing. Its size is bounded by what one read
 * gives. `bytes.pipe(text("gbk"))` is a stream of text in which no character is cut in two.
 *
 * @category constructors
 */
export const bytes: Codec<Uint8Array> = make((_bytes, from, to) => to - from)
