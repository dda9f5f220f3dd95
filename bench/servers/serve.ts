/**
 * Runs a server of this SDK on the adapter of the runtime it is in, and announces it.
 */
import * as Effect from "effect/Effect"
import { type Network, Server, SocketAddress } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { announce } from "./announce.ts"

export const serve = (server: Server.Server<Network.Network>): void => {
  Server.serve(server).pipe(
    Effect.tap(({ address }) => SocketAddress.isInetAddress(address) && Effect.sync(() => announce(address.port))),
    Effect.zipRight(Effect.never),
    Effect.scoped,
    Effect.provide(RuntimeNetwork.layer),
    Effect.runFork
  )
}
