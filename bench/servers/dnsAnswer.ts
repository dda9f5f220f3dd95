/**
 * A name server by hand for the bare runtimes: one question of the Internet's class (RFC 1035, 4), looked up in a table of addresses. What
 * is no such query is FORMERR, another name NXDOMAIN; no wildcards, aliases, delegations or EDNS.
 */
type Addresses = ReadonlyArray<readonly [ttl: number, address: Buffer]>

const addresses: ReadonlyMap<string, Addresses> = new Map<string, Addresses>([
  ["mail.example.test", [[300, Buffer.from([192, 0, 2, 25])]]],
  ["ns1.example.test", [[3600, Buffer.from([192, 0, 2, 53])]]],
  ["web.example.test", [[3600, Buffer.from([192, 0, 2, 80])], [3600, Buffer.from([192, 0, 2, 81])]]]
])

const headerSize = 12

/** Where the question's name ends, and the name in small letters; undefined if it does not end well. */
const readName = (query: Uint8Array): readonly [name: string, end: number] | undefined => {
  let name = ""
  let at = headerSize
  for (let length = query[at++]; length !== 0; length = query[at++]) {
    if (length === undefined || length > 63 || at + length >= query.length) return undefined
    if (name !== "") name += "."
    for (const end = at + length; at < end; at++) {
      const byte = query[at]!
      name += String.fromCharCode(byte >= 65 && byte <= 90 ? byte + 32 : byte)
    }
  }
  return [name, at]
}

const respond = (query: Uint8Array, questionEnd: number, rcode: number, records: Addresses = []): Buffer => {
  const count = records.length
  const reply = Buffer.alloc(questionEnd + 16 * count)
  reply.set(query.subarray(0, questionEnd))
  reply[2] = 0x84 | (query[2]! & 0x79)
  reply[3] = rcode
  reply.writeUInt16BE(questionEnd > headerSize ? 1 : 0, 4)
  reply.writeUInt16BE(count, 6)
  reply.writeUInt32BE(0, 8)
  let at = questionEnd
  for (const [ttl, address] of records) {
    // The name is that of the question, at offset 12.
    at = reply.writeUInt32BE(0xc00c0001, at)
    at = reply.writeUInt16BE(1, at)
    at = reply.writeUInt32BE(ttl, at)
    at = reply.writeUInt16BE(4, at)
    reply.set(address, at)
    at += 4
  }
  return reply
}

/** Undefined for what must not be answered: an answer, or less than a header. */
export const answer = (query: Uint8Array): Buffer | undefined => {
  if (query.length < headerSize || (query[2]! & 0x80) !== 0) return undefined
  if (query[4] !== 0 || query[5] !== 1) return respond(query, headerSize, 1)
  const read = readName(query)
  if (read === undefined || read[1] + 4 > query.length) return respond(query, headerSize, 1)
  const [name, end] = read
  const isAddress = query[end] === 0 && query[end + 1] === 1 && query[end + 2] === 0 && query[end + 3] === 1
  const records = addresses.get(name)
  return respond(query, end + 4, records === undefined ? 3 : 0, isAddress ? records : undefined)
}
