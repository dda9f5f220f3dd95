/**
 * From the bytes of a query to those of its response: one plain function, which no query makes throw. What cannot be
 * read is answered FORMERR; what is a response itself, or has no whole header, is not answered at all.
 */
import * as Either from "effect/Either"
import * as Message from "./Message.ts"
import type { Message as Query, Question } from "./Message.ts"
import * as RecordType from "./RecordType.ts"
import { headerLength } from "./Wire.ts"
import type { Zone } from "./Zone.ts"

const { BADVERS, FORMERR, NOTIMP, REFUSED } = Message.Rcode

/** How queries come: a datagram has little room for the response (RFC 1035, 4.2). */
export type Transport = "udp" | "tcp"

/** The response to a query, or nothing. */
export type Respond = (query: Uint8Array, transport: Transport) => Uint8Array | undefined

/** What a datagram carries without EDNS, and what passes every network in one piece (DNS flag day 2020). */
const minPayload = 512
const maxPayload = 1232
const maxStream = 0xffff

/** The OPT record of responses: root, type, payload size, extended code and version, flags, no data (RFC 6891, 6.1.2). */
const opt = Uint8Array.of(0, 0, 41, maxPayload >>> 8, maxPayload & 0xff, 0, 0, 0, 0, 0, 0)

/** Answers from one zone. */
export const make = (zone: Zone): Respond => {
  /** Responses by type and name. There are as many as the zone has names: what else is asked for is not kept. */
  const kept = new Map<string, Uint8Array>()

  const whole = (question: Question, limit: number): Uint8Array => {
    const { name, type } = question
    const key = `${type.name} ${name.toLowerCase()}`
    const known = kept.get(key)
    if (known !== undefined && known.length <= limit) return known
    const found = zone.lookup(name, type)
    if (found === undefined) return encode(question, { rcode: REFUSED })
    const bytes = known ?? encode(question, found)
    if (zone.has(name) && (RecordType.isKnown(type) || type.name === "ANY")) kept.set(key, bytes)
    if (bytes.length <= limit) return bytes
    // Addresses may be left out of an answer without a word; of a referral they are the point (RFC 9471).
    const less = encode(question, { ...found, additional: [] })
    return found.authoritative && less.length <= limit
      ? less
      : encode(question, { rcode: found.rcode, authoritative: found.authoritative, truncated: true })
  }

  const answer = (query: Query, question: Question, room: number): Uint8Array => {
    if (query.edns !== undefined && query.edns.version !== 0) return encode(question, { rcode: BADVERS })
    if (question.class !== Message.IN || isTransfer(question)) return encode(question, { rcode: REFUSED })
    return whole(question, room)
  }

  return (bytes, transport) => {
    if (bytes.length < headerLength || isResponse(bytes)) return undefined
    if (opcode(bytes) !== 0) return header(bytes, NOTIMP)
    const query = Either.getOrUndefined(Message.decode(bytes))
    const question = query?.questions[0]
    if (query === undefined || question === undefined || query.questions.length > 1 || isOpt(question)) {
      return header(bytes, FORMERR)
    }
    return finish(bytes, query, answer(query, question, room(query, transport)))
  }
}

const isResponse = (bytes: Uint8Array): boolean => (bytes[2]! & 0x80) !== 0
const opcode = (bytes: Uint8Array): number => bytes[2]! >>> 3 & 15
const isOpt = ({ type }: Question): boolean => type.name === "OPT"
const isTransfer = ({ type }: Question): boolean => type.name === "AXFR" || type.name === "IXFR"

/** How long the response may be, less what is added to it at the end. */
const room = ({ edns }: Query, transport: Transport): number => {
  if (edns === undefined) return transport === "tcp" ? maxStream : minPayload
  const most = transport === "tcp" ? maxStream : Math.max(minPayload, Math.min(edns.payloadSize, maxPayload))
  return most - opt.length
}

const encode = (question: Question, response: Partial<Query>): Uint8Array =>
  Message.encode(Message.make({ ...response, response: true, questions: [question] }))

/** All that can be said of a query that was not understood. */
const header = (query: Uint8Array, rcode: number): Uint8Array => {
  const bytes = new Uint8Array(headerLength)
  bytes[0] = query[0]!
  bytes[1] = query[1]!
  bytes[2] = 0x80 | query[2]! & 0x79
  bytes[3] = rcode
  return bytes
}

/** The response to this query: with its id, its bit for recursion, its spelling of the name, and its kind of EDNS. */
const finish = (query: Uint8Array, { edns }: Query, response: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(response.length + (edns === undefined ? 0 : opt.length))
  bytes.set(response)
  bytes.set(query.subarray(headerLength, questionEnd(query)), headerLength)
  bytes[0] = query[0]!
  bytes[1] = query[1]!
  bytes[2]! |= query[2]! & 1
  if (edns !== undefined) addOpt(bytes, response.length, edns.dnssecOk, edns.version === 0 ? 0 : BADVERS)
  return bytes
}

const addOpt = (bytes: Uint8Array, at: number, dnssecOk: boolean, rcode: number): void => {
  bytes.set(opt, at)
  bytes[at + 5] = rcode >>> 4
  bytes[at + 7] = dnssecOk ? 0x80 : 0
  const count = (bytes[10]! << 8 | bytes[11]!) + 1
  bytes[10] = count >>> 8
  bytes[11] = count
}

/** Nothing comes before the first question that its name could point to. */
const questionEnd = (bytes: Uint8Array): number => {
  let at = headerLength
  while (bytes[at] !== 0) at += bytes[at]! + 1
  return at + 5
}
