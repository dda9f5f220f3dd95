/**
 * Bytes that wait in order, held as the chunks they were written in.
 * Moving them on copies, as into a kernel: the writer may use its buffer again. `takeAll` hands them out as one fresh chunk.
 * It has no bound of its own: who moves bytes in says how many.
 */
export class ByteFifo {
  #chunks: Array<Uint8Array> = []
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#size += chunk.length
  }

  /** Moves the first `limit` bytes, or all there are, to the end of another queue. */
  moveTo(target: ByteFifo, limit: number): void {
    let left = Math.min(limit, this.#size)
    this.#size -= left
    while (left > 0) {
      const chunk = this.#chunks[this.#head]!
      if (chunk.length > left) {
        target.push(new Uint8Array(chunk.subarray(0, left)))
        this.#chunks[this.#head] = chunk.subarray(left)
        break
      }
      target.push(new Uint8Array(chunk))
      left -= chunk.length
      this.#head++
    }
    this.#compact()
  }

  /**
   * Everything as one chunk. Always a copy, as from a kernel: the reader may scribble on it though the writer sends the
   * same constant to everyone, and borders between writes are lost, so that no test passes for having relied on them.
   */
  takeAll(): Uint8Array {
    const all = new Uint8Array(this.#size)
    let offset = 0
    for (let i = this.#head; i < this.#chunks.length; i++) {
      all.set(this.#chunks[i]!, offset)
      offset += this.#chunks[i]!.length
    }
    this.clear()
    return all
  }

  clear(): void {
    this.#chunks = []
    this.#head = 0
    this.#size = 0
  }

  // Dropping the used half only when it is a half keeps the cost of a chunk constant.
  #compact(): void {
    if (this.#head * 2 < this.#chunks.length) return
    this.#chunks.splice(0, this.#head)
    this.#head = 0
  }
}
