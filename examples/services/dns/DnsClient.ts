/**
 * Asks a name server: by a datagram, sent again while there is no answer, and over a connection where the answer does
 * not fit into one. An answer is one only with the id and the question of its query, from the server that was asked.
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import { Framed, type SocketAddress, Udp } from "effect-netkit"
import * as Message from "./Message.ts"
import type * as Name from "./Name.ts"
import type { RecordType } from "./RecordType.ts"
import { headerLength } from "./Wire.ts"

/** The server has answered, but that it has nothing to say. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{
  readonly name: Name.Name
  readonly type: string
  /** `NXDOMAIN`, `REFUSED`, ...; `NOERROR` where the name has no records of this type. */
  readonly rcode: string
}> {
  override get message(): string {
    if (this.rcode === "NOERROR") return `${this.name}: no ${this.type} records`
    return this.rcode === "NXDOMAIN" ? `${this.name}: no such name (NXDOMAIN)` : `${this.name}: ${this.rcode}`
  }
}

/** What came cannot be read, or answers another query. */
export class BadResponse extends Data.TaggedError("BadResponse")<{ readonly reason: string }> {
  override get message(): string {
    return `not a DNS response: ${this.reason}`
  }
}

export interface QueryOptions {
  /** How long to wait for the answer; for both, where it comes over a connection at last. Default 5 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
}

const payloadSize = 1232

/** The records that answer, aliases on the way included. */
export const query = (
  server: SocketAddress.AddressInput,
  name: Name.Name,
  type: RecordType,
  { timeout = "5 seconds" }: QueryOptions = {}
) =>
  Effect.gen(function* () {
    const question = { name, type, class: Message.IN }
    const bytes = Message.encode(Message.make({
      id: randomId(),
      recursionDesired: true,
      questions: [question],
      edns: { version: 0, payloadSize, dnssecOk: false }
    }))
    const datagram = yield* overUdp(server, bytes, timeout)
    const { answers, rcode } = yield* read(isTruncated(datagram) ? yield* overTcp(server, bytes, timeout) : datagram)
    if (rcode === Message.Rcode.NOERROR && answers.length > 0) return answers
    return yield* new NoAnswer({ name, type: type.name, rcode: rcodeName(rcode) })
  })

const read = (bytes: Uint8Array): Either.Either<Message.Message, BadResponse> =>
  Either.mapLeft(Message.decode(bytes), ({ reason }) => new BadResponse({ reason }))

const overUdp = (server: SocketAddress.AddressInput, query: Uint8Array, timeout: Duration.DurationInput) =>
  Effect.gen(function* () {
    // A socket and thereby a port of its own for each query: one more thing that a forger has to guess.
    const socket = yield* Udp.connect(server)
    const { bytes } = yield* Udp.request(socket, query, {
      matches: ({ bytes }) => answers(query, bytes),
      schedule: Schedule.spaced("1 second"),
      timeout
    })
    return bytes
  }).pipe(Effect.scoped)

const overTcp = (server: SocketAddress.AddressInput, query: Uint8Array, timeout: Duration.DurationInput) =>
  Effect.gen(function* () {
    const { request } = yield* Framed.connect(server, Message.framing, {
      connectTimeout: timeout,
      readTimeout: timeout
    })
    const bytes = yield* request(query)
    if (!answers(query, bytes)) return yield* new BadResponse({ reason: "it answers another query" })
    if (isTruncated(bytes)) return yield* new BadResponse({ reason: "it is cut short over TCP too" })
    return bytes
  }).pipe(Effect.scoped)

/** No id that can be foretold (RFC 5452). */
const randomId = (): number => crypto.getRandomValues(new Uint16Array(1))[0]!

/** It is the answer to this query, or says that the query was not understood, for which it need not hold the question. */
const answers = (query: Uint8Array, bytes: Uint8Array): boolean => {
  if (bytes.length < headerLength || bytes[0] !== query[0] || bytes[1] !== query[1] || bytes[2]! < 0x80) return false
  if (bytes[4] === 0 && bytes[5] === 0) return (bytes[3]! & 15) !== 0
  const end = query.length - ednsLength
  for (let i = headerLength; i < end; i++) if (bytes[i] !== query[i]) return false
  return bytes[4] === 0 && bytes[5] === 1
}

/** The OPT record at the end of a query. */
const ednsLength = 11

const isTruncated = (bytes: Uint8Array): boolean => (bytes[2]! & 2) !== 0

const rcodeName = (rcode: number): string =>
  Object.entries(Message.Rcode).find(([, code]) => code === rcode)?.[0] ?? `RCODE${rcode}`
