/**
 * A framing of one's own: one function that finds a frame, one that writes it. Buffering, limits, cutting and failure
 * are not its business.
 */
import { InvalidOption } from "../NetError.ts"
import { view } from "./Bytes.ts"
import type { ByteWriter } from "./ByteWriter.ts"
import type { Codec } from "./Codec.ts"
import { fromFramer, fromSpec } from "./Codec.ts"
import type { Status } from "./Framer.ts"
import { Framer, Located, Malformed, More, Overlong, TooLarge } from "./Framer.ts"
import type { FramingOptions, SkippingOptions } from "./Options.ts"
import { integer, KiB, maxFrameLength, MiB, skips } from "./Options.ts"

/**
 * That there is no frame to be seen yet: nothing, or how many bytes there must be before it is worth asking again.
 *
 * @category models
 */
export type Incomplete = undefined | { readonly need: number }

/**
 * That these bytes, or this value, make no frame, and why.
 *
 * @category models
 */
export interface Refusal {
  readonly malformed: string
}

/**
 * Where a frame lies, counted from its first byte: the payload from `start` to `end`, the next frame from `next` (`end`
 * if left out). It need not all be there yet.
 *
 * @category models
 */
export interface Location {
  readonly start: number
  readonly end: number
  readonly next?: number | undefined
}

/**
 * A frame that is there as a value, and the position of the next one.
 *
 * @category models
 */
export interface Parsed<out A> {
  readonly value: A
  readonly next: number
}

/**
 * What an encoder of one's own gives: a frame, whole or in pieces.
 *
 * @category models
 */
export type Encoded = Piece | ReadonlyArray<Piece> | Refusal

/**
 * Bytes, or a text for its UTF-8 bytes.
 *
 * @category models
 */
export type Piece = Uint8Array | string

/**
 * A framing whose frames have a header that says where the payload ends.
 *
 * @category options
 */
export interface Locating extends SkippingOptions {
  /**
   * Where the frame lies whose first bytes these are. The first `scanned` of them were seen by the last call, which
   * said that they were not enough. What it throws is `FrameMalformed`.
   */
  readonly locate: (bytes: Uint8Array, scanned: number) => Incomplete | Refusal | Location
  /** The frame of a payload: header, payload and whatever follows. */
  readonly encode: (payload: Uint8Array) => Encoded
  /** How many bytes at most `locate` is shown before it must know. 8 KiB by default. */
  readonly maxHeaderLength?: number | undefined
}

/**
 * A framing whose frames are read as values in one go.
 *
 * @category options
 */
export interface Parsing<out A, in B> extends FramingOptions {
  /** As `locate`, but gives the value itself; all of its bytes must be there. */
  readonly parse: (bytes: Uint8Array, scanned: number) => Incomplete | Refusal | Parsed<A>
  /** The frame of a value. `maxFrameLength` holds for all of its bytes. */
  readonly encode: (value: B) => Encoded
}

abstract class CustomFramer extends Framer {
  /** What the user's function said, unless it found a frame. */
  protected waiting(answer: Incomplete | Refusal): Status {
    if (answer !== undefined && "malformed" in answer) throw new Malformed(answer.malformed)
    this.need = answer?.need ?? 0
    return More
  }

  /** A frame that took no bytes would be found for ever. */
  protected found(start: number, end: number, next: number): Status {
    if (!(start >= 0 && end >= start && next >= end && next > 0)) {
      throw new Malformed(`the codec found a frame from ${start} to ${end}, with the next at ${next}`)
    }
    this.start = start
    this.end = end
    this.total = next
    return Located
  }
}

class LocatingFramer extends CustomFramer {
  private readonly find: Locating["locate"]
  private readonly maxHeader: number

  constructor(find: Locating["locate"], maxHeader: number) {
    super()
    this.find = find
    this.maxHeader = maxHeader
  }

  override locate(bytes: Uint8Array, from: number, to: number, scanned: number): Status {
    const shown = Math.min(to - from, this.maxHeader)
    const answer = this.find(view(bytes, from, from + shown), scanned)
    if (answer !== undefined && "start" in answer) {
      return this.found(answer.start, answer.end, answer.next ?? answer.end)
    }
    const status = this.waiting(answer)
    if (shown === this.maxHeader || this.need > this.maxHeader) {
      throw new Malformed(`its header is longer than ${this.maxHeader} bytes`)
    }
    return status
  }
}

