/**
 * The server without connections (T3): prints each datagram and who sent it; the text `quit` ends it.
 * This server first:  npm run -s example -- udp-server --port 7788
 * then its clients:   npm run -s example -- udp-client --port 7788
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { SocketAddress, Udp } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announce } from "../lib/Sessions.ts"

const flags = { host: Flags.server.host, port: Flags.server.port, encoding: Flags.encoding }

/** With a line end, too: `nc -u` sends what is typed with it. */
const isQuit = (text: string): boolean => /^quit\r?\n?$/.test(text)

run(import.meta.url, flags, ({ encoding, ...address }) =>
  Effect.gen(function* () {
    const socket = yield* Udp.bind(address)
    yield* announce(socket.address)
    // A datagram is a whole message: no half of a character waits for the next one.
    const decoder = new TextDecoder(encoding, { ignoreBOM: true })
    yield* socket.datagrams.pipe(
      Stream.map(({ bytes, from }) => ({ from: SocketAddress.unmap(from), text: decoder.decode(bytes) })),
      Stream.tap(({ from, text }) => Console.log(`from ${from}: ${text}`)),
      Stream.takeUntil(({ text }) => isQuit(text)),
      Stream.runDrain
    )
  }))
