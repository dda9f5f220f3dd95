/**
 * Searching and viewing bytes, as fast as each runtime allows, without its own buffer type.
 * Nothing here copies, except `concat` of two parts that both have bytes.
 */

export const empty: Uint8Array = new Uint8Array(0)

const encoder = new TextEncoder()

/** A delimiter or prefix given as text means its UTF-8 bytes. */
export const fromInput = (input: string | Uint8Array): Uint8Array =>
  typeof input === "string" ? encoder.encode(input) : Uint8Array.from(input)

/**
 * A plain view, whatever class the chunk is of: a Node `Buffer` gives a `Uint8Array` too, so that a frame is the same
 * everywhere.
 */
export const view = (bytes: Uint8Array, from: number, to: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from)

/** How many bytes are looked at one by one before a view is made for the native search, which costs as much as these. */
const near = 16

/** The position of the first such byte in `from` to `to`, or -1. */
export const indexOfByte = (bytes: Uint8Array, byte: number, from: number, to: number): number => {
  // Asking the chunk itself matters: a Node Buffer searches with memchr, in the time of a loop over ten bytes.
  if (to === bytes.length) return bytes.indexOf(byte, from)
  const first = Math.min(to, from + near)
  for (let i = from; i < first; i++) if (bytes[i] === byte) return i
  if (first === to) return -1
  const at = bytes.subarray(first, to).indexOf(byte)
  return at < 0 ? -1 : at + first
}

/**
 * Whether such a byte is in `from` to `to`, four looked at together: a word less one in each byte borrows where that byte was zero. For short
 * ranges of memory that has a DataView; V8's search of a plain array takes three times as long for a line.
 */
export const includes = (words: DataView, byte: number, from: number, to: number): boolean => {
  const wanted = byte * 0x01010101
  let at = from
  for (; at + 4 <= to; at += 4) {
    const word = words.getInt32(at, true) ^ wanted
    if (((word - 0x01010101) & ~word & 0x80808080) !== 0) return true
  }
  for (; at < to; at++) if (words.getUint8(at) === byte) return true
  return false
}

/** Whether `pattern` lies at `at`. */
export const matches = (bytes: Uint8Array, at: number, pattern: Uint8Array): boolean => {
  for (let i = 0; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) return false
  return true
}

/**
 * The position of the first `pattern` in `bytes` at or after `from`, or -1. Text means its UTF-8 bytes.
 *
 * @category bytes
 */
export const indexOf = (bytes: Uint8Array, pattern: string | Uint8Array, from = 0): number => {
  const wanted = fromInput(pattern)
  const last = bytes.length - wanted.length
  if (wanted.length === 0) return from <= bytes.length ? from : -1
  for (let at = Math.max(from, 0) - 1; at < last;) {
    at = indexOfByte(bytes, wanted[0]!, at + 1, last + 1)
    if (at < 0 || matches(bytes, at, wanted)) return at
  }
  return -1
}

/** Copies `source` into `target`. V8's `set` costs more than a loop for a few bytes. */
export const copy = (source: Uint8Array, target: Uint8Array, at: number): void => {
  if (source.length > 16) target.set(source, at)
  else for (let i = 0; i < source.length; i++) target[at + i] = source[i]!
}

export const concat = (head: Uint8Array, tail: Uint8Array): Uint8Array => {
  if (tail.length === 0) return head
  if (head.length === 0) return tail
  const whole = new Uint8Array(head.length + tail.length)
  whole.set(head)
  whole.set(tail, head.length)
  return whole
}
