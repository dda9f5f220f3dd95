/**
 * Chunks of bytes in order of arrival: taken as they came, or exactly so many, and pushed back.
 * Every operation is O(1) amortised in the number of chunks; a chunk is split by view, copied only when bytes of several are asked
 * for in one piece. Pure, Effect-free.
 */
import { copy, empty, view } from "../framing/Bytes.ts"
import { allocate } from "../framing/Pool.ts"

export class ByteQueue {
  /** Bytes held. */
  size = 0
  /** Changes whenever bytes are taken or put back, so that positions found before are void. */
  version = 0
  /** The only chunk, as nearly always: an array would grow by room for seventeen each time. */
  #only: Uint8Array | undefined
  #chunks = none
  #head = 0
  /** How much of the first chunk has been taken: a view is made of what is handed out, none of what stays. */
  #used = 0

  push(chunk: Uint8Array): void {
    if (this.size === 0) this.#only = chunk
    else this.#many().push(chunk)
    this.size += chunk.length
  }

  unshift(chunk: Uint8Array): void {
    if (this.size === 0) this.#only = chunk
    else {
      const chunks = this.#many()
      this.#trim()
      if (this.#head > 0) chunks[--this.#head] = chunk
      else chunks.unshift(chunk)
    }
    this.size += chunk.length
    this.version++
  }

  /** The next chunk as it came, or what is left of it. */
  shift(): Uint8Array | undefined {
    const first = this.#first
    if (first === undefined) return undefined
    const rest = this.#used === 0 ? first : view(first, this.#used, first.length)
    this.#skip(rest.length)
    return rest
  }

  /** All chunks at once. */
  takeAll(): Array<Uint8Array> {
    const chunks = this.#many()
    this.#trim()
    const all = this.#head === 0 ? chunks : chunks.slice(this.#head)
    this.clear()
    return all
  }

  /** Exactly `n` bytes, which must be there: a view where one chunk has them, else one copy. */
  take(n: number): Uint8Array {
    if (n === 0) return empty
    const first = this.#first!
    const end = this.#used + n
    if (end > first.length) return this.#gather(n)
    const bytes = n === first.length ? first : view(first, this.#used, end)
    this.#skip(n)
    return bytes
  }

  /**
   * Where `pattern` first begins at or after `from`, or -1. The next search may start at `size - pattern.length + 1`:
   * what lies before has been seen.
   */
  indexOf(pattern: Uint8Array, from: number): number {
    const chunks = this.#many()
    // Looked for from the end: a search that goes on would else pass by all chunks for each that comes.
    let i = chunks.length
    let start = this.size
    while (start > from && i > this.#head) start -= chunks[--i]!.length
    for (; i < chunks.length; i++) {
      const chunk = chunks[i]!
      let at = Math.max(0, -start, from - start)
      while (at < chunk.length && (at = chunk.indexOf(pattern[0]!, at)) !== -1) {
        if (this.#matches(pattern, i, at)) return start + at
        at++
      }
      start += chunk.length
    }
    return -1
  }

  clear(): void {
    this.#only = undefined
    this.#chunks = none
    this.#head = 0
    this.#used = 0
    this.size = 0
    this.version++
  }

  get #first(): Uint8Array | undefined {
    return this.#only ?? this.#chunks[this.#head]
  }

  /** Takes `n` bytes, no more than are left of the first chunk. */
  #skip(n: number): void {
    this.size -= n
    this.version++
    this.#used += n
    if (this.#used === this.#first!.length) this.#drop()
  }

  #drop(): void {
    this.#used = 0
    if (this.#only !== undefined) {
      this.#only = undefined
      return
    }
    const chunks = this.#chunks
    if (++this.#head === chunks.length) {
      chunks.length = 0
      this.#head = 0
      return
    }
    chunks[this.#head - 1] = empty
    // Keeps the array from growing for ever behind a reader that is always one chunk late.
    if (this.#head >= 64 && this.#head * 2 >= chunks.length) {
      this.#chunks = chunks.slice(this.#head)
      this.#head = 0
    }
  }

  /** Copies `n` bytes of several chunks into one. */
  #gather(n: number): Uint8Array {
    const out = allocate(n)
    for (let filled = 0; filled < n;) {
      const first = this.#first!
      const part = view(first, this.#used, Math.min(first.length, this.#used + n - filled))
      out.set(part, filled)
      filled += part.length
      this.#skip(part.length)
    }
    return out
  }

  /** Cuts off what has been taken of the first chunk, which is in the array. */
  #trim(): void {
    if (this.#used === 0) return
    const first = this.#chunks[this.#head]!
    this.#chunks[this.#head] = view(first, this.#used, first.length)
    this.#used = 0
  }

  /** All chunks, in the array. */
  #many(): Array<Uint8Array> {
    if (this.#chunks === none) this.#chunks = []
    if (this.#only !== undefined) this.#chunks.push(this.#only)
    this.#only = undefined
    return this.#chunks
  }

  #matches(pattern: Uint8Array, index: number, at: number): boolean {
    let chunk = this.#chunks[index]
    for (let k = 0; k < pattern.length; k++, at++) {
      while (chunk !== undefined && at === chunk.length) {
        chunk = this.#chunks[++index]
        at = 0
      }
      if (chunk === undefined || chunk[at] !== pattern[k]) return false
    }
    return true
  }
}

/** No chunks, of all queues. Never changed. */
const none: Array<Uint8Array> = []

/** One chunk with the bytes of all. */
export const concat = (chunks: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  if (chunks.length === 1) return chunks[0]!
  const out = allocate(size)
  let at = 0
  for (const chunk of chunks) {
    copy(chunk, out, at)
    at += chunk.length
  }
  return out
}
