/**
 * The contract of datagram sockets: `UdpSocket` talks to anyone, `UdpConnection` to one peer. What comes waits in a
 * bounded queue whose drops are counted, as a kernel's are not; interrupting a receive loses no datagram. What the
 * network says of one peer never ends a socket, let alone a process.
 */
import type * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { MulticastOptions, UdpSettings } from "./internal/datagramOptions.ts"
import type { DatagramError, DatagramReceiveError, Unsupported } from "./NetError.ts"
import type { AddressInput, InetAddress } from "./SocketAddress.ts"

/**
 * Marks every datagram socket.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/Udp")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * One message as it came.
 *
 * @category models
 */
export interface Datagram {
  /** 0-65527 bytes; the receiver's own. */
  readonly bytes: Uint8Array
  /** Who sent it; can be answered as it is. Deno leaves out the scope id of a link-local address. */
  readonly from: InetAddress
  /** It was longer, and cut short. */
  readonly truncated: boolean
}

/**
 * What sockets of both kinds do. A socket lives in the Scope that it was opened in; when that closes its port is free
 * again.
 *
 * @category models
 */
export interface Socket {
  readonly [TypeId]: TypeId
  /** The address really bound: port 0 has become a port. */
  readonly address: InetAddress
  /**
   * The next datagram. Several may wait at once; interrupting one loses no datagram. Fails with `ConnectionClosed` once
   * the socket is closed, and on a connected one with what the network says of the peer, after which it can be called
   * again.
   */
  readonly receive: Effect.Effect<Datagram, DatagramReceiveError>
  /** The datagrams as they come; those that wait are emitted as one Chunk. Ends when the socket is closed. */
  readonly datagrams: Stream.Stream<Datagram, DatagramReceiveError>
  /**
   * Joins a multicast group of the socket's family for as long as the Scope lives. The socket is to be bound to a
   * wildcard address (`0.0.0.0`, `::`) and the port that is sent to; on Linux it then also hears the groups that other
   * sockets of this machine have joined.
   */
  readonly joinMulticast: (
    group: string,
    options?: MulticastOptions
  ) => Effect.Effect<void, DatagramError | Unsupported, Scope.Scope>
  /** Changes options; those left out stay as they are. */
  readonly configure: (settings: UdpSettings) => Effect.Effect<void, DatagramError>
  /** Figures, also after the close. */
  readonly stats: Effect.Effect<UdpStats>
  /**
   * Releases the socket at once. What waits to be received is lost, what waits to be sent fails with
   * `ConnectionClosed`.
   */
  readonly close: Effect.Effect<void>
}

/**
 * A socket that talks to anyone.
 *
 * @category models
 */
export interface UdpSocket extends Socket {
  /**
   * Sends one datagram, a string as UTF-8, and completes when the kernel has taken it; whether it arrives nobody says.
   * More than 65507 bytes over IPv4, or 65527 over IPv6, are `MessageTooLarge`. A host name is looked up each time.
   * Interrupting stops the waiting only; do not change the bytes before it completes.
   */
  readonly send: (message: Uint8Array | string, to: AddressInput) => Effect.Effect<void, DatagramError>
  /**
   * Sends many, with as few system calls as the runtime allows. All are checked before the first leaves; fails with the
   * first failure when all are done.
   */
  readonly sendMany: (
    messages: Iterable<readonly [message: Uint8Array | string, to: AddressInput]>
  ) => Effect.Effect<void, DatagramError>
}

/**
 * A socket that talks to one peer and hears nobody else.
 *
 * @category models
 */
export interface UdpConnection extends Socket {
  readonly remoteAddress: InetAddress
  /**
   * As `UdpSocket.send`, to the peer. `ConnectionRefused` is about an earlier datagram; this one has then not been
   * sent.
   */
  readonly send: (message: Uint8Array | string) => Effect.Effect<void, DatagramError>
  /** As `UdpSocket.sendMany`, to the peer. */
  readonly sendMany: (messages: Iterable<Uint8Array | string>) => Effect.Effect<void, DatagramError>
}

/**
 * @category models
 */
export interface UdpStats {
  /**
   * Datagrams that have come, dropped ones included. What the kernel drops because this process is too slow nobody
   * counts.
   */
  readonly received: number
  /** Datagrams that the kernel has taken. */
  readonly sent: number
  /** Datagrams that found the queue full, or made room in it. */
  readonly dropped: number
  /** Datagrams, and their bytes, that wait to be received. */
  readonly queued: number
  readonly queuedBytes: number
  /** How often the network said that something could not be delivered. */
  readonly errors: number
}

/**
 * Whether a value is a datagram socket.
 *
 * @category guards
 */
export const isSocket = (u: unknown): u is Socket => hasProperty(u, TypeId)
