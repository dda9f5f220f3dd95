/**
 * The network of Deno: TCP and Unix streams over `Deno.connect` and `Deno.listen`. What these cannot do is left to its
 * `node:net`, for the sockets that ask for it: abortive close (`resettable`; the native `close` sends FIN first) and
 * a local address to dial from (natively ignored in silence). Such a listener accepts at once, paused or not.
 */
import process from "node:process"
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
import { isBroadcast } from "../interfaces.ts"
import { listenWithFile, maxPathBytes } from "../socketFile.ts"
import { transport as compat } from "../node/NodeNetwork.ts"
import { lookup } from "../node/lookup.ts"
import { deno, hasUnstableNet, mayLookAtInterfaces, mayUse, mayUseAll, toOptions } from "./DenoApi.ts"
import { bindDatagram } from "./DenoDatagram.ts"
import { DenoListener } from "./DenoListener.ts"
import { DenoStream } from "./DenoStream.ts"

/** A Unix socket has no reset, on any runtime. */
const wantsReset = ({ endpoint, resettable }: ConnectRequest | ListenRequest): boolean =>
  resettable && "host" in endpoint

const wantsLocalAddress = ({ localAddress, localPort = 0 }: ConnectRequest): boolean =>
  localAddress !== undefined || localPort > 0

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

/**
 * What Deno's node-compatible modules say in other words than Node: EINVAL of an address or interface that is not this machine's, and
 * UNKNOWN of a datagram that it may not send, or not without the option to broadcast.
 */
const classifyBoth = (error: unknown): Failure => {
  const failure = classify(error)
  const { code, message } = failure
  if (code === "EINVAL" && foreign.test(message)) return { ...failure, kind: "AddressNotAvailable" }
  return code === "UNKNOWN" && isForbidden(error as SendError) ? { ...failure, kind: "PermissionDenied" } : failure
}

interface SendError {
  readonly address?: string
  readonly port?: number
}

const isForbidden = ({ address, port }: SendError): boolean =>
  address !== undefined && port !== undefined &&
  (!mayUse({ host: address, port }) || (mayLookAtInterfaces() && isBroadcast(address)))

const foreign = /^(bind|listen|addMembership|addSourceSpecificMembership|setMulticastInterface) EINVAL/

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
    unixAbstract: process.platform === "linux",
    datagram: true,
    datagramReusePort: false,
    datagramBuffers: false,
    datagramErrors: false,
    multicastSourceV6: false
  },
  maxPathBytes,
  connect,
  listen: listenWithFile({ connect, listen }),
  bindDatagram,
  lookup,
  dialsNames: () => !mayUseAll(),
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
