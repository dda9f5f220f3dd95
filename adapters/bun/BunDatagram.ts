/**
 * Datagram sockets of Bun, over `Bun.udpSocket`; those that share a port, set the size of a buffer or leave IPv4 alone
 * are opened by its `node:dgram`, for want of such options. What the kernel does not take at once waits here until it
 * does, in order. Bun has IP_RECVERR on: every ICMP error comes up, also without a connection, and fails the next send,
 * whoever that is to.
 */
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
import { bindDatagram as bindCompat } from "../node/NodeDatagram.ts"
import { bun, type BunUdpSocket } from "./BunApi.ts"

const wantsCompat = ({ ipv6Only, recvBufferSize, reuseAddress, reusePort, sendBufferSize }: DatagramRequest): boolean =>
  ipv6Only || reuseAddress || reusePort || recvBufferSize !== undefined || sendBufferSize !== undefined

const nobody: DatagramEvents = { onMessage() {}, onError() {}, onClose() {} }

export const bindDatagram = (request: DatagramRequest, events: BindDatagramEvents): Cancel => {
  if (wantsCompat(request)) return bindCompat(request, events)
  let cancelled = false
  const handle = new BunDatagram()
  handle.open(request).then(
    () => {
      if (cancelled) handle.close()
      else handle.events = events.onOpen(handle)
    },
    (error: unknown) => cancelled || events.onFail(error)
  )
  return () => {
    cancelled = true
  }
}

class BunDatagram implements DatagramHandle {
  events = nobody
  localAddress!: InetEndpoint
  #socket!: BunUdpSocket
  readonly #waiting: Array<OutgoingDatagram> = []
  #closed = false

  async open({ endpoint, remote }: DatagramRequest): Promise<void> {
    this.#socket = await bun().udpSocket({
      hostname: endpoint.host,
      port: endpoint.port,
      ...(remote === undefined ? {} : { connect: { hostname: remote.host, port: remote.port } }),
      binaryType: "uint8array",
      socket: {
        data: (_, bytes, port, host, flags) => this.events.onMessage(bytes, host, port, flags?.truncated === true),
        drain: () => this.#flush(),
        error: (...args) => this.events.onError(args.at(-1))
      }
    })
    const { address, port } = this.#socket.address
    this.localAddress = { host: address, port }
  }

  send(datagram: OutgoingDatagram): void {
    const answer = this.#waiting.length > 0 ? undefined : this.#hand(datagram)
    if (answer === undefined) this.#waiting.push(datagram)
    else datagram.done(answer.error)
  }

  /** What the runtime's own stops at has failed, or has found the kernel's buffer full: only `send` tells which. */
  sendMany(datagrams: ReadonlyArray<OutgoingDatagram>): void {
    let at = 0
    while (at < datagrams.length && this.#waiting.length === 0) {
      const end = at + this.#tryMany(datagrams.slice(at))
      while (at < end) datagrams[at++]!.done()
      if (at < datagrams.length) this.send(datagrams[at++]!)
    }
    while (at < datagrams.length) this.send(datagrams[at++]!)
  }

  /** How many were taken. */
  #tryMany(datagrams: ReadonlyArray<OutgoingDatagram>): number {
    try {
      return this.#socket.sendMany(
        datagrams.flatMap(({ bytes, to }) => to === undefined ? [bytes] : [bytes, to.port, to.host])
      )
    } catch {
      return 0
    }
  }

  /** The kernel's answer; none where it has no room. */
  #hand({ bytes, to }: OutgoingDatagram): { readonly error?: unknown } | undefined {
    try {
      const taken = to === undefined ? this.#socket.send(bytes) : this.#socket.send(bytes, to.port, to.host)
      return taken ? {} : undefined
    } catch (error) {
      return { error }
    }
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      const answer = this.#hand(this.#waiting[0]!)
      if (answer === undefined) return
      this.#waiting.shift()!.done(answer.error)
    }
  }

  configure({ broadcast, multicastInterface, multicastLoopback, multicastTtl, ttl }: DatagramSettings): void {
    const socket = this.#socket
    if (broadcast !== undefined) socket.setBroadcast(broadcast)
    if (ttl !== undefined) socket.setTTL(ttl)
    if (multicastTtl !== undefined) socket.setMulticastTTL(multicastTtl)
    if (multicastLoopback !== undefined) socket.setMulticastLoopback(multicastLoopback)
    if (multicastInterface !== undefined && !socket.setMulticastInterface(this.#interface(multicastInterface)!)) {
      throw Object.assign(new Error(`no interface ${multicastInterface}`), { code: "ENODEV" })
    }
  }

  join({ group, interface: name, source }: Membership): void {
    const on = this.#interface(name)
    if (source === undefined) this.#socket.addMembership(group, on)
    else this.#socket.addSourceSpecificMembership(source, group, on)
  }

  leave({ group, interface: name, source }: Membership): void {
    const on = this.#interface(name)
    if (source === undefined) this.#socket.dropMembership(group, on)
    else this.#socket.dropSourceSpecificMembership(source, group, on)
  }

  #interface(name: string | undefined): string | undefined {
    return name === undefined ? undefined : interfaceFor(this.localAddress.host.includes(":") ? 6 : 4, name)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.close()
    for (const { done } of this.#waiting.splice(0)) done(new Error("socket closed"))
    queueMicrotask(() => this.events.onClose())
  }
}
