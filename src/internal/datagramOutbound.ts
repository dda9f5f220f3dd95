/**
 * The sending half of a datagram socket: where a datagram goes, whether it may be so long, and when the kernel has
 * taken it. Sizes and addresses are checked before the runtime is asked. Interrupting a sender stops the waiting alone.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DatagramHandle, OutgoingDatagram } from "../DatagramTransport.ts"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import * as SocketAddress from "../SocketAddress.ts"
import type { Transport } from "../Transport.ts"
import { familyOf, mapped, resolve } from "./lookup.ts"
import { nextTurn, type Resume, wake } from "./turn.ts"

export type Message = Uint8Array | string

/** A datagram that has passed all checks; `to` is `undefined` on a connected socket. */
export interface Prepared {
  readonly bytes: Uint8Array
  readonly to: SocketAddress.InetAddress | undefined
}

type Settle = (exit: Exit.Exit<void, NetError.DatagramError>) => void

const sendKinds: ReadonlySet<ErrorKind> = new Set([
  "ConnectionRefused",
  "HostUnreachable",
  "NetworkUnreachable",
  "AddressNotAvailable",
  "PermissionDenied",
  "ResourceExhausted",
  "ConnectionClosed"
])

/**
 * What the network may have said (ICMP) of an earlier datagram, and a kernel with IP_RECVERR then answers to the next
 * send.
 */
const beforehand: ReadonlySet<ErrorKind> = new Set(["ConnectionRefused", "HostUnreachable", "NetworkUnreachable"])
const attempts = 4

/**
 * A datagram's length field has 16 bits: less 8 for its header, and 20 more where IPv4 counts its own (RFC 768, RFC
 * 791, RFC 8200).
 */
const largest = (host: string): number => host.includes(":") && !host.startsWith("::ffff:") ? 65527 : 65507

const encoder = new TextEncoder()

export class DatagramOutbound {
  sent = 0
  closed = false
  /** What the kernel would refuse without it, Deno refuses without saying why. */
  broadcast = false
  readonly #handle: DatagramHandle
  readonly #transport: Transport
  readonly #address: SocketAddress.InetAddress
  readonly #remote: SocketAddress.InetAddress | undefined
  readonly #family: 4 | 6

  constructor(
    handle: DatagramHandle,
    transport: Transport,
    address: SocketAddress.InetAddress,
    remote: SocketAddress.InetAddress | undefined
  ) {
    this.#handle = handle
    this.#transport = transport
    this.#address = address
    this.#remote = remote
    this.#family = address.host.includes(":") ? 6 : 4
  }

  send(message: Message, to: SocketAddress.AddressInput | undefined): Effect.Effect<void, NetError.DatagramError> {
    const prepared = this.prepare(message, to)
    if (!isExit(prepared)) return Effect.flatMap(prepared, (datagram) => this.transmit(datagram))
    return Exit.isSuccess(prepared) ? this.transmit(prepared.value) : prepared
  }

