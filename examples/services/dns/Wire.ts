/**
 * Numbers and names in the bytes of a message (RFC 1035, 3.1 and 4.1.4). The reader throws `Malformed` at whatever is
 * not as it should be, and no bytes keep it busy for long; the writer compresses names.
 */
import { Malformed } from "./Malformed.ts"
import * as Name from "./Name.ts"

export const headerLength = 12

/** The two high bits of a length octet: a label, or a pointer to where the name goes on. */
const pointer = 0xc0
/** What the 14 bits of a pointer can reach. */
const maxOffset = 0x3fff
/** One for each label that a name can have. Pointers to pointers to pointers, named by each record, would take ages. */
const maxPointers = 127

export class Reader {
  at: number
  /** Where the part that is being read ends. */
  end: number
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
    this.end = bytes.length
  }

  /** How many octets are left of the part. */
  get left(): number {
    return this.end - this.at
  }

  u8(): number {
    if (this.at >= this.end) throw new Malformed({ reason: "it ends too early" })
    return this.bytes[this.at++]!
  }

  u16(): number {
    return this.u8() << 8 | this.u8()
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16()
  }

  take(length: number): Uint8Array {
    if (length > this.left) throw new Malformed({ reason: "it ends too early" })
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  /** Each pointer has to lead to before the part of the name that it ends, so that no name goes round in circles. */
  name(): Name.Name {
    let text = ""
    let length = 1
    let pointers = 0
    let from = this.at
    let after: number | undefined
    for (let octet = this.u8(); octet !== 0; octet = this.u8()) {
      if (octet >= pointer) {
        const to = (octet & ~pointer) << 8 | this.u8()
        after ??= this.at
        if (to >= from || to < headerLength) throw new Malformed({ reason: "a pointer that does not lead back" })
        if (++pointers > maxPointers) throw new Malformed({ reason: "too many pointers" })
        this.at = from = to
        continue
      }
      if (octet > Name.maxLabel) throw new Malformed({ reason: "a label of an unknown kind" })
      length += 1 + octet
      if (length > Name.maxName) throw new Malformed({ reason: "too long a name" })
      if (octet > this.left) throw new Malformed({ reason: "it ends too early" })
      text += `${Name.label(this.bytes, this.at, octet)}.`
      this.at += octet
    }
    this.at = after ?? this.at
    return text || Name.root
  }

  /** Reads a part of so many octets, all of it. */
  part<A>(length: number, read: (reader: Reader) => A): A {
    const { end } = this
    if (length > this.left) throw new Malformed({ reason: "it ends too early" })
    this.end = this.at + length
    const value = read(this)
    if (this.left > 0) throw new Malformed({ reason: "octets that belong to nothing" })
    this.end = end
    return value
  }
}

export class Writer {
  private bytes = new Uint8Array(512)
  private length = 0
  /** Where names have been written, by their lower case. */
  private readonly offsets = new Map<string, number>()

  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  u8(value: number): void {
    this.room(1)
    this.bytes[this.length++] = value
  }

  u16(value: number): void {
    this.u8(value >>> 8)
    this.u8(value)
  }

  u32(value: number): void {
    this.u16(value >>> 16)
    this.u16(value)
  }

  write(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** The end of it that has been written before is not written again. */
  name(name: Name.Name): void {
    const lower = name.toLowerCase()
    for (let at = 0; name !== Name.root && at < name.length;) {
      const suffix = lower.slice(at)
      const known = this.offsets.get(suffix)
      if (known !== undefined) return this.u16(pointer << 8 | known)
      if (this.length <= maxOffset) this.offsets.set(suffix, this.length)
      const next = Name.nextLabel(name, at)
      this.string(Name.octets(name.slice(at, next - 1)))
      at = next
    }
    this.u8(0)
  }

  /** Its length in an octet, then so many. */
  string(bytes: Uint8Array): void {
    this.u8(bytes.length)
    this.write(bytes)
  }

  /** What `write` writes, after its length in two octets. */
  part(write: () => void): void {
    const at = this.length
    this.u16(0)
    write()
    const length = this.length - at - 2
    if (length > 0xffff) throw new Malformed({ reason: "more data than a record can have" })
    this.bytes[at] = length >>> 8
    this.bytes[at + 1] = length
  }

  private room(length: number): void {
    if (this.length + length <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.bytes.length, this.length + length))
    grown.set(this.written)
    this.bytes = grown
  }
}
