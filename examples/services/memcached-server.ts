/**
 * A memcached for the text protocol: values with flags and expiry; what was not used for longest goes when it is full.
 * This server first:  npm run -s example -- memcached-server --port 11211
 * then a client:      memccp --servers=127.0.0.1:11211 FILE, memccat, memcstat    or    nc 127.0.0.1 11211
 */
import * as Effect from "effect/Effect"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import * as MemcachedServer from "./memcached/MemcachedServer.ts"

const flags = {
  ...Flags.server,
  port: { ...Flags.server.port, missing: 11211 },
  memory: Flags.withDefault("MiB", "how much the cache may hold", Flags.count, 64)
}

run(import.meta.url, flags, ({ memory, ...options }) =>
  Effect.gen(function* () {
    const handler = yield* MemcachedServer.makeHandler(memory * 1024 * 1024)
    yield* serve(Server.make({ ...listening(options), handler: announced(handler) }))
  }))