  sendMany(
    messages: Iterable<Message | readonly [Message, SocketAddress.AddressInput]>
  ): Effect.Effect<void, NetError.DatagramError> {
    const all = Array.from(
      messages,
      (entry) =>
        typeof entry === "string" || entry instanceof Uint8Array
          ? this.prepare(entry, undefined)
          : this.prepare(...entry)
    )
    const ready: Array<Prepared> = []
    for (const prepared of all) {
      if (!isExit(prepared)) return Effect.flatMap(Effect.all(all), (datagrams) => this.#transmitAll(datagrams))
      if (Exit.isFailure(prepared)) return prepared
      ready.push(prepared.value)
    }
    return this.#transmitAll(ready)
  }

  /** An `Exit` unless a name has to be looked up. */
  prepare(
    message: Message,
    to: SocketAddress.AddressInput | undefined
  ): Effect.Effect<Prepared, NetError.DatagramError> {
    const bytes = typeof message === "string" ? encoder.encode(message) : message
    if (this.#remote !== undefined) {
      return to === undefined
        ? this.#sized(bytes, undefined)
        : invalid("to", to, "given: a connected socket has one peer")
    }
    if (to === undefined) return invalid("to", to, "an address")
    const parsed = SocketAddress.isInetAddress(to) ? to : SocketAddress.fromInput(to)
    if (SocketAddress.isInetAddress(parsed)) return this.#addressed(bytes, parsed)
    if (parsed._tag === "Left") return Exit.fail(parsed.left)
    if (parsed.right._tag === "UnixAddress") return invalid("to", to, "an IP address or host name, and a port")
    return this.#addressed(bytes, parsed.right)
  }

  #addressed(bytes: Uint8Array, to: SocketAddress.InetAddress): Effect.Effect<Prepared, NetError.DatagramError> {
    if (to.port === 0) return invalid("port", 0, "a port to send to")
    const family = familyOf(to.host)
    if (family === undefined) {
      return Effect.flatMap(resolve(this.#transport, to, "send", this.#family), (found) => this.#sized(bytes, found))
    }
    if (to.host === "255.255.255.255" && !this.broadcast) {
      return Exit.fail(new NetError.PermissionDenied({ operation: "send", address: to }))
    }
    if (family === this.#family) return this.#sized(bytes, reachable(to))
    if (family === 4) return this.#sized(bytes, new SocketAddress.InetAddress(mapped(reachable(to).host), to.port))
    const unmapped = SocketAddress.unmap(to)
    return familyOf((unmapped as SocketAddress.InetAddress).host) === 4
      ? this.#sized(bytes, unmapped as SocketAddress.InetAddress)
      : invalid("to", to, `an IPv4 address, as ${this.#address} is`)
  }

  #sized(bytes: Uint8Array, to: SocketAddress.InetAddress | undefined): Exit.Exit<Prepared, NetError.DatagramError> {
    const address = to ?? this.#remote!
    const limit = largest(address.host)
    return bytes.length <= limit
      ? Exit.succeed({ bytes, to })
      : Exit.fail(new NetError.MessageTooLarge({ operation: "send", address, size: bytes.length, limit }))
  }

  /** Sends one datagram; settles at once where the kernel takes it at once and the runtime says so. */
  transmit(datagram: Prepared): Effect.Effect<void, NetError.DatagramError> {
    return awaiting((settle) => this.#transmit(datagram, settle))
  }

  /** Sends to an address that a datagram came from, without a fiber that waits. */
  answer(message: Message, to: SocketAddress.InetAddress, settle: Settle): void {
    const prepared = this.prepare(message, to) as Exit.Exit<Prepared, NetError.DatagramError>
    if (Exit.isSuccess(prepared)) this.#transmit(prepared.value, settle)
    else settle(prepared)
  }

  #transmit(datagram: Prepared, settle: Settle): void {
    this.#handle.send(this.#outgoing(datagram, settle, 1))
  }

  #transmitAll(datagrams: ReadonlyArray<Prepared>): Effect.Effect<void, NetError.DatagramError> {
    if (datagrams.length === 0) return Effect.void
    return awaiting((settle) => {
      let left = datagrams.length
      let result: Exit.Exit<void, NetError.DatagramError> = Exit.void
      const one: Settle = (exit) => {
        if (Exit.isSuccess(result)) result = exit
        if (--left === 0) settle(result)
      }
      this.#handle.sendMany(datagrams.map((datagram) => this.#outgoing(datagram, one, 1)))
    })
  }

  #outgoing(datagram: Prepared, settle: Settle, attempt: number): OutgoingDatagram {
    const { bytes, to } = datagram
    return {
      bytes,
      to,
      done: (cause) => {
        if (cause === undefined || cause === null) {
          this.sent++
          return settle(Exit.void)
        }
        const address = to ?? this.#remote
        if (this.closed) return settle(Exit.fail(new NetError.ConnectionClosed({ operation: "send", address, cause })))
        const failure = this.#transport.classify(cause)
        // Without a connection it is about some other peer, and this datagram has not left.
        if (to !== undefined && attempt < attempts && beforehand.has(failure.kind)) {
          return this.#handle.send(this.#outgoing(datagram, settle, attempt + 1))
        }
        settle(
          Exit.fail(
            NetError.fromFailure<NetError.DatagramError>(failure, sendKinds, { operation: "send", address, cause })
          )
        )
      }
    }
  }
}

/** Whether an effect has its result already. */
const isExit = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

/** Runs what settles once, at once or later; suspends only in the second case. */
const awaiting = (run: (settle: Settle) => void): Effect.Effect<void, NetError.DatagramError> => {
  let settled: Exit.Exit<void, NetError.DatagramError> | undefined
  let resume: Resume<void, NetError.DatagramError> | undefined
  run((exit) => {
    if (resume === undefined) settled = exit
    else {
      nextTurn()
      wake(resume, exit)
    }
  })
  return settled ?? Effect.async((callback) => {
    if (settled === undefined) resume = callback
    else callback(settled)
  })
}

/** A wildcard address as a destination means this host, which Linux alone understands. */
export const reachable = (address: SocketAddress.InetAddress): SocketAddress.InetAddress => {
  if (address.host === "0.0.0.0") return new SocketAddress.InetAddress("127.0.0.1", address.port)
  return address.host === "::" ? new SocketAddress.InetAddress("::1", address.port) : address
}

const invalid = (option: string, value: unknown, expected: string): Exit.Exit<never, NetError.InvalidOption> =>
  Exit.fail(new NetError.InvalidOption({ option, value, expected }))
