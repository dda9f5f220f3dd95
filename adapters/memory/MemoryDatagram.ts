/**
 * A datagram socket of a memory network: one machine whose interface is its loopback, with broadcast and multicast.
 * Nothing is lost, doubled or reordered on the way; a datagram is delivered in one task, and its sender told after
 * that. Where nobody is bound a connected sender is refused, as by ICMP; any other hears nothing.
 */
import type {
  DatagramEvents,
  DatagramHandle,
  DatagramRequest,
  DatagramSettings,
  Membership,
  OutgoingDatagram
} from "../../src/DatagramTransport.ts"
import { isMulticast, isUnspecified } from "../../src/SocketAddress.ts"
import type { InetEndpoint } from "../../src/Transport.ts"
import { type Binding, covers } from "./AddressSpace.ts"
import type { Kernel } from "./Kernel.ts"
import { systemError } from "./SystemError.ts"

const nobody: DatagramEvents = { onMessage() {}, onError() {}, onClose() {} }

const isSame = (a: InetEndpoint, b: InetEndpoint): boolean => a.host === b.host && a.port === b.port

export class MemoryDatagram implements DatagramHandle, Binding {
  events = nobody
  readonly localAddress: InetEndpoint
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  readonly #kernel: Kernel
  readonly #remote: InetEndpoint | undefined
  readonly #memberships: Array<Membership> = []
  #multicastInterface: string | undefined
  #broadcast = false
  #loopback = true
  #closed = false

  /** Throws as bind(2) and connect(2). */
  constructor(kernel: Kernel, { endpoint, ipv6Only, remote, reuseAddress, reusePort }: DatagramRequest) {
    const { datagrams } = kernel
    this.#kernel = kernel
    this.reusePort = reusePort || reuseAddress
    this.ipv6Only = ipv6Only
    const { host, port } = datagrams.resolveBinding(endpoint, this).localAddress as InetEndpoint
    this.#remote = remote && this.#destination(remote)
    this.localAddress = { host: this.#remote === undefined ? host : datagrams.sourceFor(this.#remote.host, host), port }
    datagrams.add(this)
  }

  send(datagram: OutgoingDatagram): void {
    this.#kernel.tasks.post(() => datagram.done(this.#deliver(datagram)))
  }

  sendMany(datagrams: ReadonlyArray<OutgoingDatagram>): void {
    for (const datagram of datagrams) this.send(datagram)
  }

  /** Time to live and the size of buffers mean nothing where no router and no queue is on the way. */
  configure({ broadcast, multicastInterface, multicastLoopback }: DatagramSettings): void {
    if (multicastInterface !== undefined) this.#multicastInterface = this.#interface(multicastInterface)
    this.#broadcast = broadcast ?? this.#broadcast
    this.#loopback = multicastLoopback ?? this.#loopback
  }

  join(membership: Membership): void {
    if (membership.interface !== undefined) this.#interface(membership.interface)
    this.#memberships.push({ ...membership, group: this.#kernel.datagrams.lookup(membership.group)[0]! })
  }

  leave(membership: Membership): void {
    const group = this.#kernel.datagrams.lookup(membership.group)[0]!
    const at = this.#memberships.findIndex((own) => own.group === group && own.source === membership.source)
    if (at === -1) throw systemError("leave", "EADDRNOTAVAIL", group)
    this.#memberships.splice(at, 1)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#kernel.datagrams.remove(this)
    this.#kernel.tasks.post(() => this.events.onClose())
  }

  /** The error that the sender gets, if any. */
  #deliver({ bytes, to }: OutgoingDatagram): unknown {
    if (this.#closed) return systemError("send", "EBADF")
    try {
      const destination = to === undefined ? this.#remote! : this.#destination(to)
      const from = { host: this.#sourceFor(destination.host), port: this.localAddress.port }
      const receivers = this.#receivers(destination, from)
      for (const { events } of receivers) events.onMessage(bytes.slice(), from.host, from.port, false)
      if (receivers.length === 0 && this.#remote !== undefined) this.events.onError(systemError("recv", "ECONNREFUSED"))
      return undefined
    } catch (error) {
      return error
    }
  }

  #destination(endpoint: InetEndpoint): InetEndpoint {
    return this.#kernel.datagrams.destinations(endpoint)[0] as InetEndpoint
  }

  /** What goes to many starts at the interface that it leaves by. */
  #sourceFor(host: string): string {
    const { datagrams } = this.#kernel
    const bound = this.localAddress.host
    if (!isMulticast(host) && !datagrams.isBroadcast(host)) return datagrams.sourceFor(host, bound)
    if (!isUnspecified(bound)) return bound
    return this.#multicastInterface ?? (host.includes(":") ? "::1" : "127.0.0.1")
  }

  #receivers(to: InetEndpoint, from: InetEndpoint): ReadonlyArray<MemoryDatagram> {
    const { datagrams } = this.#kernel
    const open = datagrams.boundTo(to.port).filter((socket) =>
      covers(socket, to.host) && (socket.#remote === undefined || isSame(socket.#remote, from))
    )
    if (isMulticast(to.host)) return this.#loopback ? open.filter((socket) => socket.#hears(to.host, from.host)) : []
    if (datagrams.isBroadcast(to.host)) {
      if (this.#broadcast) return open
      throw systemError("send", "EACCES", to)
    }
    if (!datagrams.isOwn(to.host)) throw systemError("send", "ENETUNREACH", to)
    return MemoryDatagram.#nearest(open, to, from)
  }

  /**
   * The one that a kernel chooses: the connected before the others, the address itself before a wildcard; sharers by
   * the sender's port.
   */
  static #nearest(
    open: ReadonlyArray<MemoryDatagram>,
    to: InetEndpoint,
    from: InetEndpoint
  ): ReadonlyArray<MemoryDatagram> {
    const connected = open.filter((socket) => socket.#remote !== undefined)
    const exact = open.filter(({ localAddress }) => localAddress.host === to.host)
    const candidates = [connected, exact, open].find(({ length }) => length > 0)
    return candidates === undefined ? [] : [candidates[from.port % candidates.length]!]
  }

  #hears(group: string, source: string): boolean {
    return this.#memberships.some((own) => own.group === group && (own.source === undefined || own.source === source))
  }

  #interface(text: string): string {
    if (text === "lo") return this.localAddress.host.includes(":") ? "::1" : "127.0.0.1"
    if (!/[.:]/.test(text) || !this.#kernel.datagrams.isOwn(text)) throw systemError("setsockopt", "ENODEV", text)
    return text
  }
}
