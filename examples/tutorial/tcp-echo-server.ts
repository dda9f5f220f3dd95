/**
 * A server that sends every byte back as it comes (T4 2.6.1). A client that ends its side still gets all its bytes.
 * This server first:  npm run -s example -- tcp-echo-server --port 7788
 * then its clients:   npm run -s example -- tcp-client --port 7788 --message hello
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, Net, Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announce, announced, lettingFinish, listening, serve } from "../lib/Sessions.ts"

const flags = { ...Flags.server, once: Flags.toggle("ends after the first client") }

const echo = announced((connection: Connection.Connection) =>
  Effect.gen(function* () {
    yield* Stream.runForEach(connection.stream, connection.write)
    yield* connection.shutdown
    // However slowly the client reads: both sides have ended once the last byte has left.
    yield* connection.closed
  })
)

const echoOnce = ({ listen, ...options }: ReturnType<typeof listening>) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen(listen, options)
    yield* announce(listener.address)
    yield* lettingFinish(echo(yield* listener.accept))
  })

run(
  import.meta.url,
  flags,
  ({ once, ...server }) =>
    once ? echoOnce(listening(server)) : serve(Server.make({ ...listening(server), handler: echo }))
)
