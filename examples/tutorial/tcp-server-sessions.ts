/**
 * A server of long conversations (T0 4.3, third form): answers every message of a client until that client closes.
 * This server first:  npm run -s example -- tcp-server-sessions --port 7788
 * then its clients:   npm run -s example -- tcp-client --port 7788 --message hello
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import { encode, texts } from "../lib/Text.ts"

const flags = {
  ...Flags.server,
  concurrency: Flags.optional("count", "clients served at once; with 1 the next ones wait, as in T0", Flags.count),
  reply: Flags.reply,
  encoding: Flags.encoding
}

run(import.meta.url, flags, ({ concurrency, encoding, reply, ...server }) =>
  Effect.gen(function* () {
    const answer = yield* encode(reply, encoding)
    yield* serve(Server.make({
      ...listening(server),
      maxConnections: concurrency,
      handler: announced((connection) =>
        Stream.runForEach(
          texts(connection, encoding),
          (text) => Effect.zipRight(Console.log(`received: ${text}`), connection.write(answer))
        )
      )
    }))
  }))
