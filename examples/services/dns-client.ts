/**
 * Asks a name server and prints what it answers, one line a record, as `dig +short` does: an address unless a type is
 * named. Without an answer it says why and exits with 1.
 * The server first:  npm run -s example -- dns-server --port 5300
 * then this client:  npm run -s example -- dns-client www.example.test AAAA --port 5300
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import * as DnsClient from "./dns/DnsClient.ts"
import { attempt } from "./dns/Malformed.ts"
import * as Name from "./dns/Name.ts"
import * as RecordType from "./dns/RecordType.ts"

const name: Flags.Parser<Name.Name> = (text) =>
  Either.mapLeft(attempt(() => Name.parse(text, Name.root)), () => "a domain name")

const type: Flags.Parser<RecordType.RecordType> = (text) =>
  Either.fromNullable(RecordType.parse(text), () => "a type of records, such as A, MX or TYPE65")

const flags = {
  name: Flags.argument("the name to ask for", name),
  type: Flags.argument("A, AAAA, MX, TXT, ...", type, RecordType.ofCode(1)),
  server: Flags.withDefault("host", "the name server", Flags.host, "127.0.0.1"),
  port: Flags.withDefault("port", "its port", Flags.port, 5300),
  timeout: Flags.withDefault("seconds", "how long to wait for an answer", Flags.count, 5)
}

run(import.meta.url, flags, ({ name, port, server, timeout, type }) =>
  Effect.gen(function* () {
    const answers = yield* DnsClient.query({ host: server, port }, name, type, { timeout: Duration.seconds(timeout) })
    for (const { data, type } of answers) yield* Console.log(RecordType.showData(type, data))
  }))
