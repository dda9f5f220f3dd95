/**
 * The state behind `UdpSocket` and `UdpConnection`: the seam's events come in below, the public effects go out above. A
 * datagram goes to the request it answers, else to a server's handler, else to the queue; a waiting receiver holds
 * none, so that interrupting one loses nothing. What the network reports (ICMP) fails who waits on a connected socket,
 * and ends no socket.
 */
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Stream from "effect/Stream"
import type { DatagramEvents, DatagramHandle } from "../DatagramTransport.ts"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import { type AddressInput, InetAddress } from "../SocketAddress.ts"
import type { Transport } from "../Transport.ts"
import { type Datagram, type Socket, TypeId, type UdpStats } from "../UdpSocket.ts"
import { DatagramControl } from "./datagramControl.ts"
import { DatagramOutbound, type Message } from "./datagramOutbound.ts"
import { type Bounds, DatagramQueue } from "./datagramQueue.ts"
import { emitting } from "./emitting.ts"
import { isAboutToYield, plain, yieldsFirst } from "./reads.ts"
import { Requests } from "./requests.ts"
import { Suspendable, suspension } from "./suspension.ts"
import { currentFiber, isAlive, nextTurn, type Resume, wakeFiber } from "./turn.ts"

interface Receiver {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  readonly resume: Resume<never, never>
  /** What the receiver does when it goes on: the receive itself, once more. */
  readonly retry: Effect.Effect<never, never>
}

const nobody: ReadonlyArray<Receiver> = []

export interface DatagramEnvironment {
  readonly transport: Transport
  readonly clock: Clock.Clock
  readonly bounds: Bounds
  readonly remote: InetAddress | undefined
}

const receiveKinds: ReadonlySet<ErrorKind> = new Set(["ConnectionRefused", "HostUnreachable", "NetworkUnreachable"])

export class DatagramSocketImpl implements Socket, DatagramEvents {
  readonly [TypeId]: TypeId = TypeId
  readonly address: InetAddress
  readonly remoteAddress: InetAddress | undefined
  readonly queue: DatagramQueue
  readonly outbound: DatagramOutbound
  readonly control: DatagramControl
  readonly requests: Requests
  /** Takes a datagram before it is queued: a server that has a handler to spare. */
  onDatagram: ((datagram: Datagram) => boolean) | undefined
  received = 0
  readonly #handle: DatagramHandle
  readonly #transport: Transport
  #errors = 0
  #receivers = nobody
  /** What the network said of the peer while nobody waited, for the next receive or send. */
  #refusal: { readonly cause: unknown } | undefined
  #lastSender: InetAddress
  #closing = false
  #released = false
  #awaiting: Array<() => void> = []

  constructor(handle: DatagramHandle, environment: DatagramEnvironment) {
    const { bounds, clock, remote, transport } = environment
    this.#handle = handle
    this.#transport = transport
    this.address = new InetAddress(handle.localAddress.host, handle.localAddress.port)
    this.remoteAddress = remote
    this.#lastSender = remote ?? this.address
    this.queue = new DatagramQueue(bounds)
    this.requests = new Requests(clock)
    this.outbound = new DatagramOutbound(handle, transport, this.address, remote)
    this.control = new DatagramControl(handle, transport, this.address, this.outbound)
  }

  get stats(): Effect.Effect<UdpStats> {
    return Effect.sync(() => ({
      received: this.received,
      sent: this.outbound.sent,
      dropped: this.queue.dropped,
      queued: this.queue.size,
      queuedBytes: this.queue.bytes,
      errors: this.#errors
    }))
  }

  // --- receiving ---

  readonly receive: Effect.Effect<Datagram, NetError.DatagramReceiveError> = new Receive(this)

  /** All that wait, whenever it is pulled. */
  readonly datagrams: Stream.Stream<Datagram, NetError.DatagramReceiveError> = emitting(({ emit, end }) => {
    const all: ReturnType<typeof emit> = Effect.suspend(() => {
      if (this.queue.size === 0) return this.#closing ? end : this.news() ?? arrival
      return yieldsFirst(all) ?? emit(Chunk.unsafeFromArray(this.queue.takeAll()))
    })
    const arrival: typeof all = suspension((resume) => this.mustWait ? this.await(resume, all) : resume(all))
    return all
  })

  /** Nothing has come, nor anything that would end the waiting. */
  get mustWait(): boolean {
    return this.queue.size === 0 && !this.#closing && this.#refusal === undefined
  }

  /** Why there is nothing to wait for, if so. */
  news(): Exit.Exit<never, NetError.DatagramReceiveError> | undefined {
    return this.#closing ? Exit.fail(this.#closedByUs("receive")) : this.#refused("receive")
  }

