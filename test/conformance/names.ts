/**
 * Names: they are looked up, all their addresses get a chance, and a dial that ends in any way leaves nothing open.
 * What a name stands for is the property's choice, so that no resolver has to be prepared; `localhost` is the machine's.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Net from "../../src/Net.ts"
import { Network } from "../../src/Network.ts"
import * as SocketAddress from "../../src/SocketAddress.ts"
import type { Cancel, Transport } from "../../src/Transport.ts"
import { check, equal, failsWith } from "./assert.ts"
import { type Draft, group } from "./Property.ts"
import { eventually, local, readAll, text, whereThereIsOne } from "./support.ts"

const portOf = (address: SocketAddress.SocketAddress): number => SocketAddress.isInetAddress(address) ? address.port : 0

/** The transport with a resolver that knows these addresses for any name. */
const resolving = (...addresses: ReadonlyArray<string>) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Network, (transport) => {
    const lookup: Transport["lookup"] = (_, { onFound }) => {
      const timer = setTimeout(() => onFound(addresses))
      return () => clearTimeout(timer)
    }
    return Effect.provideService(self, Network, { ...transport, lookup, dialsNames: () => false })
  })

const dial = (port: number, options?: Net.ConnectOptions) => Net.connect({ host: "db.test", port }, options)

const nextAfterRefusal: Draft["run"] = Effect.gen(function* () {
  const listener = yield* Net.listen(local)
  // Without the wait for a delay: one of a day would be noticed.
  const client = yield* resolving("::1", "127.0.0.1")(
    dial(portOf(listener.address), { connectionAttemptDelay: "1 day" })
  )
  yield* equal(client.remoteAddress, listener.address, "where the client is connected to")
  yield* client.write("hello")
  const server = yield* listener.accept
  yield* equal(text(yield* server.readExactly(5)), "hello", "what came")
})

const allRefused: Draft["run"] = Effect.gen(function* () {
  const port = portOf((yield* Effect.scoped(Net.listen(local))).address)
  const error = yield* failsWith(
    Effect.scoped(resolving("127.0.0.1", "::1")(dial(port))),
    "a dial of two addresses where nobody listens",
    "ConnectionRefused"
  )
  for (const part of [`db.test:${port}: `, `127.0.0.1:${port}`, `[::1]:${port}`]) {
    yield* check(error.message.includes(part), `the message does not name ${part}: ${error.message}`)
  }
  const attempts: unknown = Reflect.get(error, "attempts")
  yield* equal(Array.isArray(attempts) ? attempts.length : attempts, 2, "the attempts that the error tells of")
})

/** Holds connects to this host back for a while, so that they coincide with those to another. */
const delaying = (host: string, millis: number) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Network, (transport) => {
    const connect: Transport["connect"] = (request, events) => {
      if (!("host" in request.endpoint) || request.endpoint.host !== host) return transport.connect(request, events)
      let cancel: Cancel = () => clearTimeout(timer)
      const timer = setTimeout(() => void (cancel = transport.connect(request, events)), millis)
      return () => cancel()
    }
    return Effect.provideService(self, Network, { ...transport, connect })
  })

const loserIsSilent: Draft["run"] = whereThereIsOne(Effect.gen(function* () {
  // Both addresses are the same listener's, so that the loser, where it was connected at all, is seen there.
  const { address, accept } = yield* Net.listen({ host: "::", port: 0 })
  const heard: Array<string> = []
  const hear = Effect.flatMap(accept, (server) =>
    readAll(server).pipe(
      Effect.map((bytes) => void heard.push(text(bytes))),
      Effect.ignore,
      Effect.forkScoped
    ))
  yield* Effect.forkScoped(Effect.forever(hear))
  const send = Effect.scoped(Effect.gen(function* () {
    const client = yield* dial(portOf(address), { connectionAttemptDelay: "10 millis" })
    yield* client.write("hello")
  })).pipe(resolving("127.0.0.1", "::1"), delaying("127.0.0.1", 10))
  yield* Effect.replicateEffect(send, 20, { concurrency: "unbounded", discard: true })
  const greetings = () => heard.filter((said) => said !== "")
  yield* eventually(() => greetings().length >= 20, () => `only ${greetings().length} of 20 messages came`)
  yield* equal(greetings().join(), Array(20).fill("hello").join(), "what was sent")
}))

const interrupted: Draft["run"] = Effect.gen(function* () {
  const listener = yield* Net.listen(local)
  const open = Effect.scoped(resolving("::1", "127.0.0.1")(dial(portOf(listener.address))))
  for (let steps = 0; steps < 30; steps++) {
    const dialling = yield* Effect.fork(open)
    yield* steps < 10 ? Effect.repeatN(Effect.yieldNow(), steps) : Effect.sleep((steps - 10) / 5)
    yield* Fiber.interrupt(dialling)
  }
})

const localhost: Draft["run"] = Effect.gen(function* () {
  const addresses = yield* Net.lookup("localhost")
  yield* check(addresses.length > 0 && addresses.every(SocketAddress.isLoopback), `localhost is ${addresses}`)
  const unknown = yield* failsWith(Net.lookup("name.invalid"), "looking up a name that is none", "NameNotFound")
  yield* check(unknown.message.includes("name.invalid"), `the message does not name the host: ${unknown.message}`)
})

const family: Draft["run"] = Effect.gen(function* () {
  const listener = yield* Net.listen(local)
  const port = portOf(listener.address)
  const client = yield* resolving("::1", "127.0.0.1")(dial(port, { family: 4 }))
  yield* equal(client.remoteAddress, listener.address, "where the client is connected to")
  const missing = resolving("127.0.0.1")(Effect.scoped(dial(port, { family: 6 })))
  const error = yield* failsWith(missing, "a family that the name has not", "NameNotFound")
  yield* check(error.message.includes("IPv6"), `the message names no family: ${error.message}`)
})

export const names = group("names", [
  { name: "localhost is looked up, and a name that is none is told", source: "RFC 6761 6.3, 6.4", run: localhost },
  { name: "a refusal is followed at once by the next address", source: "RFC 8305 5", run: nextAfterRefusal },
  { name: "where all addresses refuse, one error tells of each", source: "promise: typed errors", run: allRefused },
  { name: "a family that is asked for is kept to", source: "RFC 8305 4", run: family },
  {
    name: "the address that loses the race is sent nothing",
    source: "Go TestDialParallelSpuriousConnection",
    run: loserIsSilent
  },
  {
    name: "a dial interrupted at any moment leaves nothing open",
    source: "Go TestDialerDualStackFDLeak",
    run: interrupted
  }
])
