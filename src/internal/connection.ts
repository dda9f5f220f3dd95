/**
 * The state machine behind `Connection`: the seam's events come in below, the public effects go out above.
 * Effects that do not depend on an argument are built once a connection, on first use; buffered data answers without suspending.
 * The rules of closing are here: flush, FIN, discard what the peer still sends, release, and reset when time is up.
 */
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Sink from "effect/Sink"
import type { Connection, ConnectionStats } from "../Connection.ts"
import { TypeId } from "../Connection.ts"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import { fromEndpoint, type SocketAddress } from "../SocketAddress.ts"
import type { StreamEvents, StreamHandle, Transport } from "../Transport.ts"
import type { Deadlines } from "./deadlines.ts"
import { Drained } from "./draining.ts"
import { Inbound } from "./inbound.ts"
import { meanwhile } from "./meanwhile.ts"
import { Outbound } from "./outbound.ts"
import * as Reads from "./reads.ts"
import { cancelable } from "./suspension.ts"
import { nextTurn } from "./turn.ts"
import type { WaitSettings } from "./waitClock.ts"
import { toBytes, Write, WriteAll } from "./writes.ts"

/** What all connections of one listener, or of one dial, have in common. */
export interface Environment {
  readonly transport: Transport
  readonly clock: Clock.Clock
  readonly readBuffer: number
  readonly writeBuffer: number
  readonly readTimeout: Duration.Duration
  readonly writeTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
  readonly readDeadlines: Deadlines | undefined
  readonly writeDeadlines: Deadlines | undefined
  /** How a server keeps the time that it waits for the peer. */
  readonly waits: WaitSettings | undefined
  /** The address dialled or listened on, where the runtime cannot tell one of the socket's own any more. */
  readonly address: SocketAddress
}

const readKinds: ReadonlySet<ErrorKind> = new Set(["ConnectionReset"])
const writeKinds: ReadonlySet<ErrorKind> = new Set(["ConnectionReset", "BrokenPipe"])

/** Milliseconds. Longer than almost any round trip of the Internet. */
const roundTrip = 200

export class ConnectionImpl extends Inspectable.Class implements Connection, StreamEvents {
  readonly [TypeId]: TypeId = TypeId
  /** Called once when the descriptor has been released. */
  onReleased: (() => void) | undefined = undefined
  released = false
  readonly #handle: StreamHandle
  readonly #environment: Environment
  readonly inbound: Inbound
  readonly outbound: Outbound
  readonly openedAt: number
  #closing = false
  #lingering = false
  #releasing = false
  #finished = false
  #remoteAddress: SocketAddress | undefined
  #localAddress: SocketAddress | undefined
  #awaiting: Array<() => void> | undefined
  #read: Connection["read"] | undefined
  #write: Connection["write"] | undefined
  #stream: Connection["stream"] | undefined

  constructor(handle: StreamHandle, environment: Environment) {
    super()
    this.#handle = handle
    this.#environment = environment
    const { clock, readBuffer, readDeadlines, waits, writeBuffer, writeDeadlines } = environment
    this.inbound = new Inbound(handle, readBuffer, readDeadlines, this, waits)
    this.outbound = new Outbound(
      handle,
      this.inbound.queue,
      writeBuffer,
      writeDeadlines,
      this,
      waits?.paced ? clock : undefined
    )
    this.openedAt = clock.unsafeCurrentTimeMillis()
    environment.readDeadlines?.retain()
    environment.writeDeadlines?.retain()
  }

  // --- addresses and figures ---

  get remoteAddress(): SocketAddress {
    return this.#remoteAddress ??= addressOr(this.#handle.remoteAddress, this.#environment.address)
  }

  get localAddress(): SocketAddress {
    return this.#localAddress ??= addressOr(this.#handle.localAddress, this.#environment.address)
  }

