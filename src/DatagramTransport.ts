/**
 * The seam for datagrams, beside that for streams in `Transport.ts`: verbs down, callbacks up, no Effect and no policy.
 * There is no pause: what nobody reads the core drops and counts, where a kernel would drop it in silence.
 * Addresses are IP addresses here; the core has looked names up.
 */
import type { InetEndpoint } from "./Transport.ts"

/** What a socket is opened with, for good. Values are validated. */
export interface DatagramRequest {
  readonly endpoint: InetEndpoint
  /** The one peer of a connected socket: what others send is not delivered, and every `send` goes to it. */
  readonly remote: InetEndpoint | undefined
  /** Shares the port with sockets that ask for the same (SO_REUSEADDR). */
  readonly reuseAddress: boolean
  /** Shares the port, and the datagrams by their sender, with sockets that ask for the same (SO_REUSEPORT). */
  readonly reusePort: boolean
  /** Leaves IPv4 to another socket on the same port. */
  readonly ipv6Only: boolean
  /** Bytes that the kernel holds before it drops; `undefined` leaves it to the system. */
  readonly recvBufferSize: number | undefined
  readonly sendBufferSize: number | undefined
}

/** What can be changed while a socket is open; `undefined` leaves as it is. Values are validated. */
export interface DatagramSettings {
  readonly broadcast?: boolean | undefined
  readonly ttl?: number | undefined
  readonly multicastTtl?: number | undefined
  readonly multicastLoopback?: boolean | undefined
  /** As `Membership.interface`. */
  readonly multicastInterface?: string | undefined
}

export interface Membership {
  /** A multicast address of the socket's family. */
  readonly group: string
  /** One of the interface's IP addresses, or its name; `undefined` leaves it to the system. */
  readonly interface: string | undefined
  /** Only what this address sends to the group (RFC 4607). */
  readonly source: string | undefined
}

/** One datagram to send. `to` is `undefined` on a connected socket, and only there. */
export interface OutgoingDatagram {
  /** Not touched after `done`. */
  readonly bytes: Uint8Array
  readonly to: InetEndpoint | undefined
  /** The kernel has taken it, or will not: exactly once, also from inside the verb, also after a close. */
  readonly done: (error?: unknown) => void
}

/**
 * One bound socket. Every verb is safe to call in any state; `configure`, `join` and `leave` throw the runtime's error.
 */
export interface DatagramHandle {
  /** The address really bound: port 0 has become a port. */
  readonly localAddress: InetEndpoint
  send(datagram: OutgoingDatagram): void
  /** As `send` of each in turn, with as few system calls as the runtime allows. */
  sendMany(datagrams: ReadonlyArray<OutgoingDatagram>): void
  configure(settings: DatagramSettings): void
  join(membership: Membership): void
  leave(membership: Membership): void
  /** Releases the descriptor at once and frees the port. Ends in `onClose`. */
  close(): void
}

/** What a datagram socket reports. `onClose` is the last and comes exactly once. */
export interface DatagramEvents {
  /**
   * A datagram, perhaps of no bytes, which are the receiver's to keep. `truncated`: it was longer. An IPv6 scope id
   * follows `%` in `host`.
   */
  onMessage(bytes: Uint8Array, host: string, port: number, truncated: boolean): void
  /** Something sent before could not be delivered (ICMP), or a receive failed; the socket lives on. */
  onError(error: unknown): void
  onClose(): void
}

/** Exactly one of the two is called, once; neither after the request was cancelled. */
export interface BindDatagramEvents {
  onOpen(handle: DatagramHandle): DatagramEvents
  onFail(error: unknown): void
}
