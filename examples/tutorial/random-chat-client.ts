/**
 * A chat with the server that answers at random (T4 3.3): sends each line typed, prints each answer, until `Bye`.
 * The server first:  npm run -s example -- random-chat-server
 * then this client:  npm run -s example -- random-chat-client --port 7788
 */
import * as Effect from "effect/Effect"
import { Net } from "effect-netkit"
import { takeTurns } from "../lib/Conversation.ts"
import * as Flags from "../lib/Flags.ts"
import { ask, serverAddress } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import { messages } from "../lib/Text.ts"

const flags = { ...Flags.client, encoding: Flags.encoding }

const question = ask("you (Bye ends): ", Flags.text)

run(import.meta.url, flags, ({ encoding, ...server }) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(yield* serverAddress(server))
    yield* takeTurns(messages(connection, encoding, "raw"), (say) =>
      Effect.gen(function* () {
        for (let text = yield* question; text !== "Bye"; text = yield* question) yield* say(text)
        // Not answered: the server closes. One that does not is left.
        yield* Effect.timeoutOption(say("Bye"), "2 seconds")
      }))
  }))
