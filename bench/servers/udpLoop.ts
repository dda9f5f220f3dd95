/**
 * Datagrams by a fiber over `Udp.bind`, receiving and sending one by one as its documentation has it: every one is sent back, or all
 * are counted and one of a single byte asks how many.
 */
import * as process from "node:process"
import * as Effect from "effect/Effect"
import { Udp, type UdpSocket } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { announce } from "./announce.ts"

const echo = (socket: UdpSocket.UdpSocket) =>
  Effect.gen(function* () {
    while (true) {
      const { bytes, from } = yield* socket.receive
      yield* socket.send(bytes, from)
    }
  })

const sink = (socket: UdpSocket.UdpSocket) =>
  Effect.gen(function* () {
    let count = 0
    while (true) {
      const { bytes, from } = yield* socket.receive
      if (bytes.length === 1) yield* socket.send(String(count), from)
      else count++
    }
  })

Udp.bind({ host: "127.0.0.1", port: 0 }).pipe(
  Effect.tap(({ address }) => Effect.sync(() => announce(address.port))),
  Effect.flatMap(process.argv[2] === "udp-sink" ? sink : echo),
  Effect.scoped,
  Effect.provide(RuntimeNetwork.layer),
  Effect.runFork
)
