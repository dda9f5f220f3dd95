/**
 * The close of a connection in four steps (T0 4.7, T3): the client ends its side and still gets a large reply whole.
 * Both halves run here, on loopback:  npm run -s example -- half-close
 * A longer reply:                     npm run -s example -- half-close --size 100000000
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, Net, Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"

const flags = { size: Flags.withDefault("bytes", "length of the server's reply", Flags.count, 8_000_000) }

/** Counts what comes until the peer's end of stream. */
const readToEnd = (connection: Connection.Connection) =>
  Stream.runFold(connection.stream, 0, (total, chunk) => total + chunk.length)

const server = (size: number) =>
  Server.make({
    listen: { port: 0 },
    handler: (connection) =>
      Effect.gen(function* () {
        const received = yield* readToEnd(connection)
        yield* Console.log(`2. server: end of stream after ${received} bytes; it still writes: sends ${size} bytes`)
        const piece = new Uint8Array(65536)
        for (let left = size; left > 0; left -= piece.length) yield* connection.write(piece.subarray(0, left))
        yield* Console.log("3. server: FIN after the last byte of the reply")
        yield* connection.shutdown
        yield* connection.closed
      })
  })

run(import.meta.url, flags, ({ size }) =>
  Effect.gen(function* () {
    const { address } = yield* server(size).serve
    const connection = yield* Net.connect(address)
    yield* connection.write("that is all I have to say")
    yield* Console.log("1. client: FIN after its request; it writes no more and goes on reading")
    yield* connection.shutdown
    const received = yield* readToEnd(connection)
    yield* connection.closed
    yield* Console.log(`4. client: end of stream after ${received} of ${size} bytes; both sides have ended: closed`)
  }))
