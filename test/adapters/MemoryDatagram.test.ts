import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, type Scope } from "effect"
import { Network, Udp, type UdpSocket } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const text = ({ bytes }: UdpSocket.Datagram) => new TextDecoder().decode(bytes)

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

/** Lets the network deliver what it has under way. */
const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

const queued = (socket: UdpSocket.Socket) => Effect.map(socket.stats, ({ queued }) => queued)

describe("MemoryDatagram", () => {
  const network = MemoryNetwork.make({ names: { "db.test": "10.0.0.5" }, addresses: ["10.0.0.0/24"] })

  it.scoped("names, own addresses and the broadcast of a block are known", () =>
    Effect.gen(function* () {
      const db = yield* Udp.bind("10.0.0.5:5432")
      const client = yield* Udp.connect("db.test:5432")
      expect(String(client.remoteAddress)).toBe("10.0.0.5:5432")
      yield* client.send("by name")
      expect(text(yield* db.receive)).toBe("by name")
      const all = yield* Udp.bind("0.0.0.0:9999")
      yield* db.configure({ broadcast: true })
      yield* db.send("to the block", "10.0.0.255:9999")
      expect(yield* all.receive).toMatchObject({ from: db.address })
      expect(yield* Effect.flip(db.send("x", "10.1.0.1:9999"))).toMatchObject({ _tag: "NetworkUnreachable" })
    }).pipe(Effect.provide(Network.layer(network))))

  onMemory("a group is heard by its members alone, and not where loopback is off", () =>
    Effect.gen(function* () {
      const sender = yield* Udp.bind({ port: 0 })
      const options = { reuseAddress: true }
      const member = yield* Udp.bind("0.0.0.0:4000", options)
      const other = yield* Udp.bind("0.0.0.0:4000", options)
      const ofOthers = yield* Udp.bind("0.0.0.0:4000", options)
      yield* member.joinMulticast("239.1.2.3")
      yield* ofOthers.joinMulticast("239.1.2.3", { source: "10.0.0.1" })
      yield* sender.send("news", "239.1.2.3:4000")
      yield* sender.configure({ multicastLoopback: false })
      yield* sender.send("for other machines", "239.1.2.3:4000")
      yield* turn
      expect(yield* Effect.forEach([member, other, ofOthers], queued)).toEqual([1, 0, 0])
    }))

  onMemory("an interrupted bind leaves nothing", () =>
    Effect.gen(function* () {
      const binding = yield* Effect.fork(Effect.scoped(Effect.zipRight(Udp.bind("127.0.0.1:4000"), Effect.never)))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(binding)
      yield* turn
      expect(Option.isSome(yield* Effect.option(Udp.bind("127.0.0.1:4000")))).toBe(true)
    }))
})