class ParsingFramer<A> extends CustomFramer {
  value: A | undefined = undefined
  private readonly parse: Parsing<A, never>["parse"]
  private readonly max: number

  constructor(parse: Parsing<A, never>["parse"], max: number) {
    super()
    this.parse = parse
    this.max = max
  }

  override locate(bytes: Uint8Array, from: number, to: number, scanned: number): Status {
    const answer = this.parse(view(bytes, from, to), scanned)
    if (answer !== undefined && "value" in answer) {
      if (answer.next > this.max) return Overlong
      if (answer.next > to - from) throw new Malformed("the codec took more bytes than there were")
      this.value = answer.value
      return this.found(0, answer.next, answer.next)
    }
    const status = this.waiting(answer)
    return to - from > this.max || this.need > this.max ? Overlong : status
  }

  /** The value just located, which the framer lets go of. */
  take(): A {
    const value = this.value as A
    this.value = undefined
    return value
  }
}

const put = (encoded: Encoded, out: ByteWriter): void => {
  if (typeof encoded === "string") out.writeText(encoded)
  else if (encoded instanceof Uint8Array) out.write(encoded)
  else if ("malformed" in encoded) throw new Malformed(encoded.malformed)
  else for (const piece of encoded) typeof piece === "string" ? out.writeText(piece) : out.write(piece)
}

const locating = (open: () => Locating): Codec<Uint8Array> => {
  const options = open()
  const maxHeader = integer("maxHeaderLength", options.maxHeaderLength ?? 8 * KiB, 1)
  return fromFramer({
    maxFrameLength: maxFrameLength(options, 8 * MiB),
    skips: skips(options),
    copies: false,
    framer: () => new LocatingFramer(open().locate, maxHeader),
    writing: () => {
      const { encode } = open()
      return (payload, out) => put(encode(payload), out)
    }
  })
}

const parsing = <A, B>(open: () => Parsing<A, B>): Codec<A, B> => {
  const max = maxFrameLength(open(), 8 * MiB)
  return fromSpec({
    maxFrameLength: max,
    skips: false,
    reading: () => {
      const framer = new ParsingFramer<A>(open().parse, max)
      return { framer, read: () => framer.take() }
    },
    writing: () => {
      const { encode } = open()
      return (value, out) => {
        const before = out.length
        put(encode(value), out)
        if (out.length - before > max) throw new TooLarge(out.length - before)
      }
    }
  })
}

/**
 * A framing of one's own. With `locate`, frames are bytes, and the function says where the payload lies as soon as the
 * header is there, so that one that is too large is refused before it has come; with `parse`, frames are values. Plain
 * functions: given the same bytes they must give the same answer, however many more bytes follow. For a framing with
 * state, give a function that makes the options: it is called once for each decoder and each encoder. (Of a batch that
 * is refused, the frames before the fault have been through `encode`.)
 *
 * `maxFrameLength` is 8 MiB by default.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 *
 * // Messages with headers, as editors and language servers exchange them.
 * const contentLength = Framing.make({
 *   locate: (bytes, scanned) => {
 *     const end = Framing.indexOf(bytes, "\r\n\r\n", scanned - 3)
 *     if (end < 0) return undefined
 *     const length = /^Content-Length: *(\d+)/im.exec(new TextDecoder().decode(bytes.subarray(0, end)))
 *     if (length === null) return { malformed: "no Content-Length" }
 *     return { start: end + 4, end: end + 4 + Number(length[1]) }
 *   },
 *   encode: (payload) => [new TextEncoder().encode(`Content-Length: ${payload.length}\r\n\r\n`), payload]
 * })
 * ```
 *
 * @category constructors
 */
export function make(options: Locating | (() => Locating)): Codec<Uint8Array>
export function make<A, B>(options: Parsing<A, B> | (() => Parsing<A, B>)): Codec<A, B>
export function make<A, B>(
  options: Locating | Parsing<A, B> | (() => Locating | Parsing<A, B>)
): Codec<Uint8Array> | Codec<A, B> {
  const open = typeof options === "function" ? options : () => options
  const first = open()
  if ("locate" in first) return locating(open as () => Locating)
  if ("parse" in first) return parsing(open as () => Parsing<A, B>)
  throw new InvalidOption({ option: "options", value: "without locate or parse", expected: "a framing" })
}
