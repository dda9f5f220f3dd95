/**
 * The network of Deno: TCP and Unix streams over `Deno.connect` and `Deno.listen`. What these cannot do is left to its
 * `node:net`, for the sockets that ask for it: abortive close (`resettable`; the native `close` sends FIN first) and
 * a local address to dial from (natively ignored in silence). Such a listener accepts at once, paused or not.
 */
import type * as Layer from "effect/Layer"
import { classify } from "../../src/ErrorKind.ts"
import * as Network from "../../src/Network.ts"
import type {
  Cancel,
  ConnectEvents,
  ConnectRequest,
  Failure,
  ListenEvents,
  ListenRequest,
  Transport
} from "../../src/Transport.ts"
import { transport as compat } from "../node/NodeNetwork.ts"
import { deno, hasUnstableNet, toOptions } from "./DenoApi.ts"
import { DenoListener } from "./DenoListener.ts"
import { DenoStream } from "./DenoStream.ts"

/** A Unix socket has no reset, on any runtime. */
const wantsReset = ({ endpoint, resettable }: ConnectRequest | ListenRequest): boolean =>
  resettable && "host" in endpoint

const wantsLocalAddress = ({ localAddress, localPort }: ConnectRequest): boolean =>
  localAddress !== undefined || localPort !== undefined

const connect = (request: ConnectRequest, events: ConnectEvents): Cancel => {
  if (wantsReset(request) || wantsLocalAddress(request)) return compat.connect(request, events)
  const controller = cancellation()
  const { signal } = controller
  deno().connect({ ...toOptions(request.endpoint), signal }).then(
    (conn) => {
      if (signal.aborted) return conn.close()
      const stream = new DenoStream(conn, request)
      stream.events = events.onOpen(stream)
    },
    (error: unknown) => {
      if (!signal.aborted) events.onFail(error)
    }
  )
  return () => controller.abort()
}

/**
 * With an aborted signal `Deno.connect` throws even where the connection is open already, and nobody can close it then
 * (Deno 2.9). With a signal that does not throw, such a connection is handed over, and can be closed.
 */
const cancellation = (): AbortController => {
  const controller = new AbortController()
  Object.defineProperty(controller.signal, "throwIfAborted", { value: () => undefined })
  return controller
}

const listen = (request: ListenRequest, events: ListenEvents): Cancel => {
  if (wantsReset(request)) return compat.listen(request, events)
  let cancelled = false
  queueMicrotask(() => {
    if (!cancelled) listenNow(request, events)
  })
  return () => {
    cancelled = true
  }
}

const listenNow = (request: ListenRequest, events: ListenEvents): void => {
  const { backlog: tcpBacklog, endpoint, reusePort } = request
  let listener
  try {
    listener = deno().listen({
      ...toOptions(endpoint),
      ...(tcpBacklog === undefined ? {} : { tcpBacklog }),
      ...(reusePort ? { reusePort } : {})
    })
  } catch (error) {
    return events.onFail(error)
  }
  events.onListening(new DenoListener(listener, request, events))
}

/** Deno's `node:net` says EINVAL of an address that is not this machine's, where Node says EADDRNOTAVAIL. */
const classifyBoth = (error: unknown): Failure => {
  const failure = classify(error)
  const isBind = failure.code === "EINVAL" && /^(bind|listen) EINVAL/.test(failure.message)
  return isBind ? { ...failure, kind: "AddressNotAvailable" } : failure
}

/**
 * Deno's sockets as a transport. `reusePort` wants `--unstable-net`: without it Deno ends the process.
 *
 * @category transports
 */
export const transport: Transport = {
  runtime: "deno",
  capabilities: {
    reset: "onRequest",
    acceptPause: true,
    backlog: true,
    get reusePort() {
      return hasUnstableNet()
    },
    ipv6Only: false,
    localAddress: true,
    keepAliveDelay: false,
    resetVisible: true,
    unreachableVisible: true,
    unix: true,
    datagram: false
  },
  connect,
  listen,
  classify: classifyBoth,
  afterPoll(callback, millis = 0) {
    // A timer that is due runs before the sockets are polled, an immediate after.
    setTimeout(() => setImmediate(callback), millis)
  }
}

/**
 * The network of Deno.
 *
 * @category layers
 */
export const layer: Layer.Layer<Network.Network> = Network.layer(transport)
