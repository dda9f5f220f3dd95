/**
 * Requests and servers of datagrams: what belongs to a request goes to it alone, what a handler does is its datagram's
 * affair, and the end of a server is a drain.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Udp from "../../src/Udp.ts"
import * as UdpServer from "../../src/UdpServer.ts"
import type { Datagram, UdpSocket } from "../../src/UdpSocket.ts"
import { equal, failsWith } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { local, nothing, said, text, yieldAll } from "./support.ts"

/** Answers the second time it is asked, and then twice. */
const hardOfHearing = (datagram: Datagram, socket: UdpSocket, heard: Map<string, number>) => {
  const request = text(datagram.bytes)
  const times = (heard.get(request) ?? 0) + 1
  heard.set(request, times)
  return times < 2 ? Effect.void : socket.sendMany([[`re ${request}`, datagram.from], [`re ${request}`, datagram.from]])
}

const requests: Draft["run"] = Effect.gen(function* () {
  const heard = new Map<string, number>()
  const server = yield* UdpServer.make({
    listen: local,
    handler: (datagram, socket) => hardOfHearing(datagram, socket, heard)
  }).serve
  const socket = yield* Udp.bind(local)
  const ask = (id: number) =>
    Udp.request(socket, server.address, String(id), {
      matches: ({ bytes }) => text(bytes) === `re ${id}`,
      schedule: Schedule.spaced("30 millis")
    })
  const ids = Array.from({ length: 20 }, (_, i) => i)
  const answers = yield* Effect.forEach(ids, ask, { concurrency: "unbounded" })
  yield* equal(said(answers), ids.map((id) => `re ${id}`).join(), "the answers")
  yield* server.socket.send("something else", socket.address)
  yield* equal(text((yield* socket.receive).bytes), "something else", "what is no answer")
  yield* nothing(socket, "after the second answers")
})

const serving: Draft["run"] = Effect.gen(function* () {
  const server = yield* UdpServer.make({
    listen: local,
    concurrency: 4,
    handler: ({ bytes }) => {
      const request = text(bytes)
      if (request === "throw") throw new Error("a handler that throws")
      if (request === "fail") return Effect.fail("a handler that fails")
      if (request === "die") return Effect.die("a handler that dies")
      if (request === "wait") return Effect.as(Effect.yieldNow(), "waited")
      return `re ${request}`
    }
  }).serve
  const clients = Effect.replicateEffect(
    Effect.scoped(Effect.gen(function* () {
      const client = yield* Udp.connect(server.address)
      for (const wrong of ["throw", "fail", "die"]) yield* client.send(wrong)
      yield* equal(text((yield* Udp.request(client, "wait")).bytes), "waited", "the answer that had to be waited for")
      yield* equal(text((yield* Udp.request(client, "now")).bytes), "re now", "the answer")
    })),
    20,
    { concurrency: 5 }
  )
  yield* clients
  yield* Effect.retry(
    Effect.filterOrFail(server.status, ({ active, waiting }) => active + waiting === 0, (status) => status),
    Schedule.spaced("10 millis").pipe(Schedule.intersect(Schedule.recurs(200)))
  )
}).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))

const draining: Draft["run"] = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const [begun, goOn] = yield* Effect.all([Deferred.make<void>(), Deferred.make<string>()])
  const server = yield* Scope.extend(
    UdpServer.make({
      listen: local,
      handler: () => Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(goOn))
    }).serve,
    scope
  )
  const client = yield* Udp.bind(local)
  yield* client.send("x", server.address)
  yield* Deferred.await(begun)
  const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
  yield* yieldAll
  yield* failsWith(Effect.scoped(Udp.bind(server.address)), "the port of a server that drains", "AddressInUse")
  yield* Deferred.succeed(goOn, "the last answer")
  yield* Fiber.join(closing)
  yield* equal(text((yield* client.receive).bytes), "the last answer", "what the handler answered during the drain")
  yield* Effect.scoped(Udp.bind(server.address))
})

export const datagramServer = group(
  "datagram servers",
  [
    {
      name: "requests repeat themselves, take their own answers, drop late ones and leave the rest",
      source: "RFC 8085 3.1",
      run: requests
    },
    { name: "a handler that goes wrong has failed with its datagram alone", source: "thousand_island", run: serving },
    { name: "a server drains", source: "promise: bounded", run: draining }
  ],
  "30 seconds",
  ["datagram"]
)
