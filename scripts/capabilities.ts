/**
 * Prints as JSON what the adapter of the runtime it runs in can do, and what the one in memory can.
 * `scripts/support-table.ts` runs this under Node, Deno and Bun.
 */
import * as Effect from "effect/Effect"
import { MemoryNetwork } from "../adapters/memory/index.ts"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import { Network } from "../src/Network.ts"

const transports = await Effect.runPromise(Effect.all([
  Effect.provide(Network, RuntimeNetwork.layer),
  Effect.provide(Network, MemoryNetwork.layer)
]))

console.log(JSON.stringify(transports.map(({ runtime, capabilities }) => ({ runtime, capabilities }))))
