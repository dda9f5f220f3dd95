/**
 * The echo server of Effect 4 on Node: a pull, and what came written in one go. Plain JavaScript, since the types here would be those of
 * Effect 3.
 */
import * as process from "node:process"
import * as NodeSocketServer from "@effect/platform-node-shared/NodeSocketServer"
import * as Effect from "effect/Effect"

const echo = Effect.fnUntraced(
  function* (socket) {
    const { pull } = yield* socket.reader
    const { writeAll } = yield* socket.writer
    while (true) yield* writeAll(yield* pull)
  },
  Effect.scoped,
  Effect.ignore
)

Effect.gen(function* () {
  const server = yield* NodeSocketServer.make({ host: "127.0.0.1", port: 0, noDelay: true })
  console.log(JSON.stringify({ port: server.address.port, pid: process.pid }))
  process.stdin.once("end", () => process.exit()).resume()
  yield* server.run(echo)
}).pipe(Effect.scoped, Effect.runFork)
