/**
 * A client of the chat room (T1 'improvements'): types and receives at the same time, in lines.
 * The server first:   npm run -s example -- chat-server
 * then such clients:  npm run -s example -- chat-client --port 7788
 */
import * as Effect from "effect/Effect"
import { Net } from "effect-netkit"
import { talk } from "../lib/Conversation.ts"
import * as Flags from "../lib/Flags.ts"
import { ask, serverAddress } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import { messages } from "../lib/Text.ts"

const flags = { ...Flags.client, encoding: Flags.encoding }

run(import.meta.url, flags, ({ encoding, ...server }) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(yield* serverAddress(server))
    const chat = messages(connection, encoding, "lines")
    yield* talk(chat, Effect.forever(Effect.flatMap(ask("", Flags.text), chat.send)))
  }))
