/**
 * The service that everything which opens a socket asks for: the transport of the runtime it runs on.
 * `effect-netkit/node`, `/deno`, `/bun`, `/memory` and `/runtime` each export a `layer` of it.
 * A program written against `Network` runs unchanged on all of them.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { Transport } from "./Transport.ts"

/**
 * The network of the runtime, as a service.
 *
 * @category tags
 */
export class Network extends Context.Tag("effect-netkit/Network")<Network, Transport>() {}

/**
 * A layer of any transport, for one of your own.
 *
 * @category layers
 */
export const layer = (transport: Transport): Layer.Layer<Network> => Layer.succeed(Network, transport)
