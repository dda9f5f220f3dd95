/**
 * Where one connection reads into, and how what came becomes the receiver's own.
 * A read that fills the buffer gives the buffer away; a shorter one is copied out and the buffer is used again.
 * It starts small and grows with what comes, so that many idle connections hold little.
 */

const smallest = 4 * 1024
const largest = 64 * 1024

/** Small chunks share slabs of this size, as Node's `Buffer.from` does: a quarter of the cost of a buffer each. */
const slabSize = 8 * 1024

let slab = new Uint8Array(slabSize)
let slabUsed = 0

const copy = (bytes: Uint8Array): Uint8Array => {
  const size = bytes.length
  if (size > slabSize / 4) return bytes.slice()
  if (slabUsed + size > slabSize) {
    slab = new Uint8Array(slabSize)
    slabUsed = 0
  }
  const chunk = slab.subarray(slabUsed, slabUsed + size)
  // The next chunk begins on a multiple of 8, so that typed views of any element size fit on it.
  slabUsed = (slabUsed + size + 7) & ~7
  chunk.set(bytes)
  return chunk
}

export class ReadBuffer {
  #buffer: Uint8Array | undefined
  #size = smallest

  /** Where the next read goes. */
  get target(): Uint8Array {
    return this.#buffer ??= new Uint8Array(this.#size)
  }

  /** The first `size` bytes of the target, for the receiver to keep. */
  take(size: number): Uint8Array {
    const buffer = this.target
    if (size < buffer.length) return copy(buffer.subarray(0, size))
    this.#buffer = undefined
    this.#size = Math.min(4 * this.#size, largest)
    return buffer
  }
}
