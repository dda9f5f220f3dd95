/**
 * Text payloads in the encodings that need no table: UTF-8, UTF-16 and Latin-1. `FramingText` has the others.
 * Malformed text is treated alike on every runtime: replaced by U+FFFD, or refused with `fatal`.
 */
import { InvalidOption } from "../NetError.ts"
import { copyLimit } from "./ByteWriter.ts"
import { view } from "./Bytes.ts"
import type { Codec, Whole } from "./Codec.ts"
import { copies, keepWhole, mapSpec } from "./Codec.ts"
import type { Read } from "./Framer.ts"
import { Malformed } from "./Framer.ts"
import { flag } from "./Options.ts"

/**
 * The options of `text`.
 *
 * @category options
 */
export interface TextOptions {
  /**
   * Text that is not of the encoding fails with `FrameMalformed`, both ways. Otherwise (the default) what cannot be
   * decoded becomes U+FFFD, and what cannot be encoded U+FFFD or `?`.
   */
  readonly fatal?: boolean | undefined
}

/** A character encoding, as `text` uses it. Both functions throw `Malformed` where it is fatal. */
export interface Charset {
  readonly whole: Whole
  /** A new function for each decoder: it may look ahead and remember. */
  readonly read: () => Read<string>
  readonly encode: (text: string) => Uint8Array
  /** The same at less cost, in memory that the next call may use again. */
  readonly encodeBriefly?: (text: string) => Uint8Array
}

export const fromCharset = (self: Codec<Uint8Array>, charset: Charset): Codec<string> => {
  // What a function of the user's is given is its own: it may keep it, or encode other text meanwhile.
  const encode = copies(self) ? charset.encodeBriefly ?? charset.encode : charset.encode
  return mapSpec<Uint8Array, Uint8Array, string, string>(
    keepWhole(self, charset.whole),
    () => charset.read(),
    (inner) => (text, out) => inner(encode(text), out)
  )
}

/** How much text is decoded at once, in the hope that it is ASCII and the frames in it are slices of one string. */
const block = 4096

/**
 * A call of TextDecoder costs as much as decoding a hundred bytes, so short frames are sliced from a longer ASCII text.
 */
const utf8Reader = (fatal: boolean): Read<string> => {
  const decoder = new TextDecoder("utf-8", { fatal, ignoreBOM: true })
  const lenient = new TextDecoder("utf-8", { ignoreBOM: true })
  // `ascii` is the text of the stream's bytes from `first` to `last`; without it, these hold something else than ASCII.
  let ascii: string | undefined = undefined
  let first = 0
  let last = 0
  return (bytes, from, to, ahead, offset) => {
    const end = offset + to - from
    if (to - from > block) return decode(decoder, bytes, from, to)
    if (offset < first || end > last) {
      const size = Math.min(ahead - from, block)
      const text = lenient.decode(view(bytes, from, from + size))
      ascii = text.length === size && !text.includes("\uFFFD") ? text : undefined
      first = offset
      // Where other scripts are in use they will be again soon: no more hoping for a while.
      last = ascii === undefined ? offset + 16 * block : offset + size
    }
    return ascii === undefined ? decode(decoder, bytes, from, to) : ascii.slice(offset - first, end - first)
  }
}

const decode = (decoder: TextDecoder, bytes: Uint8Array, from: number, to: number): string => {
  try {
    return decoder.decode(view(bytes, from, to))
  } catch (cause) {
    throw new Malformed(`not ${decoder.encoding} text`, cause)
  }
}

const utf8Encoder = new TextEncoder()
/** A unit of a string takes three bytes at most. */
const scratch = new Uint8Array(3 * copyLimit)

const encodeUtf8 = (text: string): Uint8Array => utf8Encoder.encode(text)

const encodeUtf8Briefly = (text: string): Uint8Array => {
  if (text.length > copyLimit) return utf8Encoder.encode(text)
  const size = utf8Encoder.encodeInto(text, scratch).written
  // A short payload is copied by the writer at once, so that its bytes need no memory of their own.
  return size > copyLimit ? scratch.slice(0, size) : view(scratch, 0, size)
}

const loneSurrogate = /\p{Surrogate}/u

