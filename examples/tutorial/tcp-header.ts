/**
 * The fields of a TCP header (T2; RFC 9293, section 3.1), decoded from its bytes and printed as a table.
 * A server's answer to a SYN:  npm run -s example -- tcp-header
 * One's own bytes:             npm run -s example -- tcp-header --hex "d4311e6c 89abcdf0 12345679 5010ffff feea0000"
 */
import * as Console from "effect/Console"
import * as Either from "effect/Either"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { table } from "../lib/Table.ts"

const synAck = "1e6cd431 12345678 89abcdf0 6012ffff e72d0000 020405b4"

const leastLength = 20

/** In the header it stands in words of four bytes. */
const headerLength = (header: DataView): number => (header.getUint8(12) >> 4) * 4

const parse: Flags.Parser<DataView> = (text) => {
  const digits = text.replace(/[\s:]/g, "")
  if (/^([\da-f]{2}){20,}$/i.test(digits)) {
    const bytes = Uint8Array.from(digits.match(/../g)!, (byte) => parseInt(byte, 16))
    const header = new DataView(bytes.buffer)
    const length = headerLength(header)
    if (length >= leastLength && length <= bytes.length) return Either.right(header)
  }
  return Either.left("a whole TCP header in hexadecimal digits")
}

const flags = { hex: Flags.optional("digits", "the bytes of a header; more may follow it", parse) }

/** From the highest bit down. */
const controlBits = [
  ["CWR", "the sender has slowed down"],
  ["ECE", "there was congestion on the way"],
  ["URG", "the urgent pointer counts"],
  ["ACK", "the acknowledgement number counts"],
  ["PSH", "hand the data over, more may not come soon"],
  ["RST", "the connection is cut off"],
  ["SYN", "a connection opens: the sequence number is its first"],
  ["FIN", "the sender has no more to send"]
] as const

const fields = (header: DataView): ReadonlyArray<ReadonlyArray<string>> => {
  const word = (at: number) => String(header.getUint16(at))
  const double = (at: number) => String(header.getUint32(at))
  const length = headerLength(header)
  return [
    ["field", "bits", "value", "meaning"],
    ["source port", "16", word(0), "who sends"],
    ["destination port", "16", word(2), "for whom it is"],
    ["sequence number", "32", double(4), "the number of the first byte of data"],
    ["acknowledgement number", "32", double(8), "the number of the next byte expected"],
    ["header length", "4", `${length} bytes`, `${length - leastLength} bytes of options among them`],
    ...controlBits.map(([name, meaning], i) => [name, "1", String(header.getUint8(13) >> (7 - i) & 1), meaning]),
    ["window", "16", word(14), "how many more bytes the sender of this can take"],
    ["checksum", "16", `0x${header.getUint16(16).toString(16).padStart(4, "0")}`, "over addresses, header and data"],
    ["urgent pointer", "16", word(18), "where urgent data ends, if URG is set"]
  ]
}

run(import.meta.url, flags, ({ hex = Either.getOrThrow(parse(synAck)) }) => Console.log(table(fields(hex))))
