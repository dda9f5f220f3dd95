/**
 * One datagram for many (T0, T4): a sender reaches several receivers at once, by broadcast or as a multicast group.
 * All of them run here, on loopback:  npm run -s example -- udp-broadcast
 * The same as a multicast group:      npm run -s example -- udp-broadcast --group 239.1.2.3
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { SocketAddress, Udp, type UdpSocket } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"

const ipv4: Flags.Parser<string> = (text) =>
  SocketAddress.family(text) === 4 ? Either.right(text) : Either.left("an IPv4 address")

const group: Flags.Parser<string> = (text) =>
  Either.isRight(ipv4(text)) && SocketAddress.isMulticast(text)
    ? Either.right(text)
    : Either.left("an IPv4 multicast address")

const flags = {
  port: Flags.withDefault("port", "the receivers' port; 0 takes a free one", Flags.port, 0),
  receivers: Flags.withDefault("count", "how many receive", Flags.count, 3),
  address: Flags.withDefault("address", "the broadcast address to send to", ipv4, "127.255.255.255"),
  group: Flags.optional("address", "sends to this multicast group instead", group),
  interface: Flags.withDefault("address", "the interface of the group", ipv4, "127.0.0.1")
}

run(import.meta.url, flags, ({ address, group, interface: via, port, receivers }) =>
  Effect.gen(function* () {
    // Bound to all addresses: a socket bound to one of them takes neither broadcasts nor what a group is sent.
    const receiver = (port: number) => Udp.bind({ host: "0.0.0.0", port }, { reuseAddress: true })
    const sockets: Array<UdpSocket.UdpSocket> = []
    for (let n = 1; n <= receivers; n++) {
      const socket = yield* receiver(sockets[0]?.address.port ?? port)
      if (group !== undefined) yield* socket.joinMulticast(group, { interface: via })
      sockets.push(socket)
      yield* Console.log(
        `receiver ${n}: listening on ${socket.address}${group === undefined ? "" : ` in group ${group}`}`
      )
    }

    const everybody = { host: group ?? address, port: sockets[0]!.address.port }
    const options = group === undefined ? { broadcast: true } : { multicastInterface: via }
    const sender = yield* Udp.bind({ host: "0.0.0.0", port: 0 }, options)
    yield* Console.log(`sender: one datagram to ${everybody.host}:${everybody.port}`)
    yield* sender.send("hello, everybody", everybody)

    const receive = (socket: UdpSocket.UdpSocket, index: number) =>
      Effect.timeoutOption(socket.receive, "3 seconds").pipe(
        Effect.map(Option.match({
          onNone: () => "nothing came",
          onSome: ({ bytes, from }) => `"${new TextDecoder().decode(bytes)}" from ${from}`
        })),
        Effect.flatMap((what) => Console.log(`receiver ${index + 1}: ${what}`))
      )
    yield* Effect.forEach(sockets, receive, { concurrency: "unbounded", discard: true })
  }))
