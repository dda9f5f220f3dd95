/**
 * A chat room in lines (T1 'improvements'): a client's line goes to all others, a line typed here to everybody.
 * This server first:  npm run -s example -- chat-server --port 7788
 * then its clients:   npm run -s example -- chat-client --port 7788
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, Framed, Framing, Server, SocketAddress } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { ask } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import { encode } from "../lib/Text.ts"

const flags = { ...Flags.server, encoding: Flags.encoding }

/** How many bytes may wait for a client: one that leaves more unread is dropped. */
const patience = 1 << 20

type Client = Framed.Framed<Uint8Array>

const nameOf = ({ connection }: Client): string => String(SocketAddress.unmap(connection.remoteAddress))

run(import.meta.url, flags, ({ encoding, ...server }) =>
  Effect.gen(function* () {
    const room = new Set<Client>()
    const decoder = new TextDecoder(encoding, { ignoreBOM: true })

    /** Waits for nobody: the write buffer holds more than may wait. */
    const deliver = (line: Uint8Array) => (client: Client) =>
      Effect.gen(function* () {
        const { unsent } = yield* client.connection.stats
        if (unsent <= patience) return yield* Effect.ignore(client.send(line))
        room.delete(client)
        yield* Console.log(`dropped ${nameOf(client)}: it does not read`)
        yield* Effect.forkDaemon(client.connection.close)
      })

    const tell = (line: Uint8Array, from?: Client) =>
      Effect.forEach([...room].filter((client) => client !== from), deliver(line), { discard: true })

    const session = announced((connection: Connection.Connection) => {
      const client = Framed.make(connection, Framing.lines())
      const receiving = client.messages.pipe(
        Stream.filter((line) => line.length > 0),
        Stream.tap((line) => Console.log(`${nameOf(client)}: ${decoder.decode(line)}`)),
        Stream.runForEach((line) => tell(line, client))
      )
      const join = Effect.sync(() => room.add(client))
      const leave = Effect.sync(() => room.delete(client))
      return Effect.ensuring(Effect.zipRight(join, receiving), leave)
    })

    const typing = ask("", Flags.text).pipe(
      Effect.flatMap((text) => encode(`server: ${text}`, encoding)),
      Effect.flatMap((line) => tell(line)),
      Effect.forever,
      Effect.catchTag("EndOfInput", () => Effect.void)
    )

    const serving = serve(Server.make({ ...listening(server), writeBuffer: 2 * patience, handler: session }))
    yield* Effect.all([serving, typing], { concurrency: 2 })
  }))
