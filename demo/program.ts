/**
 * What the demo's processes have in common: they run with the network of their runtime, and a server ends with its parent.
 * The same line serves all three runtimes: `effect-netkit/runtime` is the adapter of whichever it is loaded in.
 */
import process from "node:process"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type Network, Server } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"

/** Signals are all that is asked of `NodeRuntime`, and Deno and Bun have `process.on` too. */
export const run = <A, E>(program: Effect.Effect<A, E, Network.Network>): void =>
  NodeRuntime.runMain(Effect.provide(program, RuntimeNetwork.layer))

export const runServer = (server: Server.Server): void =>
  run(Effect.scoped(Effect.gen(function* () {
    const { address } = yield* Server.serve(server)
    yield* Console.log(`listening on ${address}`)
    yield* parentLeft
  })))

/** The end of standard input: the parent is gone, or wants this process gone. */
const parentLeft = Effect.async<void>((resume) => {
  process.stdin.once("end", () => resume(Effect.void)).resume()
})
