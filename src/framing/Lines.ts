/**
 * Text lines, as in SMTP, IRC, memcached or a chat: a line feed ends each, and a carriage return before it belongs to
 * it. The payload is the line without its end. A line that cannot come back the same is refused by the encoder.
 */
import { InvalidOption } from "../NetError.ts"
import { fromInput, indexOfByte } from "./Bytes.ts"
import type { Codec } from "./Codec.ts"
import { fromFramer } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, Malformed, More, Nothing, Overlong } from "./Framer.ts"
import type { SkippingOptions } from "./Options.ts"
import { flag, KiB, maxFrameLength, oneOf, skips } from "./Options.ts"

const LF = 10
const CR = 13

/**
 * The options of `lines`.
 *
 * @category options
 */
export interface LinesOptions extends SkippingOptions {
  /** What the encoder ends a line with. `\n` by default, `\r\n` with `strict`. Both are read. */
  readonly newline?: "\n" | "\r\n" | undefined
  /**
   * Only `\r\n` ends a line, both ways: a CR or LF by itself is malformed (RFC 5321, 2.3.8). Two parties that disagree
   * on what ends a line can be played off against each other; a protocol that says CRLF should be read so.
   */
  readonly strict?: boolean | undefined
  /**
   * Whether a last line without its end is a frame too; else it is `FrameTruncated`. True by default, false with
   * `strict`.
   */
  readonly allowTruncation?: boolean | undefined
}

class LinesFramer extends Framer {
  override readonly searches = true
  private readonly max: number
  private readonly allowTruncation: boolean

  constructor(max: number, allowTruncation: boolean) {
    super()
    this.max = max
    this.allowTruncation = allowTruncation
  }

  override locate(bytes: Uint8Array, from: number, to: number, scanned: number): Status {
    const feed = indexOfByte(bytes, LF, from + scanned, to)
    if (feed < 0) return this.length(bytes, from, to) > this.max ? Overlong : More
    return this.found(this.length(bytes, from, feed), feed + 1 - from)
  }

  override reach(bytes: Uint8Array, from: number, to: number): number {
    const feed = indexOfByte(bytes, LF, from, to)
    return feed < 0 ? to - from : feed + 1 - from
  }

  override finish(bytes: Uint8Array, from: number, to: number): Status {
    if (!this.allowTruncation) return More
    const length = this.length(bytes, from, to)
    return length === 0 ? Nothing : this.found(length, to - from)
  }

  override resync(bytes: Uint8Array, from: number, to: number): number {
    const feed = indexOfByte(bytes, LF, from, to)
    return feed < 0 ? -1 : feed + 1 - from
  }

  /** The line's own length: a carriage return at its end does not count. */
  private length(bytes: Uint8Array, from: number, end: number): number {
    return end > from && bytes[end - 1] === CR ? end - 1 - from : end - from
  }

  private found(length: number, total: number): Status {
    if (length > this.max) return Overlong
    this.end = length
    this.total = total
    return Located
  }
}

class StrictLinesFramer extends LinesFramer {
  override readonly overlap = 1

  override locate(bytes: Uint8Array, from: number, to: number, scanned: number): Status {
    const status = super.locate(bytes, from, to, scanned)
    if (status === Located) refuseBare(bytes, from, from + this.end, this.total - this.end)
    return status
  }

  override finish(bytes: Uint8Array, from: number, to: number): Status {
    const status = super.finish(bytes, from, to)
    if (status === Located) refuseBare(bytes, from, from + this.end, 0)
    return status
  }

  override resync(bytes: Uint8Array, from: number, to: number): number {
    for (let feed = from - 1; (feed = indexOfByte(bytes, LF, feed + 1, to)) >= 0;) {
      if (feed > from && bytes[feed - 1] === CR) return feed + 1 - from
    }
    return -1
  }
}

const refuseBare = (bytes: Uint8Array, from: number, to: number, terminator: number): void => {
  if (terminator === 1) throw new Malformed("a line feed without a carriage return before it")
  if (indexOfByte(bytes, CR, from, to) >= 0) throw new Malformed("a carriage return within a line")
}

/**
 * One line a frame: `\n` or `\r\n` ends it, and neither is part of the payload nor counted.
 *
 * `maxFrameLength` is 64 KiB by default. An endless line fails with `FrameTooLarge` after that many bytes; its `size`
 * is then the limit and one, since no more of the line is looked at.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 *
 * const chat = Framing.lines({ maxFrameLength: 1024 }).pipe(Framing.text())
 * ```
 *
 * @category constructors
 */
export const lines = (options: LinesOptions = {}): Codec<Uint8Array> => {
  const max = maxFrameLength(options, 64 * KiB)
  const strict = flag("strict", options.strict, false)
  const newline = oneOf("newline", options.newline ?? (strict ? "\r\n" : "\n"), ["\n", "\r\n"])
  if (strict && newline === "\n") {
    throw new InvalidOption({ option: "newline", value: "\\n", expected: "possible with strict" })
  }
  const allowTruncation = flag("allowTruncation", options.allowTruncation, !strict)
  const crlf = newline === "\r\n"
  const end = fromInput(newline)
  return fromFramer({
    maxFrameLength: max,
    skips: skips(options),
    framer: () => strict ? new StrictLinesFramer(max, allowTruncation) : new LinesFramer(max, allowTruncation),
    writing: () => (line, out) => {
      if (strict && indexOfByte(line, CR, 0, line.length) >= 0) {
        throw new Malformed("a strict line cannot hold a carriage return")
      }
      if (!crlf && line[line.length - 1] === CR) {
        throw new Malformed("a line that ends in a carriage return would lose it")
      }
      if (!out.writeEnded(line, end)) throw new Malformed("a line cannot hold a line feed")
    }
  })
}
