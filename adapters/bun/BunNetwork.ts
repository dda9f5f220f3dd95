/**
 * TCP and Unix stream sockets on Bun's own `Bun.connect` and `Bun.listen`.
 * What Bun 1.4 cannot do: cancel a connect (a late socket is reset the moment it appears; until then it keeps the process alive), hold
 * back accepting, tell an unreachable host or a lack of descriptors from a refusal; with no descriptors left its accept loop spins.
 */
import type * as Layer from "effect/Layer"
import { classify } from "../../src/ErrorKind.ts"
import * as Network from "../../src/Network.ts"
import type {
  Cancel,
  ConnectEvents,
  ConnectRequest,
  Endpoint,
  ListenerHandle,
  ListenEvents,
  ListenRequest,
  Transport
} from "../../src/Transport.ts"
import { bun } from "./BunApi.ts"
import type { BunListener, BunSocket } from "./BunApi.ts"
import { afterPoll, BunStream, handlers } from "./BunStream.ts"
import type { Opener } from "./BunStream.ts"

const address = (endpoint: Endpoint) =>
  "path" in endpoint ? { unix: endpoint.path } : { hostname: endpoint.host, port: endpoint.port }

/** A connect under way. */
class Dial implements Opener {
  private readonly request: ConnectRequest
  private readonly events: ConnectEvents
  private settled = false

  constructor(request: ConnectRequest, events: ConnectEvents) {
    this.request = request
    this.events = events
  }

  async start(): Promise<void> {
    if (this.settled) return
    const { endpoint, localAddress, localPort } = this.request
    try {
      await bun().connect({ ...address(endpoint), localAddress, localPort, allowHalfOpen: true, socket: handlers, data: this })
    } catch (error) {
      this.failed(error)
    }
  }

  opened(socket: BunSocket): void {
    const { endpoint } = this.request
    const stream = new BunStream(socket, this.request, "path" in endpoint ? { remote: endpoint } : undefined)
    socket.data = stream
    const cancelled = this.settled
    this.settled = true
    stream.attach(cancelled ? undefined : this.events.onOpen(stream))
  }

  private failed(error: unknown): void {
    if (this.settled) return
    this.settled = true
    this.events.onFail(error)
  }

  readonly cancel: Cancel = () => {
    this.settled = true
  }
}

/** A listening socket. Bun accepts by itself whatever the core wants, so `pause` and `resume` have nothing to do. */
class Listener implements ListenerHandle, Opener {
  private readonly request: ListenRequest
  private readonly events: ListenEvents
  private readonly unix: { readonly local: Endpoint } | undefined
  private socket: BunListener | undefined
  localAddress: Endpoint

  constructor(request: ListenRequest, events: ListenEvents) {
    this.request = request
    this.events = events
    this.localAddress = request.endpoint
    this.unix = "path" in request.endpoint ? { local: request.endpoint } : undefined
  }

  start(): void {
    const { endpoint, ipv6Only, reusePort } = this.request
    try {
      this.socket = bun().listen({ ...address(endpoint), ipv6Only, reusePort, allowHalfOpen: true, socket: handlers, data: this })
    } catch (error) {
      return this.events.onFail(error)
    }
    if ("host" in endpoint) this.localAddress = boundAddress(this.socket, endpoint.host)
    this.events.onListening(this)
  }

  opened(socket: BunSocket): void {
    const stream = new BunStream(socket, this.request, this.unix)
    socket.data = stream
    stream.attach(this.socket === undefined ? undefined : this.events.onAccept(stream))
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    if (this.socket === undefined) return
    this.socket.stop()
    this.socket = undefined
    queueMicrotask(() => this.events.onClose())
  }
}

/** A name that was listened on becomes its address, port 0 a port. */
const boundAddress = (socket: BunListener, host: string): Endpoint => {
  const name: { address?: string; port?: number } = {}
  socket.getsockname(name)
  return { host: name.address ?? host, port: name.port ?? 0 }
}

/**
 * Bun's sockets as a `Transport`. Loads on every runtime, works on Bun 1.4 and later.
 *
 * @category transports
 */
export const transport: Transport = {
  runtime: "bun",
  capabilities: {
    reset: true,
    acceptPause: false,
    backlog: false,
    reusePort: true,
    ipv6Only: true,
    localAddress: true,
    keepAliveDelay: true,
    resetVisible: true,
    unreachableVisible: false,
    unix: true,
    datagram: false
  },
  connect(request, events) {
    const dial = new Dial(request, events)
    queueMicrotask(() => dial.start()) // Bun may fail before `Bun.connect` has returned
    return dial.cancel
  },
  listen(request, events) {
    let cancelled = false
    queueMicrotask(() => cancelled || new Listener(request, events).start()) // `Bun.listen` answers at once
    return () => {
      cancelled = true
    }
  },
  classify,
  afterPoll
}

/**
 * The network of Bun, for programs that ask for `Network`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Net } from "effect-netkit"
 * import { BunNetwork } from "effect-netkit/bun"
 *
 * const probe = Effect.scoped(Net.connect({ host: "127.0.0.1", port: 7 })).pipe(Effect.provide(BunNetwork.layer))
 * ```
 *
 * @category layers
 */
export const layer: Layer.Layer<Network.Network> = Network.layer(transport)
