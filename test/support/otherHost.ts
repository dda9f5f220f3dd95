/**
 * Talks to another host on a real link, and prints what became of it as JSON; `test/otherHost.test.ts` starts it in a
 * namespace.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { RuntimeNetwork } from "../../adapters/runtime/index.ts"
import * as Udp from "../../src/Udp.ts"
import type { Socket, UdpSocket } from "../../src/UdpSocket.ts"

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** The next message, or that there is none for a while. */
const next = (socket: Socket) =>
  socket.receive.pipe(
    Effect.map(({ bytes, from }) => `${text(bytes)} from ${from.host}`),
    Effect.timeoutTo({ duration: "300 millis", onTimeout: () => "nothing", onSuccess: (message) => message })
  )

const families = [
  { group: "239.255.77.2", any: "0.0.0.0", by: ["va", "10.77.0.1"], peer: "10.77.0.2", stranger: "10.77.0.3" },
  { group: "ff02::77:2", any: "::", by: ["va", "fd77::1", "fe80::1%va"], peer: "fe80::2", stranger: "fe80::3" }
]

const ask = (socket: UdpSocket, host: string) =>
  Udp.request(socket, { host, port: 7777 }, "ping", { schedule: Schedule.spaced("200 millis"), from: "anyone" }).pipe(
    Effect.map(({ bytes, from }) => `${text(bytes)} from ${from.host}`)
  )

/** What comes in answer, and what comes to the group, while it is joined so. */
const asMember = (socket: UdpSocket, group: string, options: Udp.MulticastOptions) =>
  Effect.scoped(Effect.gen(function* () {
    yield* socket.joinMulticast(group, options)
    return [yield* ask(socket, group), yield* next(socket)]
  })).pipe(Effect.catchTag("Unsupported", ({ _tag, capability }) => Effect.succeed([_tag, capability])))

const groups = Effect.forEach(
  families,
  ({ any, by, group, peer, stranger }) =>
    Effect.forEach(by, (name) =>
      Effect.scoped(Effect.gen(function* () {
        const socket = yield* Udp.bind({ host: any, port: 0 }, { multicastInterface: name, multicastLoopback: false })
        return {
          member: yield* asMember(socket, group, { interface: name }),
          afterwards: [yield* ask(socket, group), yield* next(socket)],
          ofPeer: yield* asMember(socket, group, { interface: name, source: peer }),
          ofStranger: yield* asMember(socket, group, { interface: name, source: stranger })
        }
      })))
)

/** A sender that can be answered by its link-local address, scope id and all. */
const linkLocal = Effect.scoped(Effect.gen(function* () {
  const socket = yield* Udp.bind("[::]:0")
  return yield* ask(socket, "fe80::2%va")
}))

/** More than the kernel has room for: what it does not take at once waits. Gives how many arrived. */
const slow = Effect.scoped(Effect.gen(function* () {
  const socket = yield* Udp.bind("0.0.0.0:0")
  const to = { host: "10.77.0.2", port: 7777 }
  const message = new Uint8Array(1200)
  yield* socket.send("count 3000", to)
  yield* Effect.replicateEffect(socket.send(message, to), 1000)
  yield* socket.sendMany(Array.from({ length: 1000 }, () => [message, to] as const))
  yield* Effect.replicateEffect(socket.send(message, to), 1000, { concurrency: "unbounded" })
  return Number.parseInt(yield* Effect.repeat(next(socket), { until: (said) => said !== "nothing" }))
}))

const program = Effect.all({ groups, linkLocal, slow })
console.log(JSON.stringify(await Effect.runPromise(Effect.provide(program, RuntimeNetwork.layer))))
process.exit(0)
