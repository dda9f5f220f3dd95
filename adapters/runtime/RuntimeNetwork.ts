/**
 * The network of whichever runtime loads this module: Bun's, Deno's, or else Node's.
 * Only that one adapter is imported. Deno and Bun also report a version of Node, so their globals decide.
 */
import type * as Layer from "effect/Layer"
import * as Network from "../../src/Network.ts"
import type { Transport } from "../../src/Transport.ts"

const load = (): Promise<{ readonly transport: Transport }> => {
  if ("Bun" in globalThis) return import("../bun/BunNetwork.ts")
  if ("Deno" in globalThis) return import("../deno/DenoNetwork.ts")
  return import("../node/NodeNetwork.ts")
}

/**
 * The present runtime's sockets as a transport.
 *
 * @category transports
 */
export const { transport }: { readonly transport: Transport } = await load()

/**
 * The network of the present runtime.
 *
 * @category layers
 */
export const layer: Layer.Layer<Network.Network> = Network.layer(transport)