const wellFormed = (text: string): string => {
  if (loneSurrogate.test(text)) throw new Malformed("half a surrogate pair cannot be encoded")
  return text
}

/** Bytes before a UTF-8 sequence that is cut by the end, or all. A malformed sequence counts as whole. */
const wholeUtf8: Whole = (bytes, from, to) => {
  for (let back = 1; back <= 3 && to - back >= from; back++) {
    const byte = bytes[to - back]!
    if (byte < 0x80) break
    if (byte >= 0xc0) return to - from - (back < sequenceLength(byte) ? back : 0)
  }
  return to - from
}

const sequenceLength = (lead: number): number => lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2

/** An even number of bytes, and no high surrogate at the end. `high` is where a unit has its high byte. */
const wholeUtf16 = (high: 0 | 1): Whole => (bytes, from, to) => {
  const even = (to - from) - (to - from) % 2
  return even > 0 && (bytes[from + even - 2 + high]! & 0xfc) === 0xd8 ? even - 2 : even
}

const encodeUtf16 = (text: string, high: 0 | 1): Uint8Array => {
  const bytes = new Uint8Array(text.length * 2)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    bytes[i * 2 + high] = unit >>> 8
    bytes[i * 2 + 1 - high] = unit
  }
  return bytes
}

const utf8 = (fatal: boolean): Charset => ({
  whole: wholeUtf8,
  read: () => utf8Reader(fatal),
  encode: fatal ? (text) => encodeUtf8(wellFormed(text)) : encodeUtf8,
  encodeBriefly: fatal ? (text) => encodeUtf8Briefly(wellFormed(text)) : encodeUtf8Briefly
})

const utf16 = (label: "utf-16le" | "utf-16be", high: 0 | 1) => (fatal: boolean): Charset => ({
  whole: wholeUtf16(high),
  read: () => {
    const decoder = new TextDecoder(label, { fatal, ignoreBOM: true })
    return (bytes, from, to) => decode(decoder, bytes, from, to)
  },
  encode: (text) => encodeUtf16(fatal ? wellFormed(text) : text, high)
})

const beyondLatin1 = /[^\0-\xff]/
const allBeyondLatin1 = /[^\0-\xff]/gu

/** ISO 8859-1 itself, every byte the character of its number; not the windows-1252 that `TextDecoder` takes it for. */
const latin1 = (fatal: boolean): Charset => ({
  whole: (_bytes, from, to) => to - from,
  read: () => (bytes, from, to) => {
    let text = ""
    for (let at = from; at < to; at += block) {
      text += String.fromCharCode.apply(null, view(bytes, at, Math.min(at + block, to)) as unknown as Array<number>)
    }
    return text
  },
  encode: (text) => {
    if (fatal && beyondLatin1.test(text)) throw new Malformed("not all of the text is in latin1")
    return Uint8Array.from(text.replace(allBeyondLatin1, "?"), (character) => character.charCodeAt(0))
  }
})

const charsets = {
  "utf-8": utf8,
  "utf-16le": utf16("utf-16le", 1),
  "utf-16be": utf16("utf-16be", 0),
  latin1
} as const

/**
 * The encodings that `text` has by itself.
 *
 * @category models
 */
export type PlainEncoding = keyof typeof charsets

const known = `one of ${Object.keys(charsets).join(", ")}; FramingText.text has all others`

/**
 * Text payloads. A byte order mark is text like any other and stays. On `Framing.bytes` a character cut by the end of a
 * chunk waits for the rest.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 *
 * const chat = Framing.lines().pipe(Framing.text())
 * const old = Framing.lines().pipe(Framing.text("latin1", { fatal: true }))
 * ```
 *
 * For other encodings (`gbk`, `shift_jis`, ...) take `text` of `effect-netkit/FramingText`, which brings their tables.
 *
 * @category transforms
 */
export const text = (encoding: PlainEncoding = "utf-8", options: TextOptions = {}) => {
  if (!Object.hasOwn(charsets, encoding)) {
    throw new InvalidOption({ option: "encoding", value: encoding, expected: known })
  }
  const charset = charsets[encoding](flag("fatal", options.fatal, false))
  return (self: Codec<Uint8Array>): Codec<string> => fromCharset(self, charset)
}
