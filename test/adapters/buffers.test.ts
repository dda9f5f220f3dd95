/**
 * The two buffers that adapters share: what is read into, and what waits to be written.
 * What goes in comes out, whole and in order, however the kernel cuts it.
 */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ReadBuffer } from "../../adapters/ReadBuffer.ts"
import { WriteQueue } from "../../adapters/WriteQueue.ts"

const concat = (chunks: ReadonlyArray<Uint8Array>): Array<number> => chunks.flatMap((chunk) => [...chunk])

describe("WriteQueue", () => {
  it("hands out all bytes in order under any partial writes", () => {
    const step = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((push) => ({ push, take: 0 })),
      fc.integer({ min: 1, max: 60 }).map((take) => ({ push: new Uint8Array(0), take }))
    )
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new WriteQueue()
      const written: Array<Uint8Array> = []
      const write = (most: number) => {
        const next = queue.next()
        if (next === undefined) return
        const size = Math.min(most, next.length)
        written.push(next.slice(0, size))
        queue.taken(size)
      }
      for (const { push, take } of steps) {
        queue.push(push)
        if (take > 0) write(take)
      }
      while (queue.size > 0) write(7)
      expect(queue.next()).toBe(undefined)
      expect(concat(written)).toEqual(concat(steps.map((step) => step.push)))
    }))
  })

  it("joins small chunks up to 64 KiB and leaves large ones uncopied", () => {
    const queue = new WriteQueue()
    const large = new Uint8Array(100_000)
    for (let i = 0; i < 100; i++) queue.push(new Uint8Array(1_000))
    queue.push(large)
    const sizes: Array<number> = []
    for (let next = queue.next(); next !== undefined; next = queue.next()) {
      sizes.push(next.length)
      if (next.length === large.length) expect(next).toBe(large)
      queue.taken(next.length)
    }
    expect(sizes).toEqual([65_000, 35_000, 100_000])
  })
})

describe("ReadBuffer", () => {
  it("gives chunks that later reads never touch", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 40 }), (reads) => {
        const buffer = new ReadBuffer()
        const chunks = reads.map((wanted, i) => {
          const size = Math.min(wanted, buffer.target.length)
          buffer.target.fill(i, 0, size)
          return buffer.take(size)
        })
        for (const [i, chunk] of chunks.entries()) expect(chunk.every((byte) => byte === i)).toBe(true)
      }),
      { numRuns: 30 }
    )
  })

  it("reads into what was given back, and into nothing else that it gave", () => {
    const step = fc.record({
      size: fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.constant(70_000)),
      recycled: fc.nat({ max: 3 })
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const buffer = new ReadBuffer()
        const kept: Array<{ readonly chunk: Uint8Array; readonly mark: number }> = []
        for (const [mark, { recycled, size: wanted }] of steps.entries()) {
          const size = Math.min(wanted, buffer.target.length)
          buffer.target.fill(mark, 0, size)
          const chunk = buffer.take(size)
          kept.push({ chunk, mark })
          // Any of those that are out, not only the last.
          if (recycled > 0 && kept.length >= recycled) buffer.recycle(kept.splice(-recycled, 1)[0]!.chunk)
        }
        for (const { chunk, mark } of kept) expect(chunk.every((byte) => byte === mark)).toBe(true)
      }),
      { numRuns: 50 }
    )
    const buffer = new ReadBuffer()
    const [, , third] = [4_096, 16_384, 65_536].map((size) => buffer.take(size))
    buffer.recycle(third!)
    expect(buffer.take(20_000).buffer).toBe(third!.buffer)
  })

  it("grows from 4 KiB to 64 KiB as reads fill it", () => {
    const buffer = new ReadBuffer()
    const sizes = [1, 2, 3, 4].map(() => buffer.take(buffer.target.length).length)
    expect(sizes).toEqual([4_096, 16_384, 65_536, 65_536])
  })
})
