/**
 * Datagram sockets over `node:dgram`, for Node and for what the sockets of Deno and Bun lack. A datagram is never cut
 * short: Node reads into 64 KiB. An ICMP error comes as an `error` event, on a connected socket only. Names never reach
 * it, so its look-up answers at once; without that a datagram would wait for the next tick, and be lost by a close.
 */
import * as dgram from "node:dgram"
import { setImmediate } from "node:timers"
import type {
  BindDatagramEvents,
  DatagramEvents,
  DatagramHandle,
  DatagramRequest,
  DatagramSettings,
  Membership,
  OutgoingDatagram
} from "../../src/DatagramTransport.ts"
import type { Cancel, InetEndpoint } from "../../src/Transport.ts"
import { interfaceFor } from "../interfaces.ts"

type Lookup = NonNullable<dgram.SocketOptions["lookup"]>

const lookup =
  ((host: string, family: number, callback: (error: null, host: string, family: number) => void) =>
    callback(null, host, family)) as unknown as Lookup

/**
 * Node says what became of a datagram before it goes back to the event loop: who sends on and on would keep it from
 * timers and from what comes. So every 64th answer waits for the loop.
 */
const fairly = (done: OutgoingDatagram["done"]): OutgoingDatagram["done"] =>
  ++answers % 64 === 0 ? (error) => setImmediate(done, error) : done
let answers = 0

const familyOf = ({ host }: InetEndpoint): 4 | 6 => host.includes(":") ? 6 : 4

export const bindDatagram = (request: DatagramRequest, events: BindDatagramEvents): Cancel => {
  const { endpoint, ipv6Only, recvBufferSize, remote, reuseAddress, reusePort, sendBufferSize } = request
  const family = familyOf(endpoint)
  const socket = dgram.createSocket({
    type: family === 6 ? "udp6" : "udp4",
    reuseAddr: reuseAddress,
    ...(reusePort ? { reusePort } : {}),
    ipv6Only: ipv6Only && family === 6,
    lookup
  } as dgram.SocketOptions)
  let settled = false
  const settle = () => {
    const first = !settled
    settled = true
    return first
  }
  const onFail = (error: unknown) => {
    if (!settle()) return
    close(socket)
    events.onFail(error)
  }
  const onOpen = () => {
    if (!settle()) return
    socket.off("error", onFail)
    const handle = new NodeDatagram(socket, family)
    handle.attach(events.onOpen(handle))
  }
  const onBound = () => {
    try {
      if (recvBufferSize !== undefined) socket.setRecvBufferSize(recvBufferSize)
      if (sendBufferSize !== undefined) socket.setSendBufferSize(sendBufferSize)
      if (remote === undefined) onOpen()
      else socket.connect(remote.port, remote.host, ((error?: Error) => error ? onFail(error) : onOpen()) as () => void)
    } catch (error) {
      onFail(error)
    }
  }
  socket.on("error", onFail)
  socket.bind({ address: endpoint.host, port: endpoint.port }, onBound)
  return () => {
    if (settle()) close(socket)
  }
}

const close = (socket: dgram.Socket): void => {
  try {
    socket.close()
  } catch {
    // Closed already.
  }
}

export class NodeDatagram implements DatagramHandle {
  readonly localAddress: InetEndpoint
  readonly #socket: dgram.Socket
  readonly #family: 4 | 6

  constructor(socket: dgram.Socket, family: 4 | 6) {
    const { address, port } = socket.address()
    this.#socket = socket
    this.#family = family
    this.localAddress = { host: address, port }
  }

  attach(events: DatagramEvents): void {
    this.#socket.on("message", (bytes, { address, port }) => events.onMessage(bytes, address, port, false))
    this.#socket.on("error", (error) => events.onError(error))
    this.#socket.on("close", () => events.onClose())
  }

  send({ bytes, done, to }: OutgoingDatagram): void {
    try {
      if (to === undefined) this.#socket.send(bytes, fairly(done))
      else this.#socket.send(bytes, to.port, to.host, fairly(done))
    } catch (error) {
      done(error)
    }
  }

  sendMany(datagrams: ReadonlyArray<OutgoingDatagram>): void {
    for (const datagram of datagrams) this.send(datagram)
  }

  configure({ broadcast, multicastInterface, multicastLoopback, multicastTtl, ttl }: DatagramSettings): void {
    const socket = this.#socket
    if (broadcast !== undefined) socket.setBroadcast(broadcast)
    if (ttl !== undefined) socket.setTTL(ttl)
    if (multicastTtl !== undefined) socket.setMulticastTTL(multicastTtl)
    if (multicastLoopback !== undefined) socket.setMulticastLoopback(multicastLoopback)
    if (multicastInterface !== undefined) socket.setMulticastInterface(interfaceFor(this.#family, multicastInterface))
  }

  join(membership: Membership): void {
    const { group, source } = membership
    const on = this.#interface(membership)
    if (source === undefined) this.#socket.addMembership(group, on)
    else this.#socket.addSourceSpecificMembership(source, group, on)
  }

  leave(membership: Membership): void {
    const { group, source } = membership
    const on = this.#interface(membership)
    if (source === undefined) this.#socket.dropMembership(group, on)
    else this.#socket.dropSourceSpecificMembership(source, group, on)
  }

  #interface({ interface: name }: Membership): string | undefined {
    return name === undefined ? undefined : interfaceFor(this.#family, name)
  }

  close(): void {
    close(this.#socket)
  }
}