  /** What the network has said is said once. */
  #refused(operation: "receive" | "send"): Exit.Exit<never, NetError.DatagramReceiveError> | undefined {
    const refusal = this.#refusal
    this.#refusal = undefined
    return refusal && Exit.fail(this.#reported(operation, refusal.cause))
  }

  #reported(operation: "receive" | "send", cause: unknown): NetError.DatagramReceiveError {
    return NetError.fromFailure(this.#transport.classify(cause), receiveKinds, {
      operation,
      address: this.remoteAddress,
      cause
    })
  }

  /** Has the present fiber resumed with `retry` when there is something to receive. Without a canceler, as `Inbound.wait`. */
  await<A>(
    resume: Resume<A, NetError.DatagramReceiveError>,
    retry: Effect.Effect<A, NetError.DatagramReceiveError>
  ): void {
    const receiver = { fiber: currentFiber(), resume, retry } as unknown as Receiver
    this.#receivers = this.#receivers.length === 0 ? [receiver] : [...this.#receivers.filter(isAlive), receiver]
  }

  /**
   * Every one: the first may be a fiber that was interrupted and has not ended yet, and who finds nothing waits again.
   */
  #wakeReceivers(): void {
    const receivers = this.#receivers
    if (receivers.length === 0) return
    this.#receivers = nobody
    for (const { fiber, resume, retry } of receivers) wakeFiber(fiber, resume, retry)
  }

  // --- sending ---

  /** Connected, the second argument is none of ours: `Effect.forEach(messages, connection.send)` gives an index. */
  readonly send = (message: Message, to?: AddressInput): Effect.Effect<void, NetError.DatagramError> =>
    Effect.suspend(() =>
      this.#refused("send") ?? this.outbound.send(message, this.remoteAddress === undefined ? to : undefined)
    )

  readonly sendMany = (
    messages: Iterable<Message | readonly [Message, AddressInput]>
  ): Effect.Effect<void, NetError.DatagramError> =>
    Effect.suspend(() => this.#refused("send") ?? this.outbound.sendMany(messages))

  // --- options and groups ---

  get configure(): Socket["configure"] {
    return this.control.configure
  }

  get joinMulticast(): Socket["joinMulticast"] {
    return this.control.joinMulticast
  }

  // --- the end ---

  get close(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      this.unsafeClose()
      if (this.#released) return resume(Effect.void)
      this.#awaiting.push(() => resume(Effect.void))
    })
  }

  unsafeClose(): void {
    if (this.#closing) return
    this.#closing = true
    this.outbound.closed = true
    this.queue.clear()
    this.requests.fail(this.#closedByUs("receive"))
    this.#wakeReceivers()
    this.#handle.close()
  }

  #closedByUs(operation: NetError.Operation): NetError.ConnectionClosed {
    return new NetError.ConnectionClosed({ operation, address: this.remoteAddress ?? this.address })
  }

  // --- what the runtime reports ---

  onMessage(bytes: Uint8Array, host: string, port: number, truncated: boolean): void {
    if (this.#closing) return
    nextTurn()
    this.received++
    const datagram: Datagram = { bytes: plain(bytes), from: this.#sender(host, port), truncated }
    if (this.requests.take(datagram) || this.onDatagram?.(datagram) === true) return
    this.queue.push(datagram)
    this.#wakeReceivers()
  }

  /** Most datagrams come from where the last one came from. */
  #sender(host: string, port: number): InetAddress {
    const last = this.#lastSender
    return last.port === port && last.host === host ? last : (this.#lastSender = new InetAddress(host, port))
  }

  /** Whom it is about only a connected socket knows. */
  onError(cause: unknown): void {
    if (this.#closing) return
    nextTurn()
    this.#errors++
    if (this.remoteAddress === undefined) return
    if (this.requests.fail(this.#reported("receive", cause))) return
    this.#refusal = { cause }
    this.#wakeReceivers()
  }

  onClose(): void {
    nextTurn()
    this.unsafeClose()
    this.#released = true
    for (const listener of this.#awaiting.splice(0)) listener()
  }
}

/** One object, run for every datagram. */
class Receive extends Suspendable<Datagram, NetError.DatagramReceiveError> {
  readonly #socket: DatagramSocketImpl

  constructor(socket: DatagramSocketImpl) {
    super()
    this.#socket = socket
  }

  get isReady(): boolean {
    return this.#socket.queue.size > 0 && !isAboutToYield()
  }

  get mustWait(): boolean {
    return this.#socket.mustWait
  }

  protected value(): Datagram {
    return this.#socket.queue.shift()!
  }

  protected wait(resume: Resume<Datagram, NetError.DatagramReceiveError>): void {
    this.#socket.await(resume, this)
  }

  commit(): Effect.Effect<Datagram, NetError.DatagramReceiveError> {
    return yieldsFirst(this) ?? this.#socket.news() ?? this
  }
}
