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

  it("joins chunks", () => {
    fc.assert(fc.property(chunks, (parts) => {
      const whole = join(parts)
      if (parts.length > 0) expect(Uint8Array.from(concat(parts, whole.length))).toEqual(whole)
    }))
  })
})
