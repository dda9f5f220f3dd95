/**
 * A server of many short exchanges (T0 4.3, second form): takes one message from each client, answers it, closes.
 * This server first:  npm run -s example -- tcp-server-loop --port 7788
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

const flags = { ...Flags.server, reply: Flags.reply, encoding: Flags.encoding }

run(import.meta.url, flags, ({ encoding, reply, ...server }) =>
  Effect.gen(function* () {
    const answer = yield* encode(reply, encoding)
    yield* serve(Server.make({
      ...listening(server),
      handler: announced((connection) =>
        texts(connection, encoding).pipe(
          Stream.take(1),
          Stream.runForEach((text) => Effect.zipRight(Console.log(`received: ${text}`), connection.write(answer)))
        )
      )
    }))
  }))
