/**
 * The echo server of this SDK as its README has it, on the adapter of the runtime it runs in.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Server } from "effect-netkit"
import { serve } from "./serve.ts"

const echo = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: (connection) =>
    Effect.gen(function* () {
      for (let chunk = yield* connection.read; Option.isSome(chunk); chunk = yield* connection.read) {
        yield* connection.write(chunk.value)
      }
    })
})

serve(echo)
