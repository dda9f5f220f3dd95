/**
 * Zone files, and the lines they are wrong in.
 */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import * as ZoneFile from "../../examples/services/dns/ZoneFile.ts"
import { show, typed } from "./dns.ts"

describe("zone files", () => {
  const soa = "$ORIGIN t.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n"
  const one = (line: string) => {
    const zone = Either.getOrThrow(ZoneFile.parse(`${soa}${line}\n`))
    return [...zone.lookup("x.t.", typed("ANY"))!.answers, ...zone.lookup("y.t.", typed("ANY"))!.answers].map(show)
  }

  it.each([
    ["x A 1.2.3.4", ["x.t. 5 A 1.2.3.4"]],
    ["x 60 IN A 1.2.3.4 ; comment", ["x.t. 60 A 1.2.3.4"]],
    ["x IN 1h30m A 1.2.3.4", ["x.t. 5400 A 1.2.3.4"]],
    ["X.T. in a 1.2.3.4", ["x.t. 5 A 1.2.3.4"]],
    ["x A 1.2.3.4\n\n \t \n\tA 5.6.7.8\r", ["x.t. 5 A 1.2.3.4", "x.t. 5 A 5.6.7.8"]],
    ["x AAAA 2001:DB8:0:0::1", ["x.t. 5 AAAA 2001:db8::1"]],
    ["x AAAA ::ffff:1.2.3.4", ["x.t. 5 AAAA ::ffff:1.2.3.4"]],
    ["x AAAA 1:2:3:4:5:6:7:8", ["x.t. 5 AAAA 1:2:3:4:5:6:7:8"]],
    ["x MX 10 @\n$ORIGIN sub\n$TTL 1d\n@ NS .", ["x.t. 5 MX 10 t."]],
    ['x TXT one "two \\" ; (" \\"three\\001 ""', ['x.t. 5 TXT "one" "two \\" ; (" "\\"three\\001" ""']],
    ['x TXT (\n"a" ; a comment )\n b\n) ', ['x.t. 5 TXT "a" "b"']],
    ["x A 1.2.3.4\ny PTR x", ["x.t. 5 A 1.2.3.4", "y.t. 5 PTR x.t."]]
  ])("%j", (line, records) => expect(one(line)).toEqual(records))

  it.each([
    [4, "not an IPv4 address: 1.2.3", "x A 1.2.3"],
    [4, "not an IPv4 address: ::1", "x A ::1"],
    [4, "not an IPv6 address: [::1]", "x AAAA [::1]"],
    [5, "not an IPv6 address: 1:2:3", "x A 1.2.3.4\n AAAA 1:2:3"],
    [4, "MX takes 2, not 1", "x MX mail"],
    [4, "not a number of 16 bits: 65536", "x MX 65536 mail"],
    [4, "not a time in seconds: 4294967296", "x 4294967296 A 1.2.3.4"],
    [4, "not a time in seconds: 1x", "x 1x A 1.2.3.4"],
    [4, "TXT takes 1 or more, not 0", "x TXT"],
    [4, "a string of more than 255 octets", `x TXT "${"a".repeat(256)}"`],
    [4, "more data than a record can have", `x TXT ${`"${"a".repeat(255)}" `.repeat(257)}`],
    [4, "no type of records: SPAM", "x SPAM 1"],
    [4, "no type of records: ANY", "x ANY 1"],
    [4, "a record without a type", "x 60 IN"],
    [4, "class CH: only IN is known here", "x CH TXT a"],
    [4, "x.u. is not in the zone t.", "x.u. A 1.2.3.4"],
    [4, "a second SOA for t.", "@ SOA a b 2 2 3 4 5"],
    [5, "the same record twice: x.t. AAAA ::1", "x AAAA ::1\nx AAAA 0::1"],
    [4, "a \\ at the end", "x TXT a\\"],
    [5, "a \\ at the end", "x TXT (\nb \\"],
    [5, "a CNAME beside other records of x.t.", "x A 1.2.3.4\nx CNAME y"],
    [5, "a CNAME beside other records of x.t.", "x CNAME y\nx A 1.2.3.4"],
    [5, "a second CNAME for x.t.", "x CNAME y\nx CNAME z"],
    [5, "a quote without its end", '\nx TXT "a\nb"'],
    [6, "a ) without its (", "\n\nx A 1.2.3.4 )"],
    [4, "a ( without its )", "x A ( 1.2.3.4"],
    [4, "$INCLUDE is not known here", "$INCLUDE other"],
    [4, "$TTL takes one word", "$TTL"],
    [4, 'not a name: "a..b"', "a..b A 1.2.3.4"],
    [4, "a bad escape in \\999", "\\999 A 1.2.3.4"]
  ])("line %i: %s", (line, reason, text) => {
    const error = Either.getOrThrow(Either.flip(ZoneFile.parse(soa + text, "f.zone")))
    expect(error.message).toBe(`f.zone:${line}: ${reason}`)
  })

  it.each([
    ["the zone has no SOA record", ""],
    ["the zone has no SOA record", "a. 5 A 1.2.3.4"],
    ["a relative name without $ORIGIN: a", "a 5 A 1.2.3.4"],
    ["a relative name without $ORIGIN: @", "@ 5 A 1.2.3.4"],
    ["the first record has no owner", " 5 A 1.2.3.4"],
    ["a record without a TTL, and no $TTL before it", "a. A 1.2.3.4"]
  ])("%s: %j", (reason, text) => {
    expect(Either.getOrThrow(Either.flip(ZoneFile.parse(text))).reason).toBe(reason)
  })

  it("are read or refused with a line, whatever the text is", () => {
    const pieces = fc.constantFrom(
      "$TTL 1",
      "$ORIGIN",
      "a.",
      "@",
      " ",
      "\n",
      "(",
      ")",
      '"',
      ";",
      "\\",
      "SOA . . 1 2 3 4 5",
      "A",
      "1.2.3.4",
      "IN",
      "ü"
    )
    fc.assert(fc.property(fc.array(pieces, { maxLength: 20 }), (pieces) => {
      const text = pieces.join(" ")
      const read = ZoneFile.parse(text)
      if (Either.isLeft(read)) expect(read.left.line).toBeLessThanOrEqual(text.split("\n").length)
    }))
  })
})
