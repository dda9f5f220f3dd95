import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ByteQueue, concat } from "../src/internal/byteQueue.ts"

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 12 }), { maxLength: 200 })

const filled = (parts: ReadonlyArray<Uint8Array>): ByteQueue => {
  const queue = new ByteQueue()
  for (const part of parts) queue.push(part)
  return queue
}

const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => Array.from(part)))

describe("ByteQueue", () => {
  it("gives chunks as they came", () => {
    fc.assert(fc.property(chunks, (parts) => {
      const queue = filled(parts)
      const out: Array<Uint8Array> = []
      for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) out.push(chunk)
      expect(out).toEqual(parts)
      expect(queue.size).toBe(0)
    }))
  })

  it("gives any sizes asked for, in order, and loses none", () => {
    fc.assert(fc.property(chunks, fc.array(fc.nat(40)), (parts, sizes) => {
      const queue = filled(parts)
      const whole = join(parts)
      const out: Array<Uint8Array> = []
      for (const size of sizes) if (size <= queue.size) out.push(queue.take(size))
      out.push(...queue.takeAll())
      expect(join(out)).toEqual(whole)
      expect(queue.size).toBe(0)
    }))
  })

  it("takes back what was taken", () => {
    fc.assert(fc.property(chunks, fc.nat(30), (parts, size) => {
      const queue = filled(parts)
      if (size > queue.size) return
      queue.unshift(queue.take(size))
      expect(queue.size).toBe(join(parts).length)
      expect(join(queue.takeAll())).toEqual(join(parts))
    }))
  })

  it("is the bytes it holds, whatever is done to it", () => {
    const step = fc.oneof(
      fc.record({
        way: fc.constantFrom("push", "unshift"),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 9, max: 3 })
      }),
      fc.record({ way: fc.constantFrom("shift", "takeAll"), bytes: fc.constant(new Uint8Array()) }),
      fc.record({ way: fc.constantFrom("take", "find"), bytes: fc.uint8Array({ minLength: 1, maxLength: 6, max: 3 }) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new ByteQueue()
        let model: Array<number> = []
        for (const { bytes, way } of steps) {
          if (way === "push") {
            queue.push(Buffer.from(bytes))
            model = [...model, ...bytes]
          } else if (way === "unshift") {
            queue.unshift(bytes)
            model = [...bytes, ...model]
          } else if (way === "find") {
            const text = (of: Iterable<number>) => Array.from(of).join("")
            expect(queue.indexOf(bytes, bytes.length - 1)).toBe(text(model).indexOf(text(bytes), bytes.length - 1))
          } else {
            const size = Math.min(bytes.length * bytes[0]!, model.length)
            const taken = way === "takeAll" ? join(queue.takeAll()) : way === "shift" ? queue.shift() : queue.take(size)
            if (way === "take") expect(taken).toHaveLength(size)
            expect(Array.from(taken ?? [])).toEqual(model.slice(0, taken?.length ?? 0))
            if (way === "takeAll") expect(taken).toHaveLength(model.length)
            if (way === "shift") expect(taken === undefined).toBe(model.length === 0)
            model = model.slice(taken?.length ?? 0)
          }
          expect(queue.size).toBe(model.length)
        }
      }),
      { numRuns: 500 }
    )
  })

  it("finds a pattern wherever chunks are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 5 }), { maxLength: 30 }),
        fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 4 }),
        fc.nat(20),
        (parts, pattern, from) => {
          const whole = parts.flat().join("")
          expect(filled(parts.map((part) => Uint8Array.from(part))).indexOf(Uint8Array.from(pattern), from))
            .toBe(from > whole.length ? -1 : whole.indexOf(pattern.join(""), from))
        }
      )
    )
  })

  it("goes on with a search without looking at what it has seen", () => {
    const queue = new ByteQueue()
    let looks = 0
    for (let i = 0; i < 1000; i++) {
      queue.push(Object.defineProperty(new Uint8Array(1), "length", { get: () => (looks++, 1) }))
      expect(queue.indexOf(Uint8Array.of(1, 2), Math.max(0, queue.size - 2))).toBe(-1)
    }
    expect(looks).toBeLessThan(20_000)
  })

  it("joins chunks", () => {
    fc.assert(fc.property(chunks, (parts) => {
      const whole = join(parts)
      if (parts.length > 0) expect(Uint8Array.from(concat(parts, whole.length))).toEqual(whole)
    }))
  })
})
