/**
 * Every message sent back, by a codec and a message handler of this SDK: plain replies, or told `effects` an effect for each.
 */
import * as process from "node:process"
import * as Effect from "effect/Effect"
import { FramedServer, Framing } from "effect-netkit"
import { serve } from "./serve.ts"

const echo = FramedServer.make({
  listen: { host: "127.0.0.1", port: 0 },
  codec: process.argv[2] === "lines" ? Framing.lines() : Framing.lengthPrefixed(),
  handler: () => process.argv.includes("effects") ? (message) => Effect.sync(() => message) : (message) => message
})

serve(echo)
