/**
 * Every message sent back by a fiber a connection: one that receives and sends, or told `streams` one that runs the messages into the sink.
 */
import * as process from "node:process"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Framed, Framing, Server } from "effect-netkit"
import { serve } from "./serve.ts"

const codec = process.argv[2] === "lines" ? Framing.lines() : Framing.lengthPrefixed()

const echo = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: (connection) =>
    Effect.gen(function* () {
      const framed = Framed.make(connection, codec)
      if (process.argv.includes("streams")) return yield* Stream.run(framed.messages, framed.sink)
      for (let message = yield* framed.receive; Option.isSome(message); message = yield* framed.receive) {
        yield* framed.send(message.value)
      }
    })
})

serve(echo)
