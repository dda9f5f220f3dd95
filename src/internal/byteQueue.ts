/**
 * Chunks of bytes in order of arrival: taken as they came, or exactly so many, and pushed back.
 * Every operation is O(1) amortised in the number of chunks; a chunk is split by view, copied only when bytes of several are asked
 * for in one piece. Pure, Effect-free.
 */
export class ByteQueue {
  /** Bytes held. */
  size = 0
  /** Changes whenever bytes are taken or put back, so that positions found before are void. */
  version = 0
  /** The only chunk, as nearly always: an array would grow by room for seventeen each time. */
  #only: Uint8Array | undefined
  #chunks = none
  #head = 0

  push(chunk: Uint8Array): void {
    if (this.size === 0) this.#only = chunk
    else this.#many().push(chunk)
    this.size += chunk.length
  }

  unshift(chunk: Uint8Array): void {
    if (this.size === 0) this.#only = chunk
    else {
      const chunks = this.#many()
      if (this.#head > 0) chunks[--this.#head] = chunk
      else chunks.unshift(chunk)
    }
    this.size += chunk.length
    this.version++
  }

  /** The next chunk as it came. */
  shift(): Uint8Array | undefined {
    const only = this.#only
    if (only !== undefined) {
      this.#only = undefined
      this.size = 0
      this.version++
      return only
    }
    const chunks = this.#chunks
    const chunk = chunks[this.#head]
    if (chunk === undefined) return undefined
    if (++this.#head === chunks.length) {
      chunks.length = 0
      this.#head = 0
    } else {
      chunks[this.#head - 1] = empty
      // Keeps the array from growing for ever behind a reader that is always one chunk late.
      if (this.#head >= 64 && this.#head * 2 >= chunks.length) {
        this.#chunks = chunks.slice(this.#head)
        this.#head = 0
      }
    }
    this.size -= chunk.length
    this.version++
    return chunk
  }

  /** All chunks at once. */
  takeAll(): Array<Uint8Array> {
    const only = this.#only
    const all = only !== undefined ? [only] : this.#head === 0 ? this.#many() : this.#chunks.slice(this.#head)
    this.clear()
    return all
  }

  /** Exactly `n` bytes, which must be there: a view where one chunk has them, else one copy. */
  take(n: number): Uint8Array {
    if (n === 0) return empty
    const first = this.shift()!
    if (first.length === n) return first
    if (first.length > n) {
      this.unshift(first.subarray(n))
      return first.subarray(0, n)
    }
    const out = new Uint8Array(n)
    out.set(first)
    let filled = first.length
    while (filled < n) {
      const chunk = this.shift()!
      const part = chunk.length > n - filled ? chunk.subarray(0, n - filled) : chunk
      out.set(part, filled)
      filled += part.length
      if (part.length < chunk.length) this.unshift(chunk.subarray(part.length))
    }
    return out
  }

  /**
   * Where `pattern` first begins at or after `from`, or -1. The next search may start at `size - pattern.length + 1`:
   * what lies before has been seen.
   */
  indexOf(pattern: Uint8Array, from: number): number {
    const chunks = this.#many()
    let start = 0
    for (let i = this.#head; i < chunks.length; i++) {
      const chunk = chunks[i]!
      let at = Math.max(0, from - start)
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
    this.size = 0
    this.version++
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

const empty = new Uint8Array(0)

/** No chunks, of all queues. Never changed. */
const none: Array<Uint8Array> = []

/** One chunk with the bytes of all. */
export const concat = (chunks: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  if (chunks.length === 1) return chunks[0]!
  const out = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}