  get figures(): ConnectionStats {
    return {
      bytesRead: this.inbound.total,
      bytesWritten: this.outbound.total,
      unread: this.inbound.queue.size,
      unsent: this.unsent,
      age: Duration.millis(this.#environment.clock.unsafeCurrentTimeMillis() - this.openedAt)
    }
  }

  toJSON(): unknown {
    const { figures, localAddress, remoteAddress } = this
    return { _id: "Connection", localAddress: String(localAddress), remoteAddress: String(remoteAddress), ...figures }
  }

  get stats(): Effect.Effect<ConnectionStats> {
    return Effect.sync(() => {
      this.outbound.collect()
      return this.figures
    })
  }

  // --- reading ---

  get read(): Connection["read"] {
    return this.#read ??= Reads.next(this.inbound)
  }

  // Getters of bound functions, so that `Stream.runForEach(other, connection.write)` means what it says.
  get readExactly(): Connection["readExactly"] {
    return (n) => Reads.exactly(this.inbound, n, () => this.remoteAddress)
  }

  get readUntil(): Connection["readUntil"] {
    return (delimiter, options) =>
      Reads.until(this.inbound, delimiter, options?.maxLength ?? 65536, () => this.remoteAddress)
  }

  get ended(): Connection["ended"] {
    return cancelable((resume) => {
      const { inbound } = this
      const settle = () => resume(inbound.ended ? Effect.void : inbound.failure!())
      if (inbound.ended || inbound.failure !== undefined) return settle()
      return Effect.sync(inbound.onEnd(settle))
    })
  }

  get unread(): Connection["unread"] {
    return (bytes) => Effect.sync(() => this.inbound.unread(bytes))
  }

  get stream(): Connection["stream"] {
    return this.#stream ??= Reads.stream(this.inbound)
  }

  // --- writing ---

  get write(): Connection["write"] {
    return this.#write ??= (message) => new Write(this.outbound, message)
  }

  get writeAll(): Connection["writeAll"] {
    return (chunks) =>
      Array.isArray(chunks)
        ? new WriteAll(this.outbound, chunks)
        : Effect.suspend(() => this.outbound.writeAll(Array.from(chunks, toBytes)))
  }

  get sink(): Connection["sink"] {
    return Sink.forEachChunk((chunk: Chunk.Chunk<Uint8Array | string>) =>
      chunk.length === 1 ? this.write(Chunk.unsafeHead(chunk)) : this.writeAll(chunk)
    )
  }

  /** Writes one message of several chunks; `accepted` is told when it will be sent whatever becomes of the writer. */
  unsafeWrite(chunks: ReadonlyArray<Uint8Array>, accepted?: () => void): Effect.Effect<void, NetError.WriteError> {
    return this.outbound.writeAll(chunks, accepted)
  }

  /** Writes one message. An effect only where it has to wait, or has failed. */
  unsafeReply(chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, NetError.WriteError> | undefined {
    const writing = this.outbound.writeAll(chunks)
    return writing === Effect.void ? undefined : writing
  }

  // --- the end ---

  get shutdown(): Effect.Effect<void> {
    return Effect.sync(() => this.unsafeShutdown())
  }

  unsafeShutdown(): void {
    if (this.outbound.ended) return
    this.outbound.finish(() => this.#closedByUs("write"), () => this.#handle.shutdownWrite())
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.unsafeClose()
      if (this.released) return Effect.void
      const cutOff = Effect.map(Effect.sleep(this.#environment.closeTimeout), () => this.#handle.reset())
      return meanwhile(this.closed, cutOff)
    })
  }

  get reset(): Effect.Effect<void, NetError.Unsupported> {
    return Effect.suspend(() => {
      if (!this.released && !this.#handle.canReset) {
        return Effect.fail(
          new NetError.Unsupported({
            operation: "reset",
            capability: "reset",
            runtime: this.#environment.transport.runtime
          })
        )
      }
      this.unsafeReset()
      return this.closed
    })
  }

  get closed(): Effect.Effect<void> {
    return cancelable<void>((resume) => {
      if (this.released) return resume(Effect.void)
      const listener = () => resume(Effect.void)
      const awaiting = this.#awaiting ??= []
      awaiting.push(listener)
      return Effect.sync(() => void awaiting.splice(awaiting.indexOf(listener), 1))
    })
  }

  get setNoDelay(): Connection["setNoDelay"] {
    return (enabled) => Effect.sync(() => this.#handle.setNoDelay(enabled))
  }

  /** Reads fail once what has come is read, by default for a drain; writing goes on. Whether one waits between two messages just now. */
  unsafeRetire(error?: NetError.ReadError): boolean {
    return this.inbound.retire(() => failing(error ?? new Drained({ operation: "read", address: this.remoteAddress })))
  }

  /** Reads fail with this from now on, after what has come, or writes do. */
  unsafeFail(error: NetError.ReadError): void {
    if (error.operation === "write") this.outbound.fail(() => failing(error))
    else this.inbound.fail(() => failing(error))
  }

  /** Bytes written that the kernel has not taken. */
  get unsent(): number {
    return this.released ? 0 : this.outbound.buffered
  }

  /** Whether either direction has ended or failed. */
  get spent(): boolean {
    return this.released || this.inbound.ended || this.inbound.failure !== undefined || this.outbound.ended
  }

  /** Begins the close; `onReleased` tells its end. */
  unsafeClose(): void {
    if (this.#closing || this.released) return
    this.#closing = true
    this.outbound.flush()
    const inbound = this.inbound
    // Nothing is under way as far as can be seen, unless the peer was not told before that no more is served.
    const served = inbound.queue.size === 0 && (inbound.holder?.buffered ?? 0) === 0 && !inbound.cutShort
    const clear = inbound.started && !inbound.paused && served && !inbound.retiring
    // A peer in full flow may pause for a round trip; and what was written must not be lost to a request that is still on its way.
    const patient = (inbound.started && inbound.paused) || this.outbound.total > 0
    inbound.discard()
    inbound.fail(() => this.#closedByUs("read"))
    this.outbound.finish(() => this.#closedByUs("write"), () => {
      if (inbound.ended || clear) return this.#release()
      this.#handle.shutdownWrite()
      this.#lingering = true
      this.#releaseWhenQuiet(0, patient)
    })
  }

  /**
   * Bytes that wait unread in the kernel, or come after the release, turn it into a reset, which destroys what was flushed (RFC 2525
   * section 2.17). So they are taken out until the peer's FIN, or until none have come for a while: a look at the socket, or a round trip.
   */
  #releaseWhenQuiet(discarded: number, patient: boolean): void {
    this.#environment.transport.afterPoll(() => {
      const inbound = this.inbound
      if (inbound.ended || inbound.discarded === discarded) this.#release()
      else this.#releaseWhenQuiet(inbound.discarded, patient || inbound.discarded > this.#environment.readBuffer)
    }, patient ? roundTrip : 0)
  }

  /** Cuts the connection off, with RST where the socket can. */
  unsafeReset(): void {
    if (this.released) return
    this.#closing = true
    this.inbound.discard()
    this.inbound.fail(() => this.#closedByUs("read"))
    this.outbound.fail(() => this.#closedByUs("write"))
    this.#handle.reset()
  }

  #release(): void {
    if (this.#releasing || this.released) return
    this.#releasing = true
    this.#handle.close()
  }

  readTimedOut(): Effect.Effect<never, never> {
    const { remoteAddress: address } = this
    return failing(new NetError.ReadTimeout({ operation: "read", address, timeout: this.#environment.readTimeout }))
  }

  writeTimedOut(): Effect.Effect<never, never> {
    const { remoteAddress: address } = this
    return failing(new NetError.WriteTimeout({ operation: "write", address, timeout: this.#environment.writeTimeout }))
  }

  #closedByUs(operation: "read" | "write"): Effect.Effect<never, never> {
    return failing(new NetError.ConnectionClosed({ operation, address: this.remoteAddress }))
  }

  // --- what the runtime reports ---

  onData(chunk: Uint8Array): void {
    nextTurn()
    this.inbound.push(chunk)
  }

  onEnd(): void {
    nextTurn()
    if (this.inbound.ended) return
    this.inbound.end()
    if (this.#lingering || this.#finished) this.#release()
  }

  onDrain(): void {
    nextTurn()
    this.outbound.drained()
  }

  onFinish(): void {
    nextTurn()
    this.#finished = true
    // Both directions have ended: nothing more can happen here, so the descriptor need not wait for the scope.
    if (this.inbound.ended) this.#release()
  }

  onClose(error?: unknown): void {
    if (this.released) return
    nextTurn()
    this.released = true
    if (error === undefined) {
      if (!this.inbound.ended && this.inbound.failure === undefined) this.inbound.end()
      this.outbound.fail(() => failing(new NetError.BrokenPipe({ operation: "write", address: this.remoteAddress })))
    } else {
      // What has ended has ended whole, whatever becomes of the other direction.
      if (!this.inbound.ended) this.inbound.fail(() => this.#failed("read", error))
      this.outbound.fail(() => this.#failed("write", error))
    }
    this.#environment.readDeadlines?.release()
    this.#environment.writeDeadlines?.release()
    const awaiting = this.#awaiting ?? []
    const { onReleased } = this
    // Nothing hangs on a connection that is over: V8 keeps those whose handlers are generators until its next full collection.
    this.#awaiting = undefined
    this.onReleased = undefined
    onReleased?.()
    for (const listener of awaiting) listener()
  }

  #failed(operation: "read" | "write", cause: unknown): Effect.Effect<never, never> {
    const failure = this.#environment.transport.classify(cause)
    const props = { operation, address: this.remoteAddress, cause }
    // A pipe that breaks under a write is, to who reads, a peer that went away without an end of stream.
    const error = operation === "read" && failure.kind === "BrokenPipe"
      ? new NetError.ConnectionReset(props)
      : NetError.fromFailure<NetError.ReadError>(failure, operation === "read" ? readKinds : writeKinds, props)
    return failing(error)
  }
}

/** What stands behind a connection. Throws for one that another has made, whose queues a decoder cannot see. */
export const implementation = (connection: Connection): ConnectionImpl => {
  if (connection instanceof ConnectionImpl) return connection
  throw new NetError.InvalidOption({ option: "connection", value: "given", expected: "one that this package made" })
}

/** The halves of a connection carry failures without knowing their types; the effects of `Connection` name them. */
const failing = (error: NetError.NetError): Effect.Effect<never, never> => Exit.fail(error) as Exit.Exit<never, never>

const addressOr = (endpoint: Parameters<typeof fromEndpoint>[0] | undefined, otherwise: SocketAddress): SocketAddress =>
  endpoint === undefined ? otherwise : fromEndpoint(endpoint)
