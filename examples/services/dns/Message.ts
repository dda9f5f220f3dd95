/**
 * DNS messages (RFC 1035, 4) with the extension that every resolver sends today (EDNS, RFC 6891): as values, out of
 * bytes and into bytes. No library for it: npm's `dns-packet` neither compresses names nor tells a dot in a label from
 * the one after it.
 */
import type * as Either from "effect/Either"
import { Framing } from "effect-netkit"
import { attempt, Malformed } from "./Malformed.ts"
import type * as Name from "./Name.ts"
import * as RecordType from "./RecordType.ts"
import { Reader, Writer } from "./Wire.ts"

/** Classes: the Internet, the only one in use. */
export const IN = 1

/** Response codes. Those above 15 need EDNS. */
export const Rcode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const

export interface Question {
  readonly name: Name.Name
  readonly type: RecordType.RecordType
  readonly class: number
}

export interface ResourceRecord extends Question {
  /** Seconds. */
  readonly ttl: number
  readonly data: ReadonlyArray<RecordType.Value>
}

export interface Edns {
  readonly version: number
  /** The largest datagram that the sender takes. */
  readonly payloadSize: number
  /** The sender would like signatures. */
  readonly dnssecOk: boolean
}

export interface Message {
  readonly id: number
  readonly response: boolean
  readonly opcode: number
  readonly authoritative: boolean
  /** Cut short to fit into a datagram. */
  readonly truncated: boolean
  readonly recursionDesired: boolean
  readonly recursionAvailable: boolean
  readonly rcode: number
  readonly questions: ReadonlyArray<Question>
  readonly answers: ReadonlyArray<ResourceRecord>
  readonly authority: ReadonlyArray<ResourceRecord>
  /** Without the OPT record, which is `edns`. */
  readonly additional: ReadonlyArray<ResourceRecord>
  readonly edns: Edns | undefined
}

/** Where the bits are in the second 16 of the header. */
const flags = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080
} as const

/** A query or a response to it, all else as it mostly is. */
export const make = (message: Partial<Message>): Message => ({
  id: 0,
  response: false,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: false,
  recursionAvailable: false,
  rcode: Rcode.NOERROR,
  questions: [],
  answers: [],
  authority: [],
  additional: [],
  edns: undefined,
  ...message
})

/** A message on a connection, after its length (RFC 1035, 4.2.2). */
export const framing = Framing.lengthPrefixed({ lengthFieldLength: 2 })

// --- reading ---

export const decode = (bytes: Uint8Array): Either.Either<Message, Malformed> => attempt(() => read(new Reader(bytes)))

const read = (reader: Reader): Message => {
  const id = reader.u16()
  const bits = reader.u16()
  const counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()] as const
  const questions = times(counts[0], () => readQuestion(reader))
  const answers = times(counts[1], () => readRecord(reader))
  const authority = times(counts[2], () => readRecord(reader))
  const last = times(counts[3], () => readRecord(reader))
  if (reader.left > 0) throw new Malformed({ reason: "octets that belong to nothing" })
  const [opt, ...more] = last.filter(isOpt)
  if (more.length > 0 || answers.some(isOpt) || authority.some(isOpt) || (opt !== undefined && opt.name !== ".")) {
    throw new Malformed({ reason: "an OPT record where none may be" })
  }
  return {
    id,
    response: (bits & flags.response) !== 0,
    opcode: bits >>> 11 & 15,
    authoritative: (bits & flags.authoritative) !== 0,
    truncated: (bits & flags.truncated) !== 0,
    recursionDesired: (bits & flags.recursionDesired) !== 0,
    recursionAvailable: (bits & flags.recursionAvailable) !== 0,
    rcode: (bits & 15) + (opt === undefined ? 0 : (opt.ttl >>> 24) << 4),
    questions,
    answers,
    authority,
    additional: opt === undefined ? last : last.filter((record) => !isOpt(record)),
    edns: opt === undefined ? undefined : {
      version: opt.ttl >>> 16 & 0xff,
      payloadSize: opt.class,
      dnssecOk: (opt.ttl & 0x8000) !== 0
    }
  }
}

/** One by one: a count is no reason to set aside room for so many. */
const times = <A>(count: number, read: () => A): ReadonlyArray<A> => {
  const all: Array<A> = []
  while (all.length < count) all.push(read())
  return all
}

const isOpt = ({ type }: ResourceRecord): boolean => type === OPT

const OPT = RecordType.ofCode(41)

const readQuestion = (reader: Reader): Question => ({
  name: reader.name(),
  type: RecordType.ofCode(reader.u16()),
  class: reader.u16()
})

const readRecord = (reader: Reader): ResourceRecord => {
  const { class: klass, name, type } = readQuestion(reader)
  const ttl = reader.u32()
  const length = reader.u16()
  return { name, type, class: klass, ttl, data: reader.part(length, (reader) => RecordType.readData(type, reader)) }
}

// --- writing ---

/** Throws `Malformed` where a record has more data than fit into one. */
export const encode = (message: Message): Uint8Array => {
  const { additional, answers, authority, edns, questions } = message
  const writer = new Writer()
  writer.u16(message.id)
  writer.u16(bitsOf(message))
  writer.u16(questions.length)
  writer.u16(answers.length)
  writer.u16(authority.length)
  writer.u16(additional.length + (edns === undefined ? 0 : 1))
  for (const question of questions) writeQuestion(writer, question)
  for (const records of [answers, authority, additional]) for (const record of records) writeRecord(writer, record)
  if (edns !== undefined) writeRecord(writer, optOf(edns, message.rcode))
  return writer.written
}

const bitsOf = (message: Message): number => {
  let bits = message.opcode << 11 | message.rcode & 15
  for (const [name, bit] of flagBits) if (message[name]) bits |= bit
  return bits
}

const flagBits = Object.entries(flags) as ReadonlyArray<[keyof typeof flags, number]>

const writeQuestion = (writer: Writer, question: Question): void => {
  writer.name(question.name)
  writer.u16(question.type.code)
  writer.u16(question.class)
}

const writeRecord = (writer: Writer, record: ResourceRecord): void => {
  writeQuestion(writer, record)
  writer.u32(record.ttl)
  writer.part(() => RecordType.writeData(record.type, record.data, writer))
}

/** The fields of OPT are those of a record put to other uses. */
const optOf = ({ dnssecOk, payloadSize, version }: Edns, rcode: number): ResourceRecord => ({
  name: ".",
  type: OPT,
  class: payloadSize,
  ttl: ((rcode >>> 4) << 24 | version << 16 | (dnssecOk ? 0x8000 : 0)) >>> 0,
  data: []
})
