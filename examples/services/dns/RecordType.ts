/**
 * The types of records that this server knows: what their data consist of, on the wire and in a zone file. A type is
 * known by its name; one that is not in the table is `TYPE65` and the like, and its data are bytes (RFC 3597).
 */
import { SocketAddress } from "effect-netkit"
import { Malformed } from "./Malformed.ts"
import * as Name from "./Name.ts"
import type { Reader, Writer } from "./Wire.ts"

/** A part of a record's data: a name, a number, or octets, which are an address or a text. */
export type Value = Name.Name | number | Uint8Array

/** One kind of value, in bytes and as a word. `parse` throws `Malformed`. */
interface Field<A extends Value> {
  readonly read: (reader: Reader) => A
  readonly write: (writer: Writer, value: A) => void
  readonly parse: (word: string, origin: Name.Name | undefined) => A
  readonly show: (value: A) => string
}

const number = (bytes: 2 | 4): Field<number> => ({
  read: (reader) => bytes === 2 ? reader.u16() : reader.u32(),
  write: (writer, value) => bytes === 2 ? writer.u16(value) : writer.u32(value),
  parse: (word) => {
    if (/^\d{1,10}$/.test(word) && Number(word) < 256 ** bytes) return Number(word)
    throw new Malformed({ reason: `not a number of ${8 * bytes} bits: ${word}` })
  },
  show: String
})

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** Seconds, or as BIND takes them too, `1h30m`. A TTL has 31 bits (RFC 2181, 8). */
export const parseSeconds = (word: string): number => {
  const parts = /^\d{1,10}$/.test(word) ? [[word, word, "s"]] : Array.from(word.matchAll(/(\d{1,10})([smhdw])/gi))
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit!.toLowerCase()]!, 0)
  if (parts.map(([part]) => part).join("") === word && word !== "" && seconds < 2 ** 31) return seconds
  throw new Malformed({ reason: `not a time in seconds: ${word}` })
}

const seconds: Field<number> = { ...number(4), parse: parseSeconds }

const name: Field<Name.Name> = {
  read: (reader) => reader.name(),
  write: (writer, value) => writer.name(value),
  parse: Name.parse,
  show: (value) => value
}

const text: Field<Uint8Array> = {
  read: (reader) => reader.take(reader.u8()),
  write: (writer, value) => writer.string(value),
  parse: (word) => {
    const octets = Name.octets(word)
    if (octets.length > 255) throw new Malformed({ reason: "a string of more than 255 octets" })
    return octets
  },
  show: (value) => `"${Array.from(value, showOctet).join("")}"`
}

const showOctet = (octet: number): string => {
  if (octet < 0x20 || octet > 0x7e) return `\\${String(octet).padStart(3, "0")}`
  return octet === 0x22 || octet === 0x5c ? `\\${String.fromCharCode(octet)}` : String.fromCharCode(octet)
}

const address = (version: 4 | 6): Field<Uint8Array> => ({
  read: (reader) => reader.take(version === 4 ? 4 : 16),
  write: (writer, value) => writer.write(value),
  parse: (word) => {
    if (!/^[\d.:a-f]+$/i.test(word) || SocketAddress.family(word) !== version) {
      throw new Malformed({ reason: `not an IPv${version} address: ${word}` })
    }
    return version === 4 ? Uint8Array.from(word.split("."), Number) : ipv6(word)
  },
  show: (value) => version === 4 ? value.join(".") : SocketAddress.inet(hexGroups(value).join(":"), 0).host
})

/** The octets of an address that is one. */
const ipv6 = (text: string): Uint8Array => {
  const [head = [], tail = []] = text.split("::").map((half) => half === "" ? [] : half.split(":").flatMap(groupOctets))
  return Uint8Array.from([...head, ...Array<number>(16 - head.length - tail.length).fill(0), ...tail])
}

/** The last group may be four octets in decimal. */
const groupOctets = (group: string): ReadonlyArray<number> =>
  group.includes(".") ? group.split(".").map(Number) : [parseInt(group, 16) >>> 8, parseInt(group, 16) & 0xff]

