/**
 * Gathers encoded frames into as few chunks as it can: small pieces are copied side by side into one buffer, large ones
 * are taken as they are. The buffer is cut from a pool, so that a small frame costs no allocation of memory. A chunk
 * that was handed out is never written to again.
 */
import { copy, empty, includes, indexOfByte, view } from "./Bytes.ts"
import { cut, pool } from "./Pool.ts"

/**
 * Payloads up to this many bytes are copied next to their header; above it, a chunk of its own is cheaper than the
 * copy.
 */
export const copyLimit = 2048

const shortText = 64
const encoder = new TextEncoder()

export class ByteWriter {
  /** Where `reserve` gave room. */
  bytes: Uint8Array = empty
  /** How many bytes were written. */
  length = 0
  private start = 0
  private at = 0
  private chunks: Array<Uint8Array> = []

  /**
   * Makes room for `size` bytes in `bytes` and gives their position. The caller writes them all, before anything else
   * is called.
   */
  reserve(size: number): number {
    const at = cut(size)
    // Another block, or someone else has cut from it meanwhile: a transform can encode with a codec of its own.
    if (this.bytes !== pool.bytes || this.at !== at) this.begin(at)
    this.at = at + size
    this.length += size
    return at
  }

  /** `write`, after room for `size` bytes, whose position it gives as `reserve` does. */
  writeBehind(size: number, bytes: Uint8Array): number {
    if (bytes.length > copyLimit) {
      const at = this.reserve(size)
      this.write(bytes)
      return at
    }
    const at = this.reserve(size + bytes.length)
    copy(bytes, this.bytes, at + size)
    return at
  }

  /** Appends bytes, which must not change afterwards if they are more than `copyLimit`. */
  write(bytes: Uint8Array): void {
    if (bytes.length <= copyLimit) {
      const at = this.reserve(bytes.length)
      copy(bytes, this.bytes, at)
    } else {
      this.flush()
      this.chunks.push(bytes)
      this.length += bytes.length
    }
  }

  /** `write`, and a few bytes that end it. False where the bytes have `end`'s last one in them; the caller then refuses it all. */
  writeEnded(bytes: Uint8Array, end: Uint8Array): boolean {
    const size = bytes.length
    const last = end[end.length - 1]!
    if (size > copyLimit) {
      this.write(bytes)
      this.write(end)
      return indexOfByte(bytes, last, 0, size) < 0
    }
    const at = this.reserve(size + end.length)
    copy(bytes, this.bytes, at)
    copy(end, this.bytes, at + size)
    return !includes(pool.words, last, at, at + size)
  }

  /** Appends text as UTF-8. Short ASCII, as headers are, is written without the cost of a call to the encoder. */
  writeText(text: string): void {
    if (text.length > shortText) return this.write(encoder.encode(text))
    const at = this.reserve(text.length)
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        this.rewind(this.length - text.length)
        return this.write(encoder.encode(text))
      }
      this.bytes[at + i] = code
    }
  }

  writeByte(byte: number): void {
    const at = this.reserve(1)
    this.bytes[at] = byte
  }

  /** All that was written since the last call, in order. */
  take(): Array<Uint8Array> {
    this.flush()
    const { chunks } = this
    this.chunks = []
    this.length = 0
    return chunks
  }

  /** Takes back what was written after the first `length` bytes. */
  rewind(length: number): void {
    this.flush()
    for (let over = this.length - length; over > 0;) {
      const last = this.chunks.pop()!
      if (last.length > over) this.chunks.push(view(last, 0, last.length - over))
      over -= Math.min(over, last.length)
    }
    this.length = length
  }

  private begin(at: number): void {
    this.flush()
    this.bytes = pool.bytes
    this.start = at
  }

  private flush(): void {
    if (this.at > this.start) this.chunks.push(view(this.bytes, this.start, this.at))
    this.start = this.at
  }
}
