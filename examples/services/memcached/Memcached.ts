/**
 * The text protocol of memcached (https://github.com/memcached/memcached/blob/master/doc/protocol.txt), the server's
 * side, as a codec. A request is a line of words; those that store are followed by a block of data whose length the
 * line tells. A block that is too large is read and dropped, so that the connection goes on; a line of more than 64 KiB
 * is its end.
 */
import { Framing } from "effect-netkit"

export interface Request {
  readonly words: ReadonlyArray<string>
  /** The block of data, or what is wrong with it. */
  readonly data?: Uint8Array | BadData
}

export type BadData = "bad data chunk" | "object too large for cache"

/** Data of a block that is too large: no request, and no reply. */
export const dropped = Symbol("dropped")

/** A line, or what `get` has found. */
export type Reply = string | ReadonlyArray<Found>

export interface Found {
  readonly key: string
  readonly flags: number
  readonly value: Uint8Array
  /** Only for who asked by `gets`. */
  readonly unique?: bigint | undefined
}

export const maxValue = 1024 * 1024
const maxLine = 64 * 1024

/** The commands with a block of data. Its length is the fifth word. */
const storing = new Set(["set", "add", "replace", "append", "prepend", "cas"])

export const server = Framing.make<Request | typeof dropped, Reply>(() => {
  let dropping = 0
  const drop = (length: number) => {
    dropping -= length
    return { value: dropped, next: length } as const
  }
  return {
    maxFrameLength: maxLine + maxValue + 2,
    parse: (bytes) => {
      if (dropping > 0) return drop(Math.min(bytes.length, dropping))
      const end = bytes.subarray(0, maxLine).indexOf(lf)
      if (end < 0) return bytes.length < maxLine ? undefined : { malformed: "line too long" }
      const words = text(bytes.subarray(0, end)).split(/[ \r]+/).filter((word) => word !== "")
      const length = storing.has(words[0]!) ? size(words[4]) : undefined
      if (length === undefined) return { value: { words }, next: end + 1 }
      const next = end + 1 + length + 2
      if (length > maxValue) {
        dropping = length + 2
        return { value: { words, data: "object too large for cache" }, next: end + 1 }
      }
      if (bytes.length < next) return { need: next }
      const ended = bytes[next - 2] === cr && bytes[next - 1] === lf
      return { value: { words, data: ended ? bytes.subarray(end + 1, next - 2) : "bad data chunk" }, next }
    },
    encode: (reply) => typeof reply === "string" ? `${reply}\r\n` : [...reply.flatMap(block), "END\r\n"]
  }
})

const [cr, lf] = [0x0d, 0x0a]

/** A length that no number can hold is too large as well; one that is none makes a bad line. */
const size = (word: string | undefined): number | undefined =>
  /^\d+$/.test(word ?? "") ? Math.min(Number(word), Number.MAX_SAFE_INTEGER - maxLine) : undefined

const block = ({ flags, key, unique, value }: Found): ReadonlyArray<Framing.Piece> => {
  const head = `VALUE ${key} ${flags} ${value.length}${unique === undefined ? "" : ` ${unique}`}\r\n`
  return [latin1(head), value, "\r\n"]
}

// Keys may be any bytes but blanks, in whatever encoding; a character of a key is a byte of it.

const text = (bytes: Uint8Array): string => {
  if (bytes.length > 4096) return text(bytes.subarray(0, 4096)) + text(bytes.subarray(4096))
  return String.fromCharCode.apply(null, bytes as unknown as Array<number>)
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))
