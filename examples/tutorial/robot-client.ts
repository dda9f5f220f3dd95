/**
 * A conversation with the robot (T4 3.2): sends each line typed, prints each answer, stops at an empty line.
 * The server first:  npm run -s example -- robot-server
 * then this client:  npm run -s example -- robot-client --port 7788
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Net } from "effect-netkit"
import { takeTurns } from "../lib/Conversation.ts"
import * as Flags from "../lib/Flags.ts"
import { ask, serverAddress } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import { messages } from "../lib/Text.ts"

const flags = { ...Flags.client, framing: Flags.framing, encoding: Flags.encoding }

const centred = (text: string, width: number): string =>
  text.padStart(Math.floor((width + text.length) / 2), "*").padEnd(width, "*")

const question = ask("you (an empty line ends): ", Either.right)

run(import.meta.url, flags, ({ encoding, framing, ...server }) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(yield* serverAddress(server))
    yield* Console.log(centred(" talk to the robot ", process.stdout.columns || 80))
    yield* takeTurns(messages(connection, encoding, framing), (say) =>
      Effect.gen(function* () {
        for (let text = yield* question; text !== ""; text = yield* question) yield* say(text)
      }))
  }))
