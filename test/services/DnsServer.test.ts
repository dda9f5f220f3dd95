/**
 * Server and client of DNS together, under TestClock.
 */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, type Scope, Stream, TestClock } from "effect"
import { Framed, Net, type Network, Server, Udp, UdpServer } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as DnsClient from "../../examples/services/dns/DnsClient.ts"
import * as DnsServer from "../../examples/services/dns/DnsServer.ts"
import * as Message from "../../examples/services/dns/Message.ts"
import * as Responder from "../../examples/services/dns/Responder.ts"
import { utf8 } from "../support/frames.ts"
import { ask, show, typed, zone } from "./dns.ts"

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const listen = { host: "127.0.0.1", port: 0 }

const shown = (answers: ReadonlyArray<Message.ResourceRecord>) => answers.map(show)

describe("server and client", () => {
  onMemory("over UDP, and over TCP for what does not fit", () =>
    Effect.gen(function* () {
      const { address, status } = yield* Server.serve(DnsServer.make({ zone, listen }))
      const query = (name: string, type: string) => DnsClient.query(address, name, typed(type))
      expect(shown(yield* query("WWW.example.test.", "AAAA"))).toEqual([
        "WWW.example.test. 3600 CNAME web.example.test.",
        "web.example.test. 3600 AAAA 2001:db8::80"
      ])
      expect((yield* status).accepted).toBe(1)
      expect(yield* query("big.example.test.", "TXT")).toHaveLength(6)
      expect((yield* status).accepted).toBe(3)
      for (
        const [name, message] of [
          ["nobody.example.test.", "nobody.example.test.: no such name (NXDOMAIN)"],
          ["deep.example.test.", "deep.example.test.: no A records"],
          ["example.org.", "example.org.: REFUSED"]
        ] as const
      ) expect(yield* Effect.flip(query(name, "A"))).toMatchObject({ _tag: "NoAnswer", message })
    }))

  onMemory("the port of both is given back when it is taken for one of them", () =>
    Effect.gen(function* () {
      const taken = yield* Server.serve(Server.make({ listen, handler: () => Effect.void }))
      const { port } = taken.address as { readonly port: number }
      const listening = Server.serve(DnsServer.make({ zone, listen: { ...listen, port } }))
      expect(yield* Effect.flip(listening)).toMatchObject({ _tag: "AddressInUse" })
      yield* Udp.bind({ port })
    }))

  onMemory("port 0 is one that is free for both", () =>
    Effect.gen(function* () {
      const other = yield* Server.serve(Server.make({ listen, handler: () => Effect.void }))
      const { address, connections, datagrams } = yield* Server.serve(DnsServer.make({ zone, listen }))
      expect(datagrams.address).toEqual(address)
      expect(connections.address).toEqual(address)
      expect(address).not.toEqual(other.address)
    }))

  onMemory(
    "pipelined queries are answered in order, and what is no query ends the connection",
    () =>
      Effect.gen(function* () {
        const { address } = yield* Server.serve(DnsServer.make({ zone, listen }))
        const { messages, sendAll } = yield* Framed.connect(address, Message.framing)
        const ids = Array.from({ length: 100 }, (_, id) => id)
        const queries = ids.map((id) => ask(id % 2 === 0 ? "web.example.test." : "no.example.test.", "A", { id }))
        yield* sendAll([...queries, new Uint8Array(3), ask("web.example.test.", "A")])
        const responses = yield* Stream.runCollect(messages)
        expect([...responses].map((response) => response[0]! << 8 | response[1]!)).toEqual(ids)
      })
  )

  onMemory("a connection that asks nothing is closed", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(DnsServer.make({ zone, listen, idleTimeout: "3 seconds" }))
      const connection = yield* Net.connect(address)
      yield* connection.write(Uint8Array.of(0, 40, 1))
      const end = yield* Effect.fork(connection.read)
      yield* TestClock.adjust("3 seconds")
      expect(Option.isNone(yield* Fiber.join(end))).toBe(true)
    }))

  onMemory("a connection that asks an octet now and then is closed", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(DnsServer.make({ zone, listen, idleTimeout: "3 seconds" }))
      const connection = yield* Net.connect(address)
      const trickle = Effect.zipRight(connection.write(Uint8Array.of(255)), Effect.sleep("1 second"))
      yield* Effect.fork(Effect.forever(trickle))
      const end = yield* Effect.fork(connection.closed)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(end)
    }))

  onMemory("a query is sent again, and answered by its own answer only", () =>
    Effect.gen(function* () {
      const respond = Responder.make(zone)
      const seen: Array<Uint8Array> = []
      const third = yield* Deferred.make<void>()
      const { address } = yield* UdpServer.make({
        listen,
        handler: ({ bytes, from }, socket) => {
          seen.push(bytes)
          const change = (at: number, by: number) => {
            const response = Uint8Array.from(respond(bytes, "udp")!)
            response[at]! ^= by
            return response
          }
          // The first is lost; the second is answered with another id, another name, as a query, and not at all.
          if (seen.length === 1) return
          if (seen.length === 2) {
            return Effect.forEach(
              [change(1, 1), change(13, 1), change(2, 0x80), utf8("nonsense"), new Uint8Array()],
              (bytes) => socket.send(bytes, from),
              { discard: true }
            )
          }
          return Effect.zipRight(Deferred.succeed(third, undefined), Effect.succeed(respond(bytes, "udp")))
        }
      }).serve
      const asking = yield* Effect.fork(DnsClient.query(address, "ns2.example.test.", typed("A")))
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      yield* Deferred.await(third)
      expect(shown(yield* Fiber.join(asking))).toEqual(["ns2.example.test. 3600 A 192.0.2.54"])
      expect(seen).toEqual([seen[0], seen[0], seen[0]])
    }))

  onMemory("a server that is silent, or speaks no DNS, is told so", () =>
    Effect.gen(function* () {
      const silent = yield* UdpServer.make({ listen, handler: () => {} }).serve
      const asking = yield* Effect.fork(Effect.flip(DnsClient.query(silent.address, "a.", typed("A"))))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ReadTimeout" })
      // The header of a response and the question, and then nothing of what was announced.
      const cut = yield* UdpServer.make({
        listen,
        handler: ({ bytes }) =>
          Uint8Array.from(bytes.subarray(0, 19), (octet, i) => i === 2 ? 0x80 : i === 7 ? 1 : octet)
      }).serve
      expect(yield* Effect.flip(DnsClient.query(cut.address, "a.", typed("A")))).toMatchObject({
        _tag: "BadResponse",
        message: "not a DNS response: it ends too early"
      })
    }))
})
