/**
 * Datagrams by a `UdpServer` of this SDK with plain answers: every one is sent back, or all are counted and one of a single byte asks
 * how many.
 */
import * as process from "node:process"
import * as Effect from "effect/Effect"
import { UdpServer, type UdpSocket } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { announce } from "./announce.ts"

let count = 0

const echo = ({ bytes }: UdpSocket.Datagram) => bytes

const sink = ({ bytes }: UdpSocket.Datagram): string | void => {
  if (bytes.length === 1) return String(count)
  count++
}

const server = UdpServer.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: process.argv[2] === "udp-sink" ? sink : echo
})

server.serve.pipe(
  Effect.tap(({ address }) => Effect.sync(() => announce(address.port))),
  Effect.zipRight(Effect.never),
  Effect.scoped,
  Effect.provide(RuntimeNetwork.layer),
  Effect.runFork
)
