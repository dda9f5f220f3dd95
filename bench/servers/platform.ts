/**
 * The echo server of @effect/platform-node (the line for Effect 3), as its documentation has it.
 */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import { announce } from "./announce.ts"

Effect.gen(function* () {
  const server = yield* NodeSocketServer.make({ host: "127.0.0.1", port: 0, noDelay: true })
  if (server.address._tag === "TcpAddress") announce(server.address.port)
  yield* server.run((socket) => Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.run(write))))
}).pipe(Effect.scoped, Effect.runFork)
