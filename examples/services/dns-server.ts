/**
 * An authoritative name server for one zone, over UDP and TCP on the same port. `dig` and `dnsperf` work with it.
 * This server first:  npm run -s example -- dns-server --port 5300
 * then a client:      dig @127.0.0.1 -p 5300 www.example.test    or    npm run -s example -- dns-client www.example.test
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import * as DnsServer from "./dns/DnsServer.ts"
import * as ZoneFile from "./dns/ZoneFile.ts"

const example = fileURLToPath(new URL("dns/example.zone", import.meta.url))

const flags = {
  ...Flags.server,
  port: { ...Flags.server.port, missing: 5300 },
  zone: Flags.optional("file", "the zone to serve (services/dns/example.zone)", Flags.text),
  idle: Flags.withDefault("seconds", "how long a connection may wait for its next query", Flags.count, 10)
}

class NotReadable extends Data.Error<{ readonly message: string }> {}

const text = (file: string) =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (error) => new NotReadable({ message: error instanceof Error ? error.message : String(error) })
  })

run(import.meta.url, flags, ({ idle, zone: file = example, ...options }) =>
  Effect.gen(function* () {
    const zone = yield* ZoneFile.parse(yield* text(file), file)
    const idleTimeout = Duration.seconds(idle)
    yield* serve(DnsServer.make({ ...listening(options), zone, idleTimeout, session: announced }))
  }))
