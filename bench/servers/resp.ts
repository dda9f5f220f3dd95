/**
 * The RESP server of the examples, without what it prints.
 */
import * as Effect from "effect/Effect"
import { Server, SocketAddress } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import * as RespServer from "../../examples/services/resp/RespServer.ts"
import { announce } from "./announce.ts"

Effect.gen(function* () {
  const handler = yield* RespServer.makeHandler(256 * 1024 * 1024)
  const { address } = yield* Server.serve(Server.make({ listen: { host: "127.0.0.1", port: 0 }, handler }))
  if (SocketAddress.isInetAddress(address)) announce(address.port)
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.provide(RuntimeNetwork.layer), Effect.runFork)
