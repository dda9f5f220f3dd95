/**
 * A proxy of this SDK: every connection is passed on to the port that it is told.
 */
import * as process from "node:process"
import * as Effect from "effect/Effect"
import { Net, Server } from "effect-netkit"
import { serve } from "./serve.ts"

const upstream = { host: "127.0.0.1", port: Number(process.argv[3]) }

const proxy = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: (connection) => Effect.flatMap(Net.connect(upstream), (other) => Net.relay(connection, other))
})

serve(proxy)
