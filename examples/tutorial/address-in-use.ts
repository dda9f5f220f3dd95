/**
 * A port that is taken and then free (T0 4.7, T1, T4 2.9): a second bind fails, typed; after a close it works at once.
 * All of it runs here, on loopback:  npm run -s example -- address-in-use
 * With a port of your choice:        npm run -s example -- address-in-use --port 7788
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Net } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"

const flags = { port: Flags.withDefault("port", "the port to bind; 0 takes a free one", Flags.port, 0) }

/** Binds the port, tries to bind it once more, and closes an established connection from the server's side. */
const firstServer = (port: number) =>
  Effect.scoped(Effect.gen(function* () {
    const listener = yield* Net.listen({ port })
    yield* Console.log(`first bind: listening on ${listener.address}`)

    const error = yield* Effect.flip(Effect.scoped(Net.listen(listener.address)))
    yield* Console.log(`second bind: ${error._tag}: ${error.message}`)

    const client = yield* Net.connect(listener.address)
    const session = yield* listener.accept
    yield* session.close
    yield* client.close
    yield* Console.log("the server has closed a connection first: the kernel keeps that one in TIME_WAIT for a minute")
    return listener.address
  }))

run(import.meta.url, flags, ({ port }) =>
  Effect.gen(function* () {
    const address = yield* firstServer(port)
    const listener = yield* Net.listen(address)
    // Every runtime sets SO_REUSEADDR, which is what makes this possible.
    yield* Console.log(`third bind: listening on ${listener.address} again, at once`)
  }))
