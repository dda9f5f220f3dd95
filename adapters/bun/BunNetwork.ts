/**
 * The network of Bun: TCP and Unix streams over `Bun.connect` and `Bun.listen`. Bun 1.4 accepts at once, and cannot cancel a
 * connect (a late socket is closed the moment it appears; until then it keeps the process alive), nor tell an unreachable host or
 * a lack of descriptors from a refusal (oven-sh/bun#37093). Its accept loop spins, and says nothing, while no descriptor is left.
 */
import { isIP } from "node:net"
import process from "node:process"
import type * as Layer from "effect/Layer"
import { classify } from "../../src/ErrorKind.ts"
import * as Network from "../../src/Network.ts"
import type {
  Cancel,
  ConnectEvents,
  ConnectRequest,
  Endpoint,
  InetEndpoint,
  ListenEvents,
  ListenRequest,
  LookupEvents,
  Transport
} from "../../src/Transport.ts"
import { listenWithFile, maxPathBytes } from "../socketFile.ts"
import { isBound } from "./boundPaths.ts"
import { afterPoll, bun, type BunListener, toOptions } from "./BunApi.ts"
import { bindDatagram } from "./BunDatagram.ts"
import { BunStream, handlers, type Opener } from "./BunStream.ts"

const connect = (request: ConnectRequest, events: ConnectEvents): Cancel => {
  const { endpoint, localPort } = request
  const localAddress = request.localAddress ?? (localPort ? anyAddress(endpoint) : undefined)
  const unix = "path" in endpoint ? { remote: endpoint } : undefined
  let settled = false
  const opener: Opener = {
    opened(socket) {
      const stream = new BunStream(socket, request, unix)
      if (settled) return stream.close()
      settled = true
      stream.attach(events.onOpen(stream))
    }
  }
  const options = {
    ...toOptions(endpoint),
    localAddress,
    localPort,
    allowHalfOpen: true,
    socket: handlers,
    data: opener
  }
  const dial = async () => {
    if (settled) return
    try {
      await bun().connect(options)
    } catch (error) {
      const named = await namedConnect(error, localAddress)
      if (settled) return
      settled = true
      events.onFail(named)
    }
  }
  queueMicrotask(dial) // `Bun.connect` may throw
  return () => {
    settled = true
  }
}

/** Bun ignores a `localPort` without a `localAddress`. */
const anyAddress = (endpoint: Endpoint): string => "host" in endpoint && isIP(endpoint.host) === 6 ? "::" : "0.0.0.0"

/**
 * Bun gives the connect's EADDRNOTAVAIL, no port left there for the peer (connect(2)), and that of the bind, not an address of this
 * machine, as one. Whether it is, is seen by binding it.
 */
const namedConnect = async (error: unknown, hostname: string | undefined): Promise<unknown> =>
  hostname !== undefined && classify(error).kind === "AddressNotAvailable" && await isOwn(hostname)
    ? Object.assign(error as Error, { code: "EADDRINUSE" })
    : error

const isOwn = async (hostname: string): Promise<boolean> => {
  const unheard = { data() {}, drain() {}, error() {} }
  try {
    const probe = await bun().udpSocket({ hostname, port: 0, binaryType: "uint8array", socket: unheard })
    probe.close()
    return true
  } catch (error) {
    return classify(error).kind !== "AddressNotAvailable"
  }
}

const listen = (request: ListenRequest, events: ListenEvents): Cancel => {
  let cancelled = false
  queueMicrotask(() => cancelled || listenNow(request, events))
  return () => {
    cancelled = true
  }
}

const listenNow = (request: ListenRequest, events: ListenEvents): void => {
  const { endpoint, ipv6Only, reusePort } = request
  const unix = "path" in endpoint ? { local: endpoint } : undefined
  let open = true
  const opener: Opener = {
    opened(socket) {
      const stream = new BunStream(socket, request, unix)
      stream.attach(open ? events.onAccept(stream) : undefined)
    }
  }
  let listener: BunListener
  try {
    listener = bun().listen({
      ...toOptions(endpoint),
      ipv6Only,
      reusePort,
      allowHalfOpen: true,
      socket: handlers,
      data: opener
    })
  } catch (error) {
    return events.onFail(named(error, endpoint))
  }
  events.onListening({
    localAddress: "path" in endpoint ? endpoint : boundAddress(listener, endpoint),
    pause() {},
    resume() {},
    close() {
      if (!open) return
      open = false
      listener.stop()
      queueMicrotask(() => events.onClose())
    }
  })
}

/** Bun gives every failed `listen` its code but the look-up of a name, and one for which there is no descriptor. */
const named = (error: unknown, endpoint: Endpoint): unknown =>
  error instanceof Error && error.name === "Error" && !("code" in error)
    ? Object.assign(error, { code: "path" in endpoint || isIP(endpoint.host) > 0 ? "EMFILE" : "ENOTFOUND" })
    : error

/** `listener.hostname` is only what was asked for. */
const boundAddress = (listener: BunListener, { host }: InetEndpoint): Endpoint => {
  const name: { address?: string; port?: number } = {}
  listener.getsockname(name)
  return { host: name.address ?? host, port: name.port ?? 0 }
}

/**
 * By getaddrinfo, as `Bun.connect` does by itself. Bun's default on Linux, c-ares, knows no nsswitch.conf (oven-sh/bun#37378) and gives a
 * name of /etc/hosts the addresses of others (c-ares/c-ares#1049).
 */
const lookup = (host: string, events: LookupEvents): Cancel => {
  let cancelled = false
  bun().dns.lookup(host, { backend: "system" }).then(
    (found) => cancelled || events.onFound(found.map(({ address }) => address)),
    (error: unknown) => cancelled || events.onFail(error)
  )
  return () => {
    cancelled = true
  }
}

/**
 * Bun's sockets as a transport.
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
    unixAbstract: process.platform === "linux",
    datagram: true,
    datagramReusePort: true,
    datagramBuffers: true,
    datagramErrors: true,
    multicastSourceV6: true
  },
  maxPathBytes,
  connect,
  listen: listenWithFile({ connect, listen, isBound }),
  bindDatagram,
  lookup,
  classify,
  afterPoll(callback, millis = 0) {
    if (millis > 0) setTimeout(callback, millis)
    else afterPoll(callback)
  }
}

/**
 * The network of Bun.
 *
 * @category layers
 */
export const layer: Layer.Layer<Network.Network> = Network.layer(transport)
