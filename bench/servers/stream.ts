/**
 * The echo server of this SDK by the views of a connection as `Stream` and `Sink`.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Server, SocketAddress } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { announce } from "./announce.ts"

const echo = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: ({ sink, stream }) => Stream.run(stream, sink)
})

Server.serve(echo).pipe(
  Effect.tap(({ address }) => SocketAddress.isInetAddress(address) && Effect.sync(() => announce(address.port))),
  Effect.zipRight(Effect.never),
  Effect.scoped,
  Effect.provide(RuntimeNetwork.layer),
  Effect.runFork
)
