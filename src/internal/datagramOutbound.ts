/**
 * The sending half of a datagram socket: where a datagram goes, whether it may be so long, and when the kernel has
 * taken it. Sizes and addresses are checked before the runtime is asked. Interrupting a sender stops the waiting alone.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { DatagramHandle, OutgoingDatagram } from "../DatagramTransport.ts"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import * as SocketAddress from "../SocketAddress.ts"
import type { Transport } from "../Transport.ts"
import { familyOf, mapped, resolve } from "./lookup.ts"
import { suspension } from "./suspension.ts"
import { currentFiber, nextTurn, type Resume, wakeFiber } from "./turn.ts"
import { toBytes } from "./writes.ts"

export type Message = Uint8Array | string

/** A datagram that has passed all checks; `to` is `undefined` on a connected socket. */
export class Prepared {
  readonly bytes: Uint8Array
  readonly to: SocketAddress.InetAddress | undefined
  constructor(bytes: Uint8Array, to: SocketAddress.InetAddress | undefined) {
    this.bytes = bytes
    this.to = to
  }
}

const isPrepared = (u: unknown): u is Prepared => u instanceof Prepared

type Settled = Exit.Exit<void, NetError.DatagramError>

/** Hears once what has become of a datagram, at once or later. */
export interface Listener {
  settle(exit: Settled): void
}

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
const largest = (host: string): number => host.includes(":") && !host.startsWith("::ffff:") ? 65527 : largestV4
const largestV4 = 65507

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
    return isPrepared(prepared)
      ? this.transmit(prepared)
      : Effect.flatMap(prepared, (datagram) => this.transmit(datagram))
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
    return all.every(isPrepared) ? this.#transmitAll(all) : Effect.flatMap(
      Effect.forEach(all, (prepared) => isPrepared(prepared) ? Exit.succeed(prepared) : prepared),
      (datagrams) => this.#transmitAll(datagrams)
    )
  }

  /** An effect only where it fails, or a name has to be looked up. */
  prepare(
    message: Message,
    to: SocketAddress.AddressInput | undefined
  ): Prepared | Effect.Effect<Prepared, NetError.DatagramError> {
    let bytes: Uint8Array
    try {
      bytes = toBytes(message)
    } catch (error) {
      return Exit.fail(error as NetError.InvalidOption)
    }
    if (this.#remote !== undefined) {
      return to === undefined
        ? this.#sized(bytes, undefined)
        : invalid("to", to, "given: a connected socket has one peer")
    }
    if (to === undefined) return invalid("to", to, "an address")
    if (to instanceof SocketAddress.InetAddress) return this.#addressed(bytes, to)
    const parsed = SocketAddress.isInetAddress(to) ? Either.right(to) : SocketAddress.fromInput(to)
    if (parsed._tag === "Left") return Exit.fail(parsed.left)
    if (parsed.right._tag === "UnixAddress") return invalid("to", to, "an IP address or host name, and a port")
    return this.#addressed(bytes, parsed.right)
  }

  #addressed(
    bytes: Uint8Array,
    to: SocketAddress.InetAddress
  ): Prepared | Effect.Effect<Prepared, NetError.DatagramError> {
    if (to.port === 0) return invalid("port", 0, "a port to send to")
    const family = familyOf(to.host)
    if (family === undefined) {
      return Effect.flatMap(resolve(this.#transport, to, "send", this.#family), (found) => {
        const prepared = this.#sized(bytes, found)
        return isPrepared(prepared) ? Exit.succeed(prepared) : prepared
      })
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

  #sized(
    bytes: Uint8Array,
    to: SocketAddress.InetAddress | undefined
  ): Prepared | Exit.Exit<never, NetError.MessageTooLarge> {
    if (bytes.length <= largestV4) return new Prepared(bytes, to)
    const address = to ?? this.#remote!
    const limit = largest(address.host)
    return bytes.length <= limit
      ? new Prepared(bytes, to)
      : Exit.fail(new NetError.MessageTooLarge({ operation: "send", address, size: bytes.length, limit }))
  }

  /** Sends one datagram; settles at once where the kernel takes it at once and the runtime says so. */
  transmit(datagram: Prepared): Effect.Effect<void, NetError.DatagramError> {
    const outcome = new Outcome()
    this.#handle.send(new Transmission(this, datagram, outcome))
    return outcome.wait()
  }

  /** Sends to an address that a datagram came from, without a fiber that waits. */
  answer(message: Message, to: SocketAddress.InetAddress, listener: Listener): void {
    const prepared = this.prepare(message, to)
    if (isPrepared(prepared)) this.#handle.send(new Transmission(this, prepared, listener))
    else listener.settle(prepared as Exit.Exit<never, NetError.DatagramError>)
  }

  #transmitAll(datagrams: ReadonlyArray<Prepared>): Effect.Effect<void, NetError.DatagramError> {
    if (datagrams.length === 0) return Effect.void
    const outcome = new Outcome()
    let left = datagrams.length
    let result: Settled = Exit.void
    const each: Listener = {
      settle(exit) {
        if (Exit.isSuccess(result)) result = exit
        if (--left === 0) outcome.settle(result)
      }
    }
    this.#handle.sendMany(datagrams.map((datagram) => new Transmission(this, datagram, each)))
    return outcome.wait()
  }

  /** Sends once more what has not left; else tells why it has not. */
  failed(transmission: Transmission, cause: unknown): NetError.DatagramError | undefined {
    const { to } = transmission
    const address = to ?? this.#remote
    if (this.closed) return new NetError.ConnectionClosed({ operation: "send", address, cause })
    const failure = this.#transport.classify(cause)
    // Without a connection it is about some other peer, and this datagram has not left.
    if (to !== undefined && beforehand.has(failure.kind) && transmission.again()) {
      this.#handle.send(transmission)
      return undefined
    }
    return NetError.fromFailure<NetError.DatagramError>(failure, sendKinds, { operation: "send", address, cause })
  }
}