const hexGroups = (octets: Uint8Array): ReadonlyArray<string> =>
  Array.from({ length: 8 }, (_, i) => (octets[2 * i]! << 8 | octets[2 * i + 1]!).toString(16))

const unknown: Field<Uint8Array> = {
  read: (reader) => reader.take(reader.left),
  write: (writer, value) => writer.write(value),
  parse: (word) => {
    throw new Malformed({ reason: `data of an unknown type: ${word}` })
  },
  show: (value) => `\\# ${value.length} ${Array.from(value, hexOctet).join("")}`.trimEnd()
}

const hexOctet = (octet: number): string => octet.toString(16).padStart(2, "0")

/** What a record's data consist of. The last field of `repeated` ones comes once or more. */
export class RecordType {
  readonly name: string
  readonly code: number
  readonly fields: ReadonlyArray<Field<Value>>
  readonly repeated: boolean

  constructor(name: string, code: number, fields: ReadonlyArray<Field<Value>>, repeated: boolean) {
    this.name = name
    this.code = code
    this.fields = fields
    this.repeated = repeated
  }

  toString(): string {
    return this.name
  }
}

/** A field is given what it has read or parsed itself. */
const type = (name: string, code: number, fields: ReadonlyArray<unknown>, repeated = false): RecordType =>
  new RecordType(name, code, fields as ReadonlyArray<Field<Value>>, repeated)

const known: ReadonlyArray<RecordType> = [
  type("A", 1, [address(4)]),
  type("NS", 2, [name]),
  type("CNAME", 5, [name]),
  type("SOA", 6, [name, name, number(4), seconds, seconds, seconds, seconds]),
  type("PTR", 12, [name]),
  type("MX", 15, [number(2), name]),
  type("TXT", 16, [text], true),
  type("AAAA", 28, [address(6)])
]

/** Types that are asked for, but no record has. */
const asked: ReadonlyArray<RecordType> = [
  type("OPT", 41, [unknown]),
  type("IXFR", 251, [unknown]),
  type("AXFR", 252, [unknown]),
  type("ANY", 255, [unknown])
]

const byName = new Map([...known, ...asked].map((type) => [type.name, type]))
const byCode = new Map([...known, ...asked].map((type) => [type.code, type]))

export const ofCode = (code: number): RecordType => byCode.get(code) ?? type(`TYPE${code}`, code, [unknown])

/** By a name as it is typed. */
export const parse = (word: string): RecordType | undefined => {
  const name = word.toUpperCase()
  const code = /^TYPE(\d{1,5})$/.exec(name)?.[1]
  return byName.get(name) ?? (Number(code) <= 0xffff ? ofCode(Number(code)) : undefined)
}

/** Whether a zone may hold records of it. */
export const isKnown = (type: RecordType): boolean => known.includes(type)

export const readData = ({ fields, repeated }: RecordType, reader: Reader): ReadonlyArray<Value> => {
  const values = fields.map((field) => field.read(reader))
  while (repeated && reader.left > 0) values.push(fields.at(-1)!.read(reader))
  return values
}

export const writeData = ({ fields }: RecordType, values: ReadonlyArray<Value>, writer: Writer): void =>
  values.forEach((value, i) => (fields[i] ?? fields.at(-1)!).write(writer, value))

/** From the words of a zone file. Throws `Malformed`. */
export const parseData = (
  { fields, name, repeated }: RecordType,
  words: ReadonlyArray<string>,
  origin: Name.Name | undefined
): ReadonlyArray<Value> => {
  if (words.length < fields.length || (words.length > fields.length && !repeated)) {
    throw new Malformed({ reason: `${name} takes ${fields.length}${repeated ? " or more" : ""}, not ${words.length}` })
  }
  return words.map((word, i) => (fields[i] ?? fields.at(-1)!).parse(word, origin))
}

export const showData = ({ fields }: RecordType, values: ReadonlyArray<Value>): string =>
  values.map((value, i) => (fields[i] ?? fields.at(-1)!).show(value)).join(" ")
