/**
 * A network in memory, for tests and demonstrations: listeners, connections and names that no other network sees.
 * It keeps the promises of real sockets (bounded buffers, half-close, resets, backlog) and passes the same conformance
 * suite, but uses no clock and no chance: the same program gives the same events in the same order.
 */
import * as Layer from "effect/Layer"
import { classify } from "../../src/ErrorKind.ts"
import { InvalidOption } from "../../src/NetError.ts"
import * as Network from "../../src/Network.ts"
import type { Cancel, Capabilities, ListenEvents, ListenRequest, Transport } from "../../src/Transport.ts"
import { AddressSpace } from "./AddressSpace.ts"
import type { Kernel } from "./Kernel.ts"
import { MemoryDial } from "./MemoryDial.ts"
import { MemoryListener } from "./MemoryListener.ts"
import { TaskQueue } from "./TaskQueue.ts"

/**
 * How a memory network differs from the default one.
 *
 * @category models
 */
export interface Options {
  /**
   * Bytes that each direction of a connection holds between the two ends, as the kernels' buffers do. Default 64 KiB.
   * 1 delivers every byte by itself, which finds the framing that relies on borders between writes.
   */
  readonly bufferSize?: number | undefined
  /** Connections that may wait to be accepted, for a listener that does not say; as on Linux, one more. Default 511. */
  readonly backlog?: number | undefined
  /** Host names and their addresses, in the order to try. `localhost` is known; any other name is not found. */
  readonly names?: Readonly<Record<string, string | ReadonlyArray<string>>> | undefined
  /** Addresses of this network beside 127.0.0.0/8 and ::1. Any other is not available to bind, unreachable to dial. */
  readonly addresses?: ReadonlyArray<string> | undefined
}

const capabilities: Capabilities = {
  reset: true,
  acceptPause: true,
  backlog: true,
  reusePort: true,
  ipv6Only: true,
  localAddress: true,
  keepAliveDelay: true,
  resetVisible: true,
  unreachableVisible: true,
  unix: true,
  datagram: false
}

/**
 * A new network, with ports, paths and names of its own. Two transports made here never meet.
 *
 * Every callback comes from one queue, first in first out, in microtasks; no clock is used, so `TestClock` and fake
 * timers do no harm. Throws `InvalidOption` for a size that is none.
 *
 * @example
 * import { MemoryNetwork } from "effect-netkit/memory"
 * import { Network } from "effect-netkit"
 *
 * const network = Network.layer(MemoryNetwork.make({ names: { "db.test": "10.0.0.5" }, addresses: ["10.0.0.5"] }))
 *
 * @category constructors
 */
export const make = (options: Options = {}): Transport => {
  const bufferSize = wholeNumber("bufferSize", options.bufferSize ?? 65536, 1)
  const backlog = wholeNumber("backlog", options.backlog ?? 511, 0)
  const addresses = new AddressSpace<MemoryListener>(options.names ?? {}, options.addresses ?? [])
  const kernel: Kernel = { tasks: new TaskQueue(), addresses, bufferSize }
  return {
    runtime: "memory",
    capabilities,
    connect: (request, events) => new MemoryDial(kernel, request, events).cancel,
    listen: (request, events) => listen(kernel, { ...request, backlog: request.backlog ?? backlog }, events),
    classify,
    // What can be delivered now has its task already, and that comes first.
    afterPoll: (callback) => kernel.tasks.post(callback)
  }
}

const wholeNumber = (option: string, value: number, least: number): number => {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new InvalidOption({ option, value, expected: `a whole number of at least ${least}` })
}

const listen = (
  kernel: Kernel,
  request: ListenRequest & { readonly backlog: number },
  events: ListenEvents
): Cancel => {
  let cancelled = false
  kernel.tasks.post(() => {
    if (cancelled) return
    let listener: MemoryListener
    try {
      listener = new MemoryListener(kernel, kernel.addresses.resolveBinding(request.endpoint, request), request, events)
    } catch (error) {
      return events.onFail(error)
    }
    events.onListening(listener)
  })
  return () => {
    cancelled = true
  }
}

/**
 * A memory network of its own for whatever is built with this layer: a test that provides it starts from nothing.
 * For options, give `make(options)` to `Network.layer`.
 *
 * @category layers
 */
export const layer: Layer.Layer<Network.Network> = Layer.sync(Network.Network, () => make())
