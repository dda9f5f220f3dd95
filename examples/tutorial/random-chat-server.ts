/**
 * A server that learns to chat (T4 3.3): it remembers what it is told and answers with something it remembers.
 * This server first:  npm run -s example -- random-chat-server --port 7788 --seed 1
 * then its clients:   npm run -s example -- random-chat-client --port 7788
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import { encode, texts } from "../lib/Text.ts"

const flags = {
  ...Flags.server,
  seed: Flags.optional("number", "makes the choice of answers repeatable", Flags.wholeNumber),
  encoding: Flags.encoding
}

/** Only the newest messages are remembered. */
const memorySize = 1000

run(import.meta.url, flags, ({ encoding, seed, ...server }) =>
  Effect.gen(function* () {
    const random = seed === undefined ? yield* Effect.random : Random.make(seed)
    const remembered: Array<Uint8Array> = []

    const answer = (text: string) =>
      Effect.gen(function* () {
        // What cannot be sent is not remembered either: it would end the chat of whoever is given it.
        remembered.push(yield* encode(text, encoding))
        if (remembered.length > memorySize) remembered.shift()
        return remembered[yield* random.nextIntBetween(0, remembered.length)]!
      })

    yield* serve(Server.make({
      ...listening(server),
      handler: announced((connection) =>
        texts(connection, encoding).pipe(
          Stream.tap((text) => Console.log(`received: ${text}`)),
          Stream.takeWhile((text) => text.trimEnd() !== "Bye"),
          Stream.mapEffect(answer),
          Stream.runForEach(connection.write)
        )
      )
    }))
  }))
