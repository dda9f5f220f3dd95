/**
 * The server of one exchange (T0 4.3, T1, T3): accepts one client, receives once, answers, closes, ends.
 * This server first:  npm run -s example -- tcp-server-once --port 7788
 * then its client:    npm run -s example -- tcp-client --port 7788 --message hello
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Net } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announce, announced, lettingFinish, listening } from "../lib/Sessions.ts"
import { encode, texts } from "../lib/Text.ts"

const flags = { ...Flags.server, reply: Flags.reply, encoding: Flags.encoding }

run(import.meta.url, flags, ({ encoding, reply, ...server }) =>
  Effect.gen(function* () {
    const answer = yield* encode(reply, encoding)
    const { listen, ...options } = listening(server)

    const listener = yield* Net.listen(listen, options)
    yield* announce(listener.address)
    const connection = yield* listener.accept

    const session = announced((connection) =>
      texts(connection, encoding).pipe(
        Stream.take(1),
        Stream.runForEach((text) => Effect.zipRight(Console.log(`received: ${text}`), connection.write(answer)))
      )
    )
    yield* lettingFinish(session(connection))
  }))
