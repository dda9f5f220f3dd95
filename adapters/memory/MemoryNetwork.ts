/**
 * A network in memory, for tests and demonstrations: listeners, connections, datagrams and names that no other network sees.
 * It keeps the promises of real sockets (bounded buffers, half-close, resets, backlog) and passes the same conformance
 * suite, but uses no clock (unless `answersAfter` says so) and no chance: the same program gives the same events in the same order.
 * Its paths are names, not files: none is left behind, and as everybody here is the same user, `mode` keeps nobody out.
 */
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import { classify } from "../../src/ErrorKind.ts"
import { whole } from "../../src/internal/options.ts"
import * as Network from "../../src/Network.ts"
import type { BindDatagramEvents, DatagramRequest } from "../../src/DatagramTransport.ts"
import type { Cancel, Capabilities, ListenEvents, ListenRequest, LookupEvents, Transport } from "../../src/Transport.ts"
import { AddressSpace } from "./AddressSpace.ts"
import { Distances } from "./Distances.ts"
import type { Kernel } from "./Kernel.ts"
import { MemoryDatagram } from "./MemoryDatagram.ts"
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
  /**
   * Addresses and CIDR blocks of this network beside 127.0.0.0/8 and ::1. Binding any other fails with
   * `AddressNotAvailable`, dialling it with `NetworkUnreachable`.
   */
  readonly addresses?: ReadonlyArray<string> | undefined
  /**
   * How long these addresses and CIDR blocks take to answer a connect, be it by a refusal; infinity: they never answer.
   * All others do at once.
   */
  readonly answersAfter?: Readonly<Record<string, Duration.DurationInput>> | undefined
  /** What `answersAfter` is measured by. Default the system's; a test under `TestClock` gives what `Effect.clock` gives there. */
  readonly clock?: Clock.Clock | undefined
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
  unixAbstract: true,
  datagram: true,
  datagramReusePort: true,
  datagramBuffers: true,
  datagramErrors: true,
  multicastSourceV6: true
}

/**
 * A new network, with ports, paths and names of its own. Two transports made here never meet.
 *
 * Every callback comes from one queue, first in first out, in microtasks; no clock is used but for `answersAfter`, so
 * `TestClock` and fake timers do no harm. Throws `InvalidOption` for a size or an address that is none.
 *
 * @example
 * ```ts
 * import { Network } from "effect-netkit"
 * import { MemoryNetwork } from "effect-netkit/memory"
 *
 * const network = Network.layer(MemoryNetwork.make({ names: { "db.test": "10.0.0.5" }, addresses: ["10.0.0.0/8"] }))
 * ```
 *
 * @category constructors
 */
export const make = (options: Options = {}): Transport => {
  const bufferSize = whole("bufferSize", options.bufferSize, 65536, 1, "a number of bytes from 1")
  const backlog = whole("backlog", options.backlog, 511, 0, "a whole number from 0")
  const { addresses = [], answersAfter = {}, clock, names = {} } = options
  const kernel: Kernel = {
    tasks: new TaskQueue(),
    addresses: new AddressSpace(names, addresses),
    datagrams: new AddressSpace(names, addresses),
    distances: new Distances(answersAfter, clock),
    bufferSize
  }
  return {
    runtime: "memory",
    capabilities,
    connect: (request, events) => new MemoryDial(kernel, request, events).cancel,
    listen: (request, events) => listen(kernel, { ...request, backlog: request.backlog ?? backlog }, events),
    bindDatagram: (request, events) => bindDatagram(kernel, request, events),
    lookup: (host, events) => lookup(kernel, host, events),
    classify,
    // What can be delivered now has its task already, and that comes first.
    afterPoll: (callback) => kernel.tasks.post(callback)
  }
}

/** Does in a task of its own what gives a value or throws, and tells which; unless it is cancelled before. */
const inTask = <A>(
  kernel: Kernel,
  run: () => A,
  onValue: (value: A) => void,
  onFail: (error: unknown) => void
): Cancel => {
  let cancelled = false
  kernel.tasks.post(() => {
    if (cancelled) return
    let value: A
    try {
      value = run()
    } catch (error) {
      return onFail(error)
    }
    onValue(value)
  })
  return () => {
    cancelled = true
  }
}

const listen = (kernel: Kernel, request: ListenRequest & { readonly backlog: number }, events: ListenEvents): Cancel =>
  inTask(
    kernel,
    () => new MemoryListener(kernel, kernel.addresses.resolveBinding(request.endpoint, request), request, events),
    (listener) => events.onListening(listener),
    (error) => events.onFail(error)
  )

const bindDatagram = (kernel: Kernel, request: DatagramRequest, events: BindDatagramEvents): Cancel =>
  inTask(
    kernel,
    () => new MemoryDatagram(kernel, request),
    (socket) => {
      socket.events = events.onOpen(socket)
    },
    (error) => events.onFail(error)
  )

const lookup = (kernel: Kernel, host: string, events: LookupEvents): Cancel =>
  inTask(
    kernel,
    () => kernel.addresses.lookup(host),
    (addresses) => events.onFound(addresses),
    (error) => events.onFail(error)
  )

/**
 * A memory network of its own for whatever is built with this layer: a test that provides it starts from nothing.
 * For options, give `make(options)` to `Network.layer`.
 *
 * @category layers
 */
export const layer: Layer.Layer<Network.Network> = Layer.sync(Network.Network, () => make())
