/**
 * What a zone answers, and what comes of queries that are none.
 */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import * as Message from "../../examples/services/dns/Message.ts"
import * as Responder from "../../examples/services/dns/Responder.ts"
import * as ZoneFile from "../../examples/services/dns/ZoneFile.ts"
import { bytes, concat } from "../support/frames.ts"
import { ask, damaged, show, typed, zone } from "./dns.ts"

const { BADVERS, FORMERR, NOERROR, NOTIMP, NXDOMAIN, REFUSED } = Message.Rcode

const respond = Responder.make(zone)

const edns = { version: 0, payloadSize: 4096, dnssecOk: false }

const answerTo = (query: Uint8Array, transport: Responder.Transport = "udp"): Message.Message =>
  Either.getOrThrow(Message.decode(respond(query, transport)!))

describe("a zone", () => {
  const soa = "example.test. 300 SOA ns1.example.test. hostmaster.example.test. 2026010101 7200 900 1209600 300"

  it.each<[string, string, number, ReadonlyArray<string>, ReadonlyArray<string>, ReadonlyArray<string>]>([
    [
      "web.example.test.",
      "A",
      NOERROR,
      ["web.example.test. 3600 A 192.0.2.80", "web.example.test. 3600 A 192.0.2.81"],
      [],
      []
    ],
    ["mail.example.test.", "A", NOERROR, ["mail.example.test. 300 A 192.0.2.25"], [], []],
    ["web.example.test.", "MX", NOERROR, [], [soa], []],
    ["nobody.example.test.", "A", NXDOMAIN, [], [soa], []],
    ["a.b.c.example.test.", "A", NXDOMAIN, [], [soa], []],
    ["deep.example.test.", "A", NOERROR, [], [soa], []],
    ["b.deep.example.test.", "A", NXDOMAIN, [], [soa], []],
    [
      "www.example.test.",
      "AAAA",
      NOERROR,
      [
        "www.example.test. 3600 CNAME web.example.test.",
        "web.example.test. 3600 AAAA 2001:db8::80"
      ],
      [],
      []
    ],
    ["www.example.test.", "CNAME", NOERROR, ["www.example.test. 3600 CNAME web.example.test."], [], []],
    ["www.example.test.", "TXT", NOERROR, ["www.example.test. 3600 CNAME web.example.test."], [soa], []],
    ["dangling.example.test.", "A", NXDOMAIN, ["dangling.example.test. 3600 CNAME nobody.example.test."], [soa], []],
    ["elsewhere.example.test.", "A", NOERROR, ["elsewhere.example.test. 3600 CNAME www.elsewhere.test."], [], []],
    [
      "loop.example.test.",
      "A",
      NOERROR,
      [
        "loop.example.test. 3600 CNAME pool.example.test.",
        "pool.example.test. 3600 CNAME loop.example.test."
      ],
      [],
      []
    ],
    ["x.y.wild.example.test.", "A", NOERROR, ["x.y.wild.example.test. 3600 A 192.0.2.42"], [], []],
    ["x.wild.example.test.", "TXT", NOERROR, [], [soa], []],
    ["wild.example.test.", "A", NOERROR, [], [soa], []],
    [
      "example.test.",
      "MX",
      NOERROR,
      ["example.test. 3600 MX 10 mail.example.test.", "example.test. 3600 MX 20 mail.elsewhere.test."],
      [],
      [
        "mail.example.test. 300 A 192.0.2.25",
        "mail.example.test. 3600 AAAA 2001:db8::25"
      ]
    ],
    [
      "web.example.test.",
      "ANY",
      NOERROR,
      ["web.example.test. 3600 A 192.0.2.80", "web.example.test. 3600 A 192.0.2.81"],
      [],
      []
    ],
    ["www.example.test.", "ANY", NOERROR, ["www.example.test. 3600 CNAME web.example.test."], [], []],
    ["web.example.test.", "TYPE65", NOERROR, [], [soa], []],
    ["example.org.", "A", REFUSED, [], [], []],
    ["test.", "A", REFUSED, [], [], []],
    [".", "NS", REFUSED, [], [], []],
    ["example.test.", "AXFR", REFUSED, [], [], []]
  ])("%s %s", (name, type, rcode, answers, authority, additional) => {
    // The second time it may be remembered.
    for (const query of [ask(name, type), ask(name, type, { edns })]) {
      const found = answerTo(query)
      expect([found.rcode, found.answers.map(show), found.authority.map(show), found.additional.map(show)])
        .toEqual([rcode, answers, authority, additional])
      expect(found.authoritative).toBe(rcode !== REFUSED)
    }
  })

  it("sends on to who knows more", () => {
    for (const name of ["child.example.test.", "a.b.child.example.test.", "ns.child.example.test."]) {
      const found = answerTo(ask(name, "A"))
      expect(found).toMatchObject({ rcode: NOERROR, authoritative: false, answers: [] })
      expect(found.authority.map(show)).toEqual(["child.example.test. 3600 NS ns.child.example.test."])
      expect(found.additional.map(show)).toEqual(["ns.child.example.test. 3600 A 192.0.2.200"])
    }
  })

  it("may be the root", () => {
    const zone = Either.getOrThrow(ZoneFile.parse(". 5 SOA . . 1 2 3 4 5\n*. 5 A 1.2.3.4\na. 5 NS b.a.\n"))
    expect(zone.lookup("x.y.", typed("A"))!.answers.map(show)).toEqual(["x.y. 5 A 1.2.3.4"])
    expect(zone.lookup("x.a.", typed("A"))!.authoritative).toBe(false)
    expect(zone.lookup(".", typed("A"))!.rcode).toBe(NOERROR)
  })
})