/** One datagram on its way to the kernel. */
class Transmission implements OutgoingDatagram {
  readonly bytes: Uint8Array
  readonly to: SocketAddress.InetAddress | undefined
  #attempt = 1
  readonly #outbound: DatagramOutbound
  readonly #listener: Listener

  constructor(outbound: DatagramOutbound, { bytes, to }: Prepared, listener: Listener) {
    this.bytes = bytes
    this.to = to
    this.#outbound = outbound
    this.#listener = listener
  }

  readonly done = (cause?: unknown): void => {
    if (cause === undefined || cause === null) {
      this.#outbound.sent++
      return this.#listener.settle(Exit.void)
    }
    const error = this.#outbound.failed(this, cause)
    if (error !== undefined) this.#listener.settle(Exit.fail(error))
  }

  /** Whether it may be tried once more. */
  again(): boolean {
    return this.#attempt++ < attempts
  }
}

/** The result of a send, and the fiber that waits for it. */
class Outcome implements Listener {
  #exit: Settled | undefined
  #fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  #resume: Resume<void, NetError.DatagramError> | undefined

  settle(exit: Settled): void {
    this.#exit = exit
    if (this.#resume === undefined) return
    nextTurn()
    wakeFiber(this.#fiber, this.#resume, exit)
  }

  /** Suspends only where there is none yet. */
  wait(): Effect.Effect<void, NetError.DatagramError> {
    return this.#exit ?? suspension((resume) => {
      if (this.#exit !== undefined) return resume(this.#exit)
      this.#fiber = currentFiber()
      this.#resume = resume
    })
  }
}

/** A wildcard address as a destination means this host, which Linux alone understands. */
export const reachable = (address: SocketAddress.InetAddress): SocketAddress.InetAddress => {
  if (address.host === "0.0.0.0") return new SocketAddress.InetAddress("127.0.0.1", address.port)
  return address.host === "::" ? new SocketAddress.InetAddress("::1", address.port) : address
}

const invalid = (option: string, value: unknown, expected: string): Exit.Exit<never, NetError.InvalidOption> =>
  Exit.fail(new NetError.InvalidOption({ option, value, expected }))
