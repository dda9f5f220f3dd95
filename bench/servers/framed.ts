/**
 * Every message sent back, by a codec and a message handler of this SDK: plain replies, or told `effects` an effect for each.
 */
import * as process from "node:process"
import * as Effect from "effect/Effect"
import { FramedServer, Framing, Server, SocketAddress } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { announce } from "./announce.ts"

const echo = FramedServer.make({
  listen: { host: "127.0.0.1", port: 0 },
  codec: process.argv[2] === "lines" ? Framing.lines() : Framing.lengthPrefixed(),
  handler: () => process.argv.includes("effects") ? (message) => Effect.sync(() => message) : (message) => message
})

Server.serve(echo).pipe(
  Effect.tap(({ address }) => SocketAddress.isInetAddress(address) && Effect.sync(() => announce(address.port))),
  Effect.zipRight(Effect.never),
  Effect.scoped,
  Effect.provide(RuntimeNetwork.layer),
  Effect.runFork
)
