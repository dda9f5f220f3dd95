/**
 * The bytes of one connection that the kernel has not taken yet, in order.
 * Small chunks that wait together leave together, copied into one batch, so that they cost one system call.
 * A chunk that waits alone, and any large one, is written as it is.
 */

/** Bytes that one batch may hold. */
const batchSize = 64 * 1024

export class WriteQueue {
  /** Bytes held. */
  size = 0
  #chunks: Array<Uint8Array> = []
  #current: Uint8Array | undefined

  push(chunk: Uint8Array): void {
    // An empty write takes nothing and would be tried for ever.
    if (chunk.length === 0) return
    this.size += chunk.length
    this.#chunks.push(chunk)
  }

  /** What to write next: the rest of what was written in part, else a new batch, else nothing. */
  next(): Uint8Array | undefined {
    return this.#current ??= this.#chunks.length > 1 ? this.#batch() : this.#chunks.pop()
  }

  /** The kernel took the first `size` bytes of `next`. */
  taken(size: number): void {
    this.size -= size
    this.#current = size < this.#current!.length ? this.#current!.subarray(size) : undefined
  }

  clear(): void {
    this.size = 0
    this.#chunks = []
    this.#current = undefined
  }

  #batch(): Uint8Array {
    const chunks = this.#chunks
    let count = 1
    let size = chunks[0]!.length
    while (count < chunks.length && size + chunks[count]!.length <= batchSize) size += chunks[count++]!.length
    const taken = chunks.splice(0, count)
    if (count === 1) return taken[0]!
    const batch = new Uint8Array(size)
    let offset = 0
    for (const chunk of taken) {
      batch.set(chunk, offset)
      offset += chunk.length
    }
    return batch
  }
}
