/**
 * The client without connections (T3): sends each line typed as one datagram, whether somebody is there or not.
 * The server first:  npm run -s example -- udp-server
 * then this client:  npm run -s example -- udp-client --port 7788
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Udp } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { ask, serverAddress } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import { encode } from "../lib/Text.ts"

const flags = { ...Flags.client, encoding: Flags.encoding }

const question = ask("text to send (an empty line ends): ", Either.right)

run(import.meta.url, flags, ({ encoding, ...server }) =>
  Effect.gen(function* () {
    const socket = yield* Udp.connect(yield* serverAddress(server))
    for (let text = yield* question; text !== ""; text = yield* question) {
      const bytes = yield* encode(text, encoding)
      // A refusal is about an earlier datagram, and keeps this one from being sent: somebody may be there by now.
      yield* Effect.retry(socket.send(bytes), { while: ({ _tag }) => _tag === "ConnectionRefused", times: 3 })
    }
  }))
