/**
 * The echo server of this SDK as its README has it, on the adapter of the runtime it runs in.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Server, SocketAddress } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { announce } from "./announce.ts"

const echo = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: (connection) =>
    Effect.gen(function* () {
      for (let chunk = yield* connection.read; Option.isSome(chunk); chunk = yield* connection.read) {
        yield* connection.write(chunk.value)
      }
    })
})

Server.serve(echo).pipe(
  Effect.tap(({ address }) => SocketAddress.isInetAddress(address) && Effect.sync(() => announce(address.port))),
  Effect.zipRight(Effect.never),
  Effect.scoped,
  Effect.provide(RuntimeNetwork.layer),
  Effect.runFork
)
