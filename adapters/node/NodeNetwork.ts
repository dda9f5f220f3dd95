/**
 * The network of Node, over `node:net` and `node:dgram`.
 * `net` accepts at once, whatever the core wants (`acceptPause` false), and drops connections by itself when descriptors run out.
 * It also works under the `node:net` of Deno and Bun; the Deno adapter uses it for what Deno's own sockets lack.
 */
import { existsSync } from "node:fs"
import * as net from "node:net"
import { dirname } from "node:path"
import process from "node:process"
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
  StreamOptions,
  Transport
} from "../../src/Transport.ts"
import { listenWithFile, maxPathBytes } from "../socketFile.ts"
import { lookup } from "./lookup.ts"
import { bindDatagram } from "./NodeDatagram.ts"
import { dial } from "./DialledStream.ts"
import { acceptedWith, dialledWith, isNode, NodeStream } from "./NodeStream.ts"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
/** libuv before 1.48 fills an abstract name up with NULs, which makes it another name (libuv/libuv#4266). */
const [uvMajor = 0, uvMinor = 0] = (process.versions["uv"] ?? "").split(".").map(Number)
const hasAbstractNames = process.platform === "linux" && (uvMajor > 1 || uvMinor >= 48)
const hasReusePort = isNode && (major > 23 || (major === 23 && minor >= 1))

const pathOf = (endpoint: Endpoint): string | undefined => "path" in endpoint ? endpoint.path : undefined

/** `onread` is Node's alone to be trusted with. */
const dialPlainly = (options: StreamOptions) => {
  const socket = new net.Socket(dialledWith(options))
  return { socket, opened: (path: string | undefined) => new NodeStream(socket, options, path) }
}

const connect = (request: ConnectRequest, events: ConnectEvents): Cancel => {
  const { opened, socket } = isNode ? dial(request) : dialPlainly(request)
  let settled = false
  const onFail = (error: unknown) => {
    if (settled) return
    settled = true
    events.onFail(named(error, request))
  }
  const onConnect = () => {
    settled = true
    socket.off("error", onFail)
    const handle = opened(pathOf(request.endpoint))
    handle.events = events.onOpen(handle)
  }
  socket.pause()
  socket.on("error", onFail)
  socket.once("connect", onConnect)
  try {
    socket.connect({
      ...request.endpoint,
      ...(request.localAddress === undefined ? {} : { localAddress: request.localAddress }),
      ...(request.localPort === undefined ? {} : { localPort: request.localPort })
    } as net.SocketConnectOpts)
  } catch (error) {
    // Deno's permission model throws at once where Node reports later.
    queueMicrotask(() => onFail(error))
  }
  return () => {
    if (settled) return
    settled = true
    socket.off("connect", onConnect)
    socket.destroy()
  }
}

/**
 * Of the connect and not of the bind, EADDRNOTAVAIL says that the local address is this machine's and has no port left for the peer
 * (connect(2)). Deno knows it only as EINVAL, which is that as long as a port was asked for.
 */
const named = (error: unknown, { localPort = 0 }: ConnectRequest): unknown => {
  const { code, syscall } = error as NodeJS.ErrnoException
  const isTaken = syscall === "connect" &&
    (code === "EADDRNOTAVAIL" || (code === "EINVAL" && !isNode && localPort > 0))
  return isTaken ? Object.assign(error as Error, { code: "EADDRINUSE" }) : error
}

/** libuv calls a missing folder EACCES when it binds a path, as Windows does (`uv_pipe_bind2`). */
const noFolder = (error: Error): Error => Object.assign(error, { code: "ENOENT" })

const listen = (request: ListenRequest, events: ListenEvents): Cancel => {
  const path = pathOf(request.endpoint)
  const server = net.createServer({
    ...acceptedWith(request),
    pauseOnConnect: true,
    highWaterMark: request.writeBuffer
  })
  let state: "opening" | "open" | "closed" = "opening"
  const close = () => {
    if (state === "closed") return
    const wasOpen = state === "open"
    state = "closed"
    // The port is free when close returns; the event of that name waits for the connections too.
    server.close()
    if (wasOpen) queueMicrotask(() => events.onClose())
  }
  server.on("error", (error) => {
    if (state === "open") events.onAcceptError(error)
    else if (state === "opening") {
      state = "closed"
      events.onFail(path !== undefined && !existsSync(dirname(path)) ? noFolder(error) : error)
    }
  })
  server.on("connection", (socket) => {
    if (path === undefined && socket.remoteAddress === undefined) {
      socket.on("error", () => {})
      socket.destroy()
      events.onAcceptError(
        Object.assign(new Error("connection reset before it was accepted"), { code: "ECONNABORTED" })
      )
      return
    }
    const handle = new NodeStream(socket, request, path)
    const wanted = events.onAccept(handle)
    if (wanted === undefined) handle.reset()
    else handle.events = wanted
  })
  server.listen({
    ...request.endpoint,
    ...(request.backlog === undefined ? {} : { backlog: request.backlog }),
    ...(request.reusePort ? { reusePort: true } : {}),
    ipv6Only: request.ipv6Only
  }, () => {
    if (state !== "opening") return
    state = "open"
    const address = server.address() as net.AddressInfo | string
    const handle: ListenerHandle = {
      localAddress: typeof address === "string" ? { path: address } : { host: address.address, port: address.port },
      pause() {},
      resume() {},
      close
    }
    events.onListening(handle)
  })
  return close
}

/**
 * Node's sockets as a transport.
 *
 * @category transports
 */
export const transport: Transport = {
  runtime: "node",
  capabilities: {
    reset: true,
    acceptPause: false,
    backlog: true,
    reusePort: hasReusePort,
    ipv6Only: true,
    localAddress: true,
    keepAliveDelay: true,
    resetVisible: true,
    unreachableVisible: true,
    unix: true,
    unixAbstract: hasAbstractNames,
    datagram: true,
    datagramReusePort: hasReusePort,
    datagramBuffers: true,
    datagramErrors: true,
    multicastSourceV6: true
  },
  maxPathBytes,
  connect,
  listen: listenWithFile({ connect, listen }),
  bindDatagram,
  lookup,
  classify,
  afterPoll(callback, millis = 0) {
    if (millis > 0) setTimeout(callback, millis)
    // Twice: the first may come in the same turn of the loop, before its next look at the sockets.
    else setImmediate(() => void setImmediate(callback))
  }
}

/**
 * The network of Node.
 *
 * @category layers
 */
export const layer: Layer.Layer<Network.Network> = Network.layer(transport)
