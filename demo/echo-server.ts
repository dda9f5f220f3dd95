/**
 * An echo server: every byte goes back as it came, and a client that has ended its side still gets all of its bytes.
 * Runs on Node, Deno and Bun alike; prints `listening on HOST:PORT`, and ends with its standard input.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Server } from "effect-netkit"
import { runServer } from "./program.ts"

const echo = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: (connection) =>
    Effect.gen(function* () {
      for (let chunk = yield* connection.read; Option.isSome(chunk); chunk = yield* connection.read) {
        yield* connection.write(chunk.value)
      }
    })
})

runServer(echo)
