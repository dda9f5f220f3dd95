/**
 * RESP 2, the protocol of Redis (https://redis.io/docs/latest/develop/reference/protocol-spec/), as two codecs:
 * `server` takes commands and gives replies, `client` the other way round. Bulk strings are bytes and may hold
 * anything. A command has at most 8 MiB and 1,048,576 words, a reply at most 512 MiB and 32 levels.
 */
import { Framing } from "effect-netkit"

/** The name of a command and its arguments. None at all is an empty line, which wants no reply. */
export type Command = ReadonlyArray<Uint8Array>

/** A command as a client sends it. */
export type Words = ReadonlyArray<string | Uint8Array>

/** Text is sent as a bulk string and comes back as bytes; an integer that no number can hold is a bigint. */
export type Reply = Simple | RespError | number | bigint | string | Uint8Array | null | ReadonlyArray<Reply>

/** A simple string, such as `+OK`. */
export class Simple {
  readonly text: string
  #encoded: string | undefined

  constructor(text: string) {
    this.text = text
  }

  /** The few there are go out again and again. */
  get encoded(): string {
    return this.#encoded ??= `+${oneLine(this.text)}\r\n`
  }
}

/** An error reply; `message` begins with its kind, as `ERR` or `WRONGTYPE`. */
export class RespError extends Error {
  readonly _tag = "RespError"
}

const [plus, minus, colon, dollar, star] = [0x2b, 0x2d, 0x3a, 0x24, 0x2a]
const [cr, lf, space, zero] = [0x0d, 0x0a, 0x20, 0x30]

const maxLine = 64 * 1024
const maxCommand = 8 * 1024 * 1024
const maxReply = 512 * 1024 * 1024
const maxCount = 1024 * 1024
const maxDepth = 32

// --- reading ---

/**
 * Finds where a command or a reply ends, part by part: what has been seen is not looked at again when more has come.
 */
class Measure {
  /** Where the next part begins, and how many parts have been announced that were not seen. */
  private at = 0
  private left = 1
  /** Up to here there is no end of its line. */
  private seen = 0
  /** Where the words of a command begin and end. */
  private bounds: Array<number> = []
  private readonly ofCommands: boolean

  constructor(ofCommands: boolean) {
    this.ofCommands = ofCommands
  }

  end(bytes: Uint8Array): number | Framing.Incomplete {
    for (; this.left > 0; this.left--) {
      const line = lineEnd(bytes, this.at, this.seen)
      if (line < 0) {
        this.seen = bytes.length - 1
        return undefined
      }
      const next = this.next(bytes, line)
      if (this.ofCommands && next > maxCommand) throw new Error("too big a command")
      if (next > bytes.length) return { need: next }
      if (bytes[next - 2] !== cr || bytes[next - 1] !== lf) throw new Error("bulk string without its end")
      if (this.ofCommands && this.at > 0) this.bounds.push(line + 2, next - 2)
      this.at = next
    }
    const end = this.at
    this.at = this.seen = 0
    this.left = 1
    return end
  }

  /** The command whose end has been found. */
  command(bytes: Uint8Array): Command {
    const { bounds } = this
    const words: Array<Uint8Array> = []
    for (let i = 0; i < bounds.length; i += 2) words.push(bytes.subarray(bounds[i], bounds[i + 1]))
    this.bounds = []
    return words
  }

  /** Where the part ends whose line is there. */
  private next(bytes: Uint8Array, line: number): number {
    const kind = bytes[this.at]!
    if (this.ofCommands && this.at > 0 && kind !== dollar) throw new Error(`expected '$', got '${character(kind)}'`)
    if (kind === star) {
      const count = number(bytes, this.at, line, "multibulk length", maxCount)
      this.left += Math.max(count, 0)
    } else if (kind === dollar) {
      const length = number(bytes, this.at, line, "bulk length", maxReply)
      if (length >= 0) return line + 2 + length + 2
      if (this.ofCommands || length < -1) throw new Error("invalid bulk length")
    } else if (kind !== plus && kind !== minus && kind !== colon) {
      throw new Error(`expected a reply, got '${character(kind)}'`)
    }
    return line + 2
  }
}

const character = (byte: number): string => String.fromCharCode(byte)

/** Where the CRLF is of the line that begins at `at`, and has none up to `seen`; or -1 while it is not all there. */
const lineEnd = (bytes: Uint8Array, at: number, seen: number): number => {
  const to = Math.min(bytes.length, at + maxLine)
  for (let i = Math.max(at + 1, seen); i < to; i++) {
    if (bytes[i] !== cr) continue
    if (i + 1 === bytes.length) return -1
    if (bytes[i + 1] === lf) return i
    throw new Error("CR without LF")
  }
  if (to === at + maxLine) throw new Error("too long a line")
  return -1
}

