/**
 * A small language server over TCP: JSON-RPC after a `Content-Length` header.
 * This server first:  npm run -s example -- json-rpc-server --port 7788
 * then a client:      npm run -s example -- json-rpc-client --port 7788    or an editor
 */
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import * as LanguageServer from "./json-rpc/LanguageServer.ts"

run(
  import.meta.url,
  Flags.server,
  (flags) => serve(Server.make({ ...listening(flags), handler: announced(LanguageServer.handler) }))
)
