/**
 * The records of one zone, and what they say about a name (RFC 1034, 4.3.2): an answer, with aliases followed inside
 * the zone; that there is no such name, or nothing of that type (RFC 2308); or who knows more. Wildcards are RFC 4592's.
 */
import { Malformed } from "./Malformed.ts"
import { encode, make, Rcode, type ResourceRecord } from "./Message.ts"
import * as Name from "./Name.ts"
import { type RecordType, showData } from "./RecordType.ts"

/** What goes into a response. */
export interface Answer {
  readonly rcode: number
  /** It is the zone's own, no referral to another's. */
  readonly authoritative: boolean
  readonly answers: ReadonlyArray<ResourceRecord>
  readonly authority: ReadonlyArray<ResourceRecord>
  readonly additional: ReadonlyArray<ResourceRecord>
}

/** The records of a name, by the names of their types. There are none where only a name below it has some. */
type Node = Map<string, ReadonlyArray<ResourceRecord>>

export class Zone {
  /** The name of the zone. */
  readonly apex: Name.Name
  /** By their names in lower case. */
  private readonly nodes = new Map<string, Node>()
  /** The SOA record as it comes with negative answers, which it says how long to keep (RFC 2308, 3). */
  private readonly negative: ResourceRecord

  constructor(soa: ResourceRecord) {
    this.apex = soa.name
    this.negative = { ...soa, ttl: Math.min(soa.ttl, soa.data.at(-1) as number) }
    this.add(soa)
  }

  /** Throws `Malformed` for a record that may not be here. */
  add(record: ResourceRecord): void {
    // What is too much for one record is to be found now, not by who asks for it.
    encode(make({ answers: [record] }))
    const path = this.path(record.name)
    if (path === undefined) throw new Malformed({ reason: `${record.name} is not in the zone ${this.apex}` })
    for (const name of path) if (!this.nodes.has(name)) this.nodes.set(name, new Map())
    const node = this.nodes.get(path[0]!)!
    const same = node.get(record.type.name) ?? []
    const data = showData(record.type, record.data)
    if (same.some((other) => showData(other.type, other.data) === data)) {
      throw new Malformed({ reason: `the same record twice: ${record.name} ${record.type} ${data}` })
    }
    const single = record.type.name === "CNAME" || record.type.name === "SOA"
    if (single && same.length > 0) throw new Malformed({ reason: `a second ${record.type.name} for ${record.name}` })
    if (record.type.name === "CNAME" ? node.size > 0 : node.has("CNAME")) {
      throw new Malformed({ reason: `a CNAME beside other records of ${record.name}` })
    }
    node.set(record.type.name, [...same, record])
  }

  /** Whether the name is one of the zone's, by itself and not by a wildcard. */
  has(name: Name.Name): boolean {
    return this.nodes.has(name.toLowerCase())
  }

  /** Undefined for a name that is not in the zone. */
  lookup(question: Name.Name, type: RecordType): Answer | undefined {
    const answers: Array<ResourceRecord> = []
    const aliases = new Set<string>()
    let name = question
    while (true) {
      const path = this.path(name)
      if (path === undefined) return answers.length === 0 ? undefined : this.answer(answers)
      const servers = this.delegation(path)
      if (servers !== undefined) return this.answer(answers, servers, answers.length > 0)
      const node = this.nodes.get(path[0]!) ?? this.wildcard(path)
      const found = type.name === "ANY" ? first(node) : node?.get(type.name)
      if (found !== undefined) return this.answer([...answers, ...found.map((record) => ({ ...record, name }))])
      const alias = node?.get("CNAME")?.[0]
      if (alias === undefined) return this.nothing(answers, node === undefined ? Rcode.NXDOMAIN : Rcode.NOERROR)
      answers.push({ ...alias, name })
      aliases.add(path[0]!)
      name = alias.data[0] as Name.Name
      // Aliases that go round in circles are all that there is to say.
      if (aliases.has(name.toLowerCase())) return this.answer(answers)
    }
  }

  private answer(
    answers: ReadonlyArray<ResourceRecord>,
    authority: ReadonlyArray<ResourceRecord> = [],
    authoritative = true
  ): Answer {
    const additional = [...answers, ...authority].flatMap((record) => this.addresses(record))
    return { rcode: Rcode.NOERROR, authoritative, answers, authority, additional }
  }

  private nothing(answers: ReadonlyArray<ResourceRecord>, rcode: number): Answer {
    return { rcode, authoritative: true, answers, authority: [this.negative], additional: [] }
  }

  /** Of the name that a record leads to, so that nobody has to ask for them. */
  private addresses({ data, type }: ResourceRecord): ReadonlyArray<ResourceRecord> {
    if (type.name !== "NS" && type.name !== "MX") return []
    const node = this.nodes.get((data.at(-1) as Name.Name).toLowerCase())
    return [...node?.get("A") ?? [], ...node?.get("AAAA") ?? []]
  }

  /** The name and those above it up to the apex, in lower case. */
  private path(name: Name.Name): ReadonlyArray<string> | undefined {
    const path: Array<string> = []
    const apex = this.apex.toLowerCase()
    for (const above of Name.upwards(name.toLowerCase())) {
      path.push(above)
      if (above === apex) return path
    }
    return undefined
  }

  /** The name servers of the part of the zone that has been given away and has the name in it. */
  private delegation(path: ReadonlyArray<string>): ReadonlyArray<ResourceRecord> | undefined {
    const cut = path.slice(0, -1).reverse().find((name) => this.nodes.get(name)?.has("NS"))
    return cut === undefined ? undefined : this.nodes.get(cut)!.get("NS")
  }

  /** `*` below the nearest name that there is. */
  private wildcard(path: ReadonlyArray<string>): Node | undefined {
    const encloser = path.find((name) => this.nodes.has(name))!
    return this.nodes.get(encloser === Name.root ? "*." : `*.${encloser}`)
  }
}

/** Who asks for all gets some (RFC 8482): an answer to everybody's address is not to be a large one. */
const first = (node: Node | undefined): ReadonlyArray<ResourceRecord> | undefined => node?.values().next().value
