/**
 * A server that speaks the protocol of Redis: strings in memory, expiry, pipelining. `redis-cli` works with it.
 * This server first:  npm run -s example -- resp-server --port 6379
 * then a client:      redis-cli -p 6379    or    npm run -s example -- resp-client --port 6379
 */
import * as Effect from "effect/Effect"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import * as RespServer from "./resp/RespServer.ts"

const flags = {
  ...Flags.server,
  port: { ...Flags.server.port, missing: 6379 },
  memory: Flags.withDefault("MiB", "how much the store may hold", Flags.count, 256)
}

run(import.meta.url, flags, ({ memory, ...options }) =>
  Effect.gen(function* () {
    const handler = yield* RespServer.makeHandler(memory * 1024 * 1024)
    yield* serve(Server.make({ ...listening(options), handler: announced(handler) }))
  }))
