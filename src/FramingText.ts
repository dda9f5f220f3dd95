/**
 * Text payloads in any character encoding: GBK, GB 18030, Big5, Shift_JIS, EUC-KR, windows-125x, ISO 8859-x, KOI8, ...
 * The tables are iconv-lite's and the same on every runtime, so that malformed text is too (Node 20's own GBK decoder
 * lets it pass even when fatal). A module of its own: who only needs UTF-8 does not load them.
 */
import iconv from "iconv-lite"
import type { Codec, Whole } from "./framing/Codec.ts"
import { Malformed } from "./framing/Framer.ts"
import { view } from "./framing/Bytes.ts"
import { flag } from "./framing/Options.ts"
import type { Charset, PlainEncoding, TextOptions } from "./framing/Text.ts"
import { fromCharset, text as plainText } from "./framing/Text.ts"
import { InvalidOption } from "./NetError.ts"

/** Names of the encodings that need no table, without case, hyphens and underscores. */
const plain: Readonly<Record<string, PlainEncoding>> = {
  utf8: "utf-8",
  unicode11utf8: "utf-8",
  utf16: "utf-16le",
  utf16le: "utf-16le",
  ucs2: "utf-16le",
  utf16be: "utf-16be",
  latin1: "latin1",
  iso88591: "latin1",
  binary: "latin1"
}

/**
 * What iconv-lite lists besides encodings of characters one after the other: it is stateful, guesses, or is no text at
 * all.
 */
const unfit: ReadonlySet<string> = new Set([
  "hex",
  "base64",
  "utf7",
  "utf7imap",
  "cesu8",
  "utf32",
  "utf32le",
  "utf32be",
  "ucs4",
  "ucs4le",
  "ucs4be"
])

const replacement = "\uFFFD"

const decode = (bytes: Uint8Array, encoding: string): string => iconv.decode(bytes, encoding, { stripBOM: false })

const encode = (text: string, encoding: string): Uint8Array => iconv.encode(text, encoding)

/** Up to the first bytes of a character that is cut: what decodes to the text of which the decoder is already sure. */
const wholeOf = (encoding: string): Whole => (bytes, from, to) => {
  const decoder: { write(bytes: Uint8Array): string; end(): string | undefined } = iconv.getDecoder(encoding)
  const sure = decoder.write(view(bytes, from, to))
  if ((decoder.end() ?? "") === "") return to - from
  // No character has more than four bytes.
  for (let end = to - 1; end >= from && end > to - 4; end--) {
    if (decode(view(bytes, from, end), encoding) === sure) return end - from
  }
  return to - from
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

const fatalDecode = (bytes: Uint8Array, encoding: string): string => {
  const text = decode(bytes, encoding)
  // GB 18030 can hold the replacement character itself.
  if (text.includes(replacement) && !equal(encode(text, encoding), bytes)) throw new Malformed(`not ${encoding} text`)
  return text
}

const fatalEncode = (text: string, encoding: string): Uint8Array => {
  const bytes = encode(text, encoding)
  if (decode(bytes, encoding) !== text) throw new Malformed(`not all of the text is in ${encoding}`)
  return bytes
}

const charset = (encoding: string, fatal: boolean): Charset => {
  const from = fatal ? fatalDecode : decode
  const to = fatal ? fatalEncode : encode
  return {
    whole: wholeOf(encoding),
    read: () => (bytes, start, end) => from(view(bytes, start, end), encoding),
    encode: (text) => to(text, encoding)
  }
}

/**
 * Text payloads in the encoding of that name (`gbk`, `GB18030`, `big5`, `shift_jis`, `windows-1251`, ...: any that
 * iconv-lite knows, and all of `Framing.text`). An unknown name throws `InvalidOption`. With `fatal`, text that would
 * not come back the same is refused in both directions.
 *
 * On `Framing.bytes` a character cut by the end of a chunk waits for the rest.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 * import { text } from "effect-netkit/FramingText"
 *
 * const chat = Framing.lines().pipe(text("gbk"))
 * ```
 *
 * @category transforms
 */
export const text = (encoding: string, options: TextOptions = {}): (self: Codec<Uint8Array>) => Codec<string> => {
  const name = encoding.toLowerCase().replace(/[^0-9a-z]/g, "")
  if (Object.hasOwn(plain, name)) return plainText(plain[name], options)
  if (unfit.has(name) || !iconv.encodingExists(encoding)) {
    throw new InvalidOption({ option: "encoding", value: encoding, expected: "the name of a character encoding" })
  }
  const table = charset(encoding, flag("fatal", options.fatal, false))
  return (self) => fromCharset(self, table)
}
