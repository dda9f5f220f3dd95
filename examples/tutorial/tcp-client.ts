/**
 * The client of one exchange (T0 4.2, T3, T4 2.4): connects, sends a text raw, receives once, prints what came, closes.
 * The server first:  npm run -s example -- tcp-server-once
 * then this client:  npm run -s example -- tcp-client --port 7788 --message hello
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Net } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { ask, serverAddress } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import { encode, texts } from "../lib/Text.ts"

/** As much as the tutorial's `recv(1024)` returns. */
const receiveSize = 1024

const flags = {
  ...Flags.client,
  message: Flags.optional("text", "what to send; asked if missing", Flags.text),
  encoding: Flags.encoding
}

run(import.meta.url, flags, ({ encoding, message, ...server }) =>
  Effect.gen(function* () {
    const address = yield* serverAddress(server)
    const text = message ?? (yield* ask("text to send: ", Flags.text))
    const bytes = yield* encode(text, encoding)

    const connection = yield* Net.connect(address)
    yield* connection.write(bytes)
    const reply = yield* Stream.runHead(texts(connection, encoding, receiveSize))
    yield* Console.log(Option.match(reply, {
      onNone: () => "peer closed the connection",
      onSome: (text) => `received: ${text}`
    }))
  }))
