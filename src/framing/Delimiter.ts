/**
 * Frames that end with a delimiter: one sequence of bytes, or any of several.
 * The delimiter that is complete first ends the frame, so that it does not matter how the bytes were cut.
 */
import { InvalidOption } from "../NetError.ts"
import { concat, fromInput, indexOf, indexOfByte, matches } from "./Bytes.ts"
import type { Codec } from "./Codec.ts"
import { fromFramer } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, Malformed, More, Overlong } from "./Framer.ts"
import type { SkippingOptions } from "./Options.ts"
import { flag, KiB, maxFrameLength, skips } from "./Options.ts"

/**
 * The options of `delimiter`.
 *
 * @category options
 */
export interface DelimiterOptions extends SkippingOptions {
  /** Whether a last frame without its delimiter is one; else it is `FrameTruncated`. True by default. */
  readonly allowTruncation?: boolean | undefined
}

/** Finds delimiters by their last byte. */
class Finder {
  readonly longest: number
  /** Of the delimiter found. */
  length = 0
  private readonly delimiters: ReadonlyArray<Uint8Array>
  private readonly only: number | undefined
  private readonly lasts = new Uint8Array(256)

  constructor(delimiters: ReadonlyArray<Uint8Array>) {
    // The longest first: of two that end at the same byte, it gives the shorter frame.
    this.delimiters = [...delimiters].sort((a, b) => b.length - a.length)
    this.longest = this.delimiters[0]!.length
    for (const delimiter of delimiters) this.lasts[delimiter[delimiter.length - 1]!] = 1
    this.only = this.lasts.reduce((sum, n) => sum + n, 0) === 1 ? this.lasts.indexOf(1) : undefined
  }

  /**
   * The position after the first delimiter whose last byte is at or after `at` and whose first is not before `from`; or
   * -1.
   */
  find(bytes: Uint8Array, from: number, to: number, at: number): number {
    for (let last = this.next(bytes, at, to); last >= 0; last = this.next(bytes, last + 1, to)) {
      for (const delimiter of this.delimiters) {
        const first = last + 1 - delimiter.length
        if (first >= from && matches(bytes, first, delimiter)) {
          this.length = delimiter.length
          return last + 1
        }
      }
    }
    return -1
  }

  /** The position of the next byte that may complete a delimiter, or -1. */
  next(bytes: Uint8Array, at: number, to: number): number {
    if (this.only !== undefined) return indexOfByte(bytes, this.only, at, to)
    for (let i = at; i < to; i++) if (this.lasts[bytes[i]!] === 1) return i
    return -1
  }
}

class DelimiterFramer extends Framer {
  override readonly searches = true
  override readonly overlap: number
  private readonly finder: Finder
  private readonly max: number
  private readonly allowTruncation: boolean

  constructor(delimiters: ReadonlyArray<Uint8Array>, max: number, allowTruncation: boolean) {
    super()
    this.finder = new Finder(delimiters)
    this.overlap = this.finder.longest - 1
    this.max = max
    this.allowTruncation = allowTruncation
  }

  override locate(bytes: Uint8Array, from: number, to: number, scanned: number): Status {
    const after = this.finder.find(bytes, from, to, from + scanned)
    if (after >= 0) return this.found(after - this.finder.length - from, after - from)
    return to - from - this.overlap > this.max ? Overlong : More
  }

  override reach(bytes: Uint8Array, from: number, to: number): number {
    const last = this.finder.next(bytes, from, to)
    return last < 0 ? to - from : last + 1 - from
  }

  override finish(_bytes: Uint8Array, from: number, to: number): Status {
    return this.allowTruncation ? this.found(to - from, to - from) : More
  }

  override resync(bytes: Uint8Array, from: number, to: number): number {
    const after = this.finder.find(bytes, from, to, from)
    return after < 0 ? -1 : after - from
  }

  private found(length: number, total: number): Status {
    if (length > this.max) return Overlong
    this.end = length
    this.total = total
    return Located
  }
}

/**
 * Whether the terminator ends just this payload: the last bytes of one and the first of the other can make an earlier
 * delimiter.
 */
const endsAt = (finder: Finder, payload: Uint8Array, terminator: Uint8Array): boolean => {
  const end = concat(payload.subarray(Math.max(0, payload.length - finder.longest)), terminator)
  return finder.find(end, 0, end.length, 0) === end.length && finder.length === terminator.length
}

const wanted = "one or more of at least one byte, none of which has another in it before its end"

const validated = (input: DelimiterInput): ReadonlyArray<Uint8Array> => {
  const delimiters = (typeof input === "string" || input instanceof Uint8Array ? [input] : input).map(fromInput)
  const hides = (long: Uint8Array) => delimiters.some((d) => d !== long && indexOf(long.subarray(0, -1), d) >= 0)
  if (delimiters.length > 0 && delimiters.every((d) => d.length > 0 && !hides(d))) return delimiters
  throw new InvalidOption({ option: "delimiter", value: JSON.stringify(input), expected: wanted })
}

/** @category models */
export type DelimiterInput = string | Uint8Array | ReadonlyArray<string | Uint8Array>

/**
 * One frame up to each delimiter, which is not part of the payload nor counted. Text means its UTF-8 bytes. Of several
 * delimiters any one ends a frame, and the encoder writes the first. A payload that holds a delimiter is refused by the
 * encoder.
 *
 * `maxFrameLength` is 64 KiB by default.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 *
 * const records = Framing.delimiter("\0")
 * const words = Framing.delimiter([",", ";", "\n"])
 * ```
 *
 * @category constructors
 */
export const delimiter = (delimiter: DelimiterInput, options: DelimiterOptions = {}): Codec<Uint8Array> => {
  const delimiters = validated(delimiter)
  const max = maxFrameLength(options, 64 * KiB)
  const allowTruncation = flag("allowTruncation", options.allowTruncation, true)
  const finder = new Finder(delimiters)
  const terminator = delimiters[0]!
  return fromFramer({
    maxFrameLength: max,
    skips: skips(options),
    framer: () => new DelimiterFramer(delimiters, max, allowTruncation),
    writing: () => (payload, out) => {
      const held = finder.find(payload, 0, payload.length, 0) >= 0
      if (held || (finder.longest > 1 && !endsAt(finder, payload, terminator))) {
        throw new Malformed("the payload holds a delimiter")
      }
      out.write(payload)
      out.write(terminator)
    }
  })
}
