import { readFileSync } from "node:fs"
import * as Either from "effect/Either"
import * as Message from "./services/dns/Message.ts"
import * as Responder from "./services/dns/Responder.ts"
import * as RecordType from "./services/dns/RecordType.ts"
import * as ZoneFile from "./services/dns/ZoneFile.ts"
const zone = Either.getOrThrow(ZoneFile.parse(readFileSync("examples/services/dns/example.zone", "utf8")))
const respond = Responder.make(zone)
const q = (name: string, edns = true) =>
  Message.encode(
    Message.make({
      id: 7,
      questions: [{ name, type: RecordType.parse("A")!, class: 1 }],
      edns: edns ? { version: 0, payloadSize: 1232, dnssecOk: false } : undefined
    })
  ).slice()
const b = q("nope.example.test.")
const t = process.cpuUsage()
for (let i = 0; i < 300000; i++) respond(b, "udp")
console.log(process.cpuUsage(t).user / 300000)
