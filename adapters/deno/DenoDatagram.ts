/**
 * Datagram sockets of Deno, over its `node:dgram`: its own are there with `--unstable-net` only, and know neither a
 * peer nor an interface. That module ends the process where permission to bind is lacking, so it is asked for here
 * first; its connected sockets hear everybody, so strangers are dropped here; sends under way overtake each other, so
 * there is one; and each datagram comes in 64 KiB, so it is copied.
 */
import type {
  BindDatagramEvents,
  DatagramEvents,
  DatagramHandle,
  DatagramRequest,
  OutgoingDatagram
} from "../../src/DatagramTransport.ts"
import { isLoopback, isUnspecified } from "../../src/SocketAddress.ts"
import type { Cancel, InetEndpoint } from "../../src/Transport.ts"
import { bindDatagram as bindCompat } from "../node/NodeDatagram.ts"
import { requestNet } from "./DenoApi.ts"

export const bindDatagram = (request: DatagramRequest, events: BindDatagramEvents): Cancel => {
  let cancel: Cancel | undefined
  let cancelled = false
  const local = localized(request)
  const open = async () => {
    for (const endpoint of [local.endpoint, local.remote ?? local.endpoint]) {
      const permitted = await requestNet(endpoint)
      if (cancelled) return
      if (!permitted) return events.onFail(notCapable(endpoint))
    }
    cancel = bindCompat(local, {
      onOpen: (handle) => filtered(events.onOpen(ordered(handle)), request.remote),
      onFail: (error) => events.onFail(error)
    })
  }
  void open()
  return () => {
    cancelled = true
    cancel?.()
  }
}

/**
 * A connected socket of the kernel has the address that its datagrams leave from; for a peer on this machine that is
 * known here too.
 */
const localized = (request: DatagramRequest): DatagramRequest => {
  const { endpoint, remote } = request
  if (remote === undefined || !isLoopback(remote.host) || !isUnspecified(endpoint.host)) return request
  return { ...request, endpoint: { host: remote.host.includes(":") ? "::1" : "127.0.0.1", port: endpoint.port } }
}

const ordered = (handle: DatagramHandle): DatagramHandle => {
  let last = Promise.resolve()
  const sent = (datagram: OutgoingDatagram) =>
    new Promise<void>((resolve) =>
      handle.send({
        ...datagram,
        done(error) {
          datagram.done(error)
          resolve()
        }
      })
    )
  const send = (datagram: OutgoingDatagram) => {
    last = last.then(() => sent(datagram))
  }
  return {
    localAddress: handle.localAddress,
    send,
    sendMany: (datagrams) => datagrams.forEach(send),
    configure: (settings) => handle.configure(settings),
    join: (membership) => handle.join(membership),
    leave: (membership) => handle.leave(membership),
    close: () => handle.close()
  }
}

const filtered = (events: DatagramEvents, remote: InetEndpoint | undefined): DatagramEvents => ({
  onMessage(bytes, host, port, truncated) {
    if (remote === undefined || (port === remote.port && host === bare(remote.host))) {
      events.onMessage(exact(bytes), host, port, truncated)
    }
  },
  onError: (error) => events.onError(error),
  onClose: () => events.onClose()
})

/** Deno does not tell the scope id of a sender. */
const bare = (host: string): string => host.replace(/%.*/, "")

const exact = (bytes: Uint8Array): Uint8Array =>
  bytes.length * 2 < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes

const notCapable = ({ host, port }: InetEndpoint): Error =>
  Object.assign(new Error(`Requires net access to "${host}:${port}", run again with the --allow-net flag`), {
    name: "NotCapable"
  })
