/**
 * A chat room as a server: what one says in lines, all others hear. Who joins or leaves is announced; who stops reading misses the
 * oldest lines rather than slow the others.
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { type Connection, Framed, Framing, Server, SocketAddress } from "effect-netkit"

const lines = Framing.lines({ maxFrameLength: 1024 }).pipe(Framing.text())

/** How many lines may wait for one who does not read. */
const patience = 256

interface Line {
  readonly from: Connection.Connection
  readonly text: string
}

export const make = (settings: Server.Settings) =>
  Effect.map(PubSub.sliding<Line>(patience), (room) =>
    Server.make({
      ...settings,
      handler: (connection) =>
        Effect.gen(function* () {
          const name = SocketAddress.unmap(connection.remoteAddress)
          const client = Framed.make(connection, lines)
          const say = (text: string) => PubSub.publish(room, { from: connection, text })
          const heard = yield* Stream.fromPubSub(room, { scoped: true })
          const hearing = heard.pipe(
            Stream.filter(({ from }) => from !== connection),
            Stream.runForEach(({ text }) => client.send(text))
          )
          const saying = Stream.runForEach(client.messages, (text) => say(`${name}: ${text}`))
          yield* Effect.acquireRelease(say(`${name} came`), () => say(`${name} left`))
          yield* Effect.raceFirst(saying, hearing)
        })
    }))
