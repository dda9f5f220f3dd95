/**
 * Where one connection reads into, and how what came becomes the receiver's own.
 * A read that fills the buffer gives the buffer away; a shorter one is copied out and the buffer is used again. While buffers are given
 * back, shorter ones are given away, too.
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

/** Given back and not read into again yet, of one connection. */
const mostSpare = 4

export class ReadBuffer {
  readonly #allocate: (size: number) => Uint8Array
  #buffer: Uint8Array | undefined
  #size = smallest
  #spare: Array<Uint8Array> | undefined

  /** What `allocate` gives need not be zeros. */
  constructor(allocate = (size: number) => new Uint8Array(size)) {
    this.#allocate = allocate
  }

  /** Where the next read goes. */
  get target(): Uint8Array {
    return this.#buffer ??= this.#spare?.pop() ?? this.#allocate(this.#size)
  }

  /** The first `size` bytes of the target, for the receiver to keep. */
  take(size: number): Uint8Array {
    const buffer = this.target
    if (size < this.#worthGiving(buffer.length)) return copy(buffer.subarray(0, size))
    if (size === buffer.length && size < largest) this.#grow()
    this.#buffer = undefined
    return size < buffer.length ? buffer.subarray(0, size) : buffer
  }

  /** Nobody looks at this chunk again. Those that share a slab stay there. */
  recycle({ buffer }: Uint8Array): void {
    if (buffer.byteLength !== this.#size || buffer === slab.buffer) return
    const spare = this.#spare ??= []
    if (spare.length < mostSpare) spare.push(new Uint8Array(buffer as ArrayBuffer))
  }

  /** Giving costs another buffer, unless there is a spare one, or it is likely to come back. */
  #worthGiving(size: number): number {
    return this.#spare === undefined ? size : this.#spare.length > 0 ? 0 : size / 4
  }

  #grow(): void {
    this.#size = Math.min(4 * this.#size, largest)
    this.#spare = undefined
  }
}
