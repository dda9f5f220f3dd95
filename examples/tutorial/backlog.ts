/**
 * Clients in the queue (T1, T4 2.9): they connect to a listener that does not accept yet, and are taken one by one.
 * All of it runs here, on loopback:  npm run -s example -- backlog
 * With more than may wait:           npm run -s example -- backlog --backlog 2 --clients 5
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Net, type SocketAddress } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"

const flags = {
  backlog: Flags.withDefault("count", "how many may wait to be accepted", Flags.count, 128),
  clients: Flags.withDefault("count", "how many connect", Flags.count, 4)
}

/**
 * Says how it stands: connected, served, or turned away.
 * Ends once it is connected or has given up; the fiber it gives waits for the service.
 */
const client = (name: string, address: SocketAddress.SocketAddress) =>
  Effect.gen(function* () {
    const turnedAway = (error: { readonly _tag: string }) => Console.log(`${name}: turned away (${error._tag})`)
    const attempt = yield* Effect.either(Net.connect(address, { connectTimeout: "1 second" }))
    if (attempt._tag === "Left") return yield* Effect.fork(turnedAway(attempt.left))
    const connection = attempt.right
    yield* Console.log(`${name}: connected, though nobody has accepted it; waits in the queue`)
    const waiting = Effect.zipRight(connection.write(`I am ${name}`), connection.readExactly(5))
    return yield* Effect.fork(Effect.matchEffect(waiting, {
      onFailure: turnedAway,
      onSuccess: () => Console.log(`${name}: served`)
    }))
  })

/** Takes the next client of the queue and serves it. One that has gone meanwhile is no failure of the server. */
const serveNext = (listener: Net.Listener) =>
  Effect.gen(function* () {
    const connection = yield* listener.accept
    const session = Effect.gen(function* () {
      const text = Option.getOrElse(yield* connection.read, () => new Uint8Array())
      yield* Console.log(`server: accepts ${connection.remoteAddress}: "${new TextDecoder().decode(text)}"`)
      yield* connection.write("hello")
    })
    yield* Effect.ignore(session)
  })

run(import.meta.url, flags, ({ backlog, clients }) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ port: 0 }, { backlog })
    yield* Console.log(`server: listening on ${listener.address}, ${backlog} may wait; accepts nobody yet`)
    const names = Array.from({ length: clients }, (_, index) => `client ${index + 1}`)
    const waiting = yield* Effect.forEach(names, (name) => client(name, listener.address))
    yield* Console.log("server: now accepts one by one")
    yield* Effect.forkScoped(Effect.forever(Effect.scoped(serveNext(listener))))
    yield* Fiber.joinAll(waiting)
  }))