/** The number on the line from `at` to `end`, after the byte that names its kind. */
const number = (bytes: Uint8Array, at: number, end: number, what: string, most: number): number => {
  const sign = bytes[at + 1] === minus ? -1 : 1
  const first = sign < 0 ? at + 2 : at + 1
  let value = end > first ? 0 : NaN
  for (let i = first; i < end; i++) {
    const digit = bytes[i]! - zero
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : NaN
  }
  if (value <= most) return sign * value
  throw new Error(`invalid ${what}`)
}

/** Reads a reply that is known to be whole. */
class Reader {
  private at = 0
  private readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  reply(depth: number): Reply {
    switch (this.bytes[this.at]) {
      case plus:
        return new Simple(this.line())
      case minus:
        return new RespError(this.line())
      case colon:
        return integer(this.line())
      case dollar:
        return this.bulk()
      default:
        return this.array(depth)
    }
  }

  private array(depth: number): ReadonlyArray<Reply> | null {
    const count = this.number()
    if (count < 0) return null
    if (depth === maxDepth) throw new Error("too many levels")
    const items: Array<Reply> = []
    while (items.length < count) items.push(this.reply(depth + 1))
    return items
  }

  private bulk(): Uint8Array | null {
    const length = this.number()
    if (length < 0) return null
    const end = this.at + length
    const value = this.bytes.subarray(this.at, end)
    this.at = end + 2
    return value
  }

  private number(): number {
    const end = lineEnd(this.bytes, this.at, 0)
    const value = number(this.bytes, this.at, end, "length", maxReply)
    this.at = end + 2
    return value
  }

  private line(): string {
    const end = lineEnd(this.bytes, this.at, 0)
    const text = decoder.decode(this.bytes.subarray(this.at + 1, end))
    this.at = end + 2
    return text
  }
}

const integer = (text: string): number | bigint => {
  if (!/^[+-]?\d{1,19}$/.test(text)) throw new Error(`expected an integer, got '${text.slice(0, 32)}'`)
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

const parseInline = (bytes: Uint8Array, scanned: number) => {
  const end = bytes.subarray(0, maxLine).indexOf(lf, scanned)
  if (end < 0) return bytes.length < maxLine ? undefined : { malformed: "too big inline request" }
  return { value: words(bytes.subarray(0, bytes[end - 1] === cr ? end - 1 : end)), next: end + 1 }
}

const words = (line: Uint8Array): Command => {
  const found: Array<Uint8Array> = []
  for (let from = 0; from < line.length;) {
    const at = line.indexOf(space, from)
    const end = at < 0 ? line.length : at
    if (end > from) found.push(line.subarray(from, end))
    from = end + 1
  }
  return found
}

// --- writing ---

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const OK = new Simple("OK")

const write = (reply: Reply, out: Array<Framing.Piece>): ReadonlyArray<Framing.Piece> => {
  if (typeof reply === "string") return write(encoder.encode(reply), out)
  if (reply instanceof Uint8Array) out.push(`$${reply.length}\r\n`, reply, "\r\n")
  else if (reply === null) out.push("$-1\r\n")
  else if (typeof reply === "number" || typeof reply === "bigint") out.push(`:${reply}\r\n`)
  else if (reply instanceof Simple) out.push(reply.encoded)
  else if (reply instanceof RespError) out.push(`-${oneLine(reply.message)}\r\n`)
  else {
    out.push(`*${reply.length}\r\n`)
    for (const item of reply) write(item, out)
  }
  return out
}

/** A line break in it would end the reply. */
const oneLine = (text: string): string => text.replace(/[\r\n]/g, " ")

// --- the codecs ---

/** For servers. Commands may also be inline: words on a line, as a person types them. */
export const server = Framing.make<Command, Reply>(() => {
  const measure = new Measure(true)
  return {
    maxFrameLength: maxReply,
    parse: (bytes, scanned) => {
      if (bytes[0] !== star) return parseInline(bytes, scanned)
      const next = measure.end(bytes)
      return typeof next === "number" ? { value: measure.command(bytes), next } : next
    },
    encode: (reply) => write(reply, [])
  }
})

/** For clients. */
export const client = Framing.make<Reply, Words>(() => {
  const measure = new Measure(false)
  return {
    maxFrameLength: maxReply,
    parse: (bytes) => {
      const next = measure.end(bytes)
      return typeof next === "number" ? { value: new Reader(bytes).reply(0), next } : next
    },
    encode: (command) => write(command, [])
  }
})
