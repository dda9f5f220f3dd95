/**
 * A server that reads GBK and answers the same text in UTF-8 (T4 2.6.2), for any number of clients.
 * This server first:  npm run -s example -- tcp-gbk-server --port 7788
 * then its clients:   printf '\xc4\xe3\xba\xc3' | nc 127.0.0.1 7788
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import { texts } from "../lib/Text.ts"

run(import.meta.url, Flags.server, (server) =>
  serve(Server.make({
    ...listening(server),
    handler: announced((connection) =>
      Stream.runForEach(
        texts(connection, "gbk"),
        (text) => Effect.zipRight(Console.log(`received: ${text}`), connection.write(text))
      )
    )
  })))