describe("responses", () => {
  it("have the question as it was asked, whatever was asked before", () => {
    for (const name of ["web.example.test.", "WEB.example.TEST.", "wEb.ExAmPlE.tEsT."]) {
      for (const recursionDesired of [false, true]) {
        const query = ask(name, "A", { recursionDesired })
        const found = answerTo(query)
        expect(found).toMatchObject({
          id: 7,
          response: true,
          recursionDesired,
          recursionAvailable: false,
          edns: undefined
        })
        expect(found.questions[0]!.name).toBe(name)
        expect(found.answers.map((record) => record.name)).toEqual([name, name])
      }
    }
  })

  it.each<[number, number | undefined, number]>([
    [512, undefined, 512],
    [512, 0, 512],
    [512, 511, 512],
    [1000, 1000, 1000],
    [1232, 1232, 1232],
    [1232, 65535, 1232]
  ])("have at most %i octets in a datagram for who takes %s", (_, payloadSize, most) => {
    const query = (name: string, type: string) =>
      ask(name, type, payloadSize === undefined ? {} : { edns: { ...edns, payloadSize } })
    const texts = (count: number) =>
      Array.from({ length: count }, (_, i) => `t${count} TXT "${String(i).padEnd(99)}"\n`).join("")
    const counts = Array.from({ length: 15 }, (_, i) => i + 1)
    const large = Responder.make(Either.getOrThrow(
      ZoneFile.parse(`$ORIGIN t.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n${counts.map(texts).join("")}`)
    ))
    for (const count of counts) {
      const [udp, tcp] = (["udp", "tcp"] as const).map((transport) => large(query(`t${count}.t.`, "TXT"), transport)!)
      const found = Either.getOrThrow(Message.decode(udp!))
      expect(Either.getOrThrow(Message.decode(tcp!)).answers).toHaveLength(count)
      expect(found).toMatchObject({ truncated: tcp!.length > most, authoritative: true })
      expect(found.answers).toHaveLength(tcp!.length > most ? 0 : count)
      expect(found.edns?.payloadSize).toBe(payloadSize === undefined ? undefined : 1232)
    }
  })

  it("leave out the addresses that nobody has asked for before the answer", () => {
    const hosts = Array.from({ length: 25 }, (_, i) => `@ MX ${i} h${i}\nh${i} A 1.2.3.4\n`).join("")
    const glue = Array.from({ length: 25 }, (_, i) => `sub NS h${i}\n`).join("")
    const respond = Responder.make(
      Either.getOrThrow(ZoneFile.parse(`$ORIGIN t.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n${hosts}${glue}`))
    )
    const over = (transport: Responder.Transport, name: string) =>
      Either.getOrThrow(Message.decode(respond(ask(name, "MX"), transport)!))
    expect(over("udp", "t.")).toMatchObject({ truncated: false, additional: [] })
    expect(over("udp", "t.").answers).toHaveLength(25)
    expect(over("tcp", "t.").additional).toHaveLength(25)
    expect(over("udp", "x.sub.t.")).toMatchObject({ truncated: true, authoritative: false, authority: [] })
  })

  it("say what of EDNS they know", () => {
    expect(answerTo(ask("web.example.test.", "A", { edns: { ...edns, dnssecOk: true } })).edns).toEqual({
      version: 0,
      payloadSize: 1232,
      dnssecOk: true
    })
    const found = answerTo(ask("web.example.test.", "A", { edns: { ...edns, version: 1 } }))
    expect(found).toMatchObject({ rcode: BADVERS, answers: [], edns: { version: 0 } })
    expect(found.questions).toHaveLength(1)
  })

  const header = (rcode: number, flags: number) => bytes(`0007 ${(flags | rcode).toString(16)} 0000 0000 0000 0000`)

  it.each([
    ["a length octet past the end", () => ask("web.example.test.", "A").fill(63, 12, 13), FORMERR],
    ["a name that points to itself", () => bytes("0007 0100 0001 0000 0000 0000 c00c 0001 0001"), FORMERR],
    ["no question", () => ask("a.", "A", { questions: [] }), FORMERR],
    [
      "two questions",
      () => ask("a.", "A", { questions: Array(2).fill({ name: "a.", type: typed("A"), class: 1 }) }),
      FORMERR
    ],
    ["a question for OPT", () => ask("web.example.test.", "OPT"), FORMERR],
    ["more records announced than there are", () => ask("web.example.test.", "A").fill(1, 7, 8), FORMERR],
    ["octets after the end", () => concat([ask("web.example.test.", "A"), Uint8Array.of(0)]), FORMERR],
    ["two OPT records", () => {
      const query = concat([ask("web.example.test.", "A", { edns }), bytes("00 0029 0200 00000000 0000")])
      return query.fill(2, 11, 12)
    }, FORMERR],
    ["the header alone", () => bytes("0007 0100 0001 0000 0000 0000"), FORMERR],
    ["an update", () => ask("example.test.", "SOA", { opcode: 5 }), NOTIMP]
  ])("to %s", (_, query, rcode) => {
    const flags = 0x8000 | (query()[2]! & 0x79) << 8
    for (const transport of ["udp", "tcp"] as const) expect(respond(query(), transport)).toEqual(header(rcode, flags))
  })

  it("to another class", () => {
    const questions = [{ name: "example.test.", type: typed("A"), class: 3 }]
    expect(answerTo(ask(".", "A", { questions }))).toMatchObject({ rcode: REFUSED, questions })
  })

  it("are none to a response, nor to less than a header", () => {
    expect(respond(ask("web.example.test.", "A", { response: true }), "udp")).toBeUndefined()
    for (let length = 0; length < 12; length++) expect(respond(new Uint8Array(length), "tcp")).toBeUndefined()
  })

  it("can be read and fit, whatever the query is", () => {
    const name = fc.constantFrom(
      "web.example.test.",
      "big.example.test.",
      "x.wild.example.test.",
      "a.org.",
      "no.example.test."
    )
    const query = fc.record({ name, type: fc.constantFrom("A", "TXT", "ANY"), edns: fc.boolean() })
      .map((query) => ask(query.name, query.type, query.edns ? { edns } : {}))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), damaged(query)), (query) => {
        for (const transport of ["udp", "tcp"] as const) {
          const response = respond(query, transport)
          expect(response === undefined).toBe(query.length < 12 || query[2]! >= 0x80)
          if (response === undefined) continue
          expect(response.length).toBeLessThanOrEqual(transport === "udp" ? 1232 : 65535)
          expect(response.subarray(0, 2)).toEqual(query.subarray(0, 2))
          expect(Either.getOrThrow(Message.decode(response)).response).toBe(true)
        }
      }),
      { numRuns: 1000 }
    )
  })
})
