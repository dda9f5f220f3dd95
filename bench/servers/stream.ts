/**
 * The echo server of this SDK by the views of a connection as `Stream` and `Sink`.
 */
import * as Stream from "effect/Stream"
import { Server } from "effect-netkit"
import { serve } from "./serve.ts"

const echo = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: ({ sink, stream }) => Stream.run(stream, sink)
})

serve(echo)
