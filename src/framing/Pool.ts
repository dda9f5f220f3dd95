/**
 * Memory for small things, cut from a common block as Node's `Buffer.poolSize` does it: a typed array with memory of its
 * own costs up to a microsecond. No region is cut twice, so that what was cut may be handed out.
 */
import { empty, view } from "./Bytes.ts"

const blockSize = 16 * 1024

/** The block that is being cut, the same to be read by words, and how much of it has been cut. */
export const pool = { bytes: empty, words: new DataView(empty.buffer), at: 0 }

/** Cuts off `size` bytes and gives their position in `pool.bytes`. */
export const cut = (size: number): number => {
  if (pool.bytes.length - pool.at < size) {
    pool.bytes = new Uint8Array(Math.max(blockSize, size))
    pool.words = new DataView(pool.bytes.buffer)
    pool.at = 0
  }
  pool.at += size
  return pool.at - size
}

/** Memory of that size: from the pool, unless it is large. */
export const allocate = (size: number): Uint8Array => {
  if (size > blockSize / 4) return new Uint8Array(size)
  const at = cut(size)
  return view(pool.bytes, at, at + size)
}
