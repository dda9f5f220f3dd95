/**
 * What tests of the name server share: the example zone, records as a zone file shows them, queries, and bytes that are damaged.
 */
import { Either } from "effect"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import * as Message from "../../examples/services/dns/Message.ts"
import * as RecordType from "../../examples/services/dns/RecordType.ts"
import * as ZoneFile from "../../examples/services/dns/ZoneFile.ts"
import { concat } from "../support/frames.ts"

export const typed = (name: string): RecordType.RecordType => RecordType.parse(name)!

export const bits = (count: number) => fc.nat({ max: 2 ** count - 1 })
export const blob = (maxLength: number) => fc.uint8Array({ maxLength }).map((octets) => Uint8Array.from(octets))

/** Bytes cut off, put in, and changed. */
export const damaged = (whole: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.tuple(
    whole,
    fc.array(fc.tuple(fc.nat(), fc.oneof(bits(8), fc.constantFrom(0, 0xc0, 0xff))), { maxLength: 4 }),
    fc.nat(),
    blob(3)
  )
    .map(([whole, changes, at, more]) => {
      const copy = Uint8Array.from(whole)
      for (const [place, octet] of changes) copy[place % copy.length] = octet
      const end = at % 3 === 0 ? at % (copy.length + 1) : copy.length
      return concat([copy.subarray(0, end), at % 5 === 0 ? more : new Uint8Array()])
    })

export const ask = (name: string, type: string, more: Partial<Message.Message> = {}) =>
  Message.encode(Message.make({ id: 7, questions: [{ name, type: typed(type), class: Message.IN }], ...more }))

export const file = readFileSync(new URL("../../examples/services/dns/example.zone", import.meta.url), "utf8")
export const zone = Either.getOrThrow(ZoneFile.parse(file))

/** Records as a zone file has them, each on a line. */
export const show = ({ data, name, ttl, type }: Message.ResourceRecord): string =>
  `${name} ${ttl} ${type} ${RecordType.showData(type, data)}`
