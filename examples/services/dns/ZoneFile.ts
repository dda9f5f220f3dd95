/**
 * Zone files (RFC 1035, 5) as far as small ones go: `$ORIGIN` and `$TTL` (RFC 2308), `@`, names relative to the origin, a
 * blank for the owner before, quoted strings, comments, and parentheses around what takes several lines. What is wrong
 * is told with its line.
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import { attempt, Malformed } from "./Malformed.ts"
import { IN, type ResourceRecord } from "./Message.ts"
import * as Name from "./Name.ts"
import * as RecordType from "./RecordType.ts"
import { Zone } from "./Zone.ts"

export class ZoneFileError extends Data.TaggedError("ZoneFileError")<{
  readonly file: string
  readonly line: number
  readonly reason: string
}> {
  override get message(): string {
    return `${this.file}:${this.line}: ${this.reason}`
  }
}

/** Reads the text of a zone file; `file` is what errors call it. */
export const parse = (text: string, file = "zone"): Either.Either<Zone, ZoneFileError> => {
  const reader = new ZoneReader()
  return Either.mapLeft(
    attempt(() => reader.zone(text)),
    ({ reason }) => new ZoneFileError({ file, line: reader.line, reason })
  )
}

/** The words of a line, or of the lines between parentheses. */
interface Entry {
  readonly line: number
  /** It begins with a blank, which stands for the owner before. */
  readonly indented: boolean
  readonly words: ReadonlyArray<string>
}

/** Strings in quotes, words, parentheses, comments, line ends; a `\` takes the next character's meaning away. */
const token = /"((?:[^"\\\n]|\\.)*)"|((?:[^\s"();\\]|\\.)+)|([()])|;[^\n]*|(\n)|[^\S\n]+|([^])/g

/** Entries lean on those before them: on their origin, their owner, and their TTL. */
class ZoneReader {
  /** Of the entry that is being read. */
  line = 1
  private origin: Name.Name | undefined
  private owner: Name.Name | undefined
  private defaultTtl: number | undefined
  private lastTtl: number | undefined

  zone(text: string): Zone {
    const all = [...this.records(text)]
    const soa = all.find(({ record }) => record.type.name === "SOA")
    if (soa === undefined) throw new Malformed({ reason: "the zone has no SOA record" })
    this.line = soa.line
    const zone = new Zone(soa.record)
    for (const { line, record } of all) {
      this.line = line
      if (record !== soa.record) zone.add(record)
    }
    return zone
  }

  private *records(text: string) {
    for (const entry of this.entries(text)) {
      const record = this.entry(entry)
      if (record !== undefined) yield { line: entry.line, record }
    }
  }

  private *entries(text: string): Generator<Entry> {
    let line = 1
    let depth = 0
    let entry = { line, indented: false, words: [] as Array<string> }
    let start = true
    for (const [whole, quoted, plain, parenthesis, end, wrong] of `${text}\n`.matchAll(token)) {
      this.line = line
      if (wrong !== undefined) {
        throw new Malformed({ reason: wrong === '"' ? "a quote without its end" : `a ${wrong} at the end` })
      }
      if (start) entry = { line, indented: /^\s/.test(whole), words: [] }
      const word = quoted ?? plain
      if (word !== undefined) entry.words.push(word)
      if (parenthesis !== undefined) depth += parenthesis === "(" ? 1 : -1
      if (depth < 0) throw new Malformed({ reason: "a ) without its (" })
      if (end !== undefined) line++
      start = end !== undefined && depth === 0
      if (!start || entry.words.length === 0) continue
      this.line = entry.line
      yield entry
    }
    this.line = entry.line
    if (depth > 0) throw new Malformed({ reason: "a ( without its )" })
  }

  private entry({ indented, words }: Entry): ResourceRecord | undefined {
    const [first, ...rest] = words as [string, ...Array<string>]
    if (!indented && first.startsWith("$")) return this.directive(first, rest)
    if (!indented) this.owner = Name.parse(first, this.origin)
    if (this.owner === undefined) throw new Malformed({ reason: "the first record has no owner" })
    return this.record(this.owner, indented ? words : rest)
  }

  private directive(name: string, [argument, ...more]: ReadonlyArray<string>): undefined {
    if (argument === undefined || more.length > 0) throw new Malformed({ reason: `${name} takes one word` })
    if (name.toUpperCase() === "$ORIGIN") this.origin = Name.parse(argument, this.origin)
    else if (name.toUpperCase() === "$TTL") this.defaultTtl = RecordType.parseSeconds(argument)
    else throw new Malformed({ reason: `${name} is not known here` })
  }

  /** A TTL and a class, in any order, then the type and the data. */
  private record(name: Name.Name, words: ReadonlyArray<string>): ResourceRecord {
    let at = 0
    let ttl: number | undefined
    for (; at < words.length; at++) {
      const word = words[at]!
      if (/^\d/.test(word) && ttl === undefined) ttl = RecordType.parseSeconds(word)
      else if (/^(CH|HS|CS)$/i.test(word)) throw new Malformed({ reason: `class ${word}: only IN is known here` })
      else if (!/^IN$/i.test(word)) break
    }
    const word = words[at]
    if (word === undefined) throw new Malformed({ reason: "a record without a type" })
    const type = RecordType.parse(word)
    if (type === undefined || !RecordType.isKnown(type)) throw new Malformed({ reason: `no type of records: ${word}` })
    this.lastTtl = ttl ?? this.defaultTtl ?? this.lastTtl
    if (this.lastTtl === undefined) throw new Malformed({ reason: "a record without a TTL, and no $TTL before it" })
    const data = RecordType.parseData(type, words.slice(at + 1), this.origin)
    return { name, type, class: IN, ttl: this.lastTtl, data }
  }
}
