/**
 * The datagrams of the examples' name server, with the zone of the examples.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as process from "node:process"
import * as Effect from "effect/Effect"
import { RuntimeNetwork } from "effect-netkit/runtime"
import * as DnsServer from "../../examples/services/dns/DnsServer.ts"
import * as ZoneFile from "../../examples/services/dns/ZoneFile.ts"
import { announce } from "./announce.ts"

const file = path.join(process.cwd(), "examples/services/dns/example.zone")

Effect.gen(function* () {
  const zone = yield* ZoneFile.parse(fs.readFileSync(file, "utf8"), file)
  const { address } = yield* DnsServer.udp({ listen: { host: "127.0.0.1", port: 0 }, zone }).serve
  announce(address.port)
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.provide(RuntimeNetwork.layer), Effect.runFork)
