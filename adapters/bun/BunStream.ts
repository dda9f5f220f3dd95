/**
 * One stream socket of Bun behind the verbs of the seam: it keeps what the kernel did not take, and puts Bun's events in order.
 * No event comes from inside a verb, though Bun calls `close` within `end` and `terminate`; `onClose` comes once and last.
 * One set of handlers serves all sockets: `socket.data` is the stream, so a connection costs no closures.
 */
import type { Endpoint, StreamEvents, StreamHandle, StreamOptions } from "../../src/Transport.ts"
import { WriteQueue } from "../WriteQueue.ts"
import { afterPoll, type BunSocket, type SocketHandlers } from "./BunApi.ts"

/** What `socket.data` is until the socket is open: whoever asked for it. */
export interface Opener {
  opened(socket: BunSocket): void
}

const streamOf = (socket: BunSocket): BunStream => socket.data as BunStream

export const handlers: SocketHandlers = {
  binaryType: "uint8array",
  open(socket) {
    const opener = socket.data as Opener
    opener.opened(socket)
  },
  data(socket, chunk) {
    streamOf(socket).events.onData(chunk)
  },
  drain(socket) {
    streamOf(socket).writable()
  },
  end(socket) {
    streamOf(socket).ended()
  },
  close(socket, error) {
    streamOf(socket).closed(error)
  }
}

const nobody: StreamEvents = { onData() {}, onEnd() {}, onDrain() {}, onFinish() {}, onClose() {} }

export class BunStream implements StreamHandle {
  events: StreamEvents = nobody
  readonly canReset: boolean
  readonly remoteAddress: Endpoint | undefined
  readonly #socket: BunSocket
  readonly #writeBuffer: number
  readonly #queue = new WriteQueue()
  #localAddress: Endpoint | undefined
  /** The core wants bytes. */
  #flowing = false
  /** Bun was told to stop reading. */
  #paused = false
  /** The peer's FIN has been seen. */
  #atEnd = false
  /** A write returned false and is owed an `onDrain`. */
  #full = false
  /** After `open` no write is taken; `finishing` sends FIN after what is queued, `closing` also releases the socket. */
  #state: "open" | "finishing" | "finished" | "broken" | "closing" | "closed" = "open"

  /** Takes over an open socket. One of a Unix path knows no RST, and has a name on the listening side only. */
  constructor(
    socket: BunSocket,
    options: StreamOptions,
    unix?: { readonly local?: Endpoint; readonly remote?: Endpoint }
  ) {
    this.#socket = socket
    this.#writeBuffer = options.writeBuffer
    this.canReset = unix === undefined
    this.#localAddress = unix?.local
    // At once, for errors and logs: a closed socket has forgotten it.
    this.remoteAddress = unix === undefined ? endpointOf(socket.remoteAddress, socket.remotePort) : unix.remote
    socket.data = this
    if (!options.noDelay) socket.setNoDelay(false) // Bun's default is on
    if (options.keepAlive !== false) this.setKeepAlive(true, options.keepAlive)
  }

  /** Hands the stream to the core, or resets it if that does not want it. */
  attach(events: StreamEvents | undefined): void {
    if (events === undefined) return this.reset()
    this.events = events
    // Pausing and resuming cost four system calls, and most receivers resume in this very turn: nothing is read before it is over.
    if (!this.#flowing) setImmediate(() => this.#flowing || this.pause())
  }

  get bufferedAmount(): number {
    return this.#queue.size
  }

  get localAddress(): Endpoint | undefined {
    return this.#localAddress ??= endpointOf(this.#socket.localAddress, this.#socket.localPort)
  }

  setNoDelay(enabled: boolean): void {
    this.#socket.setNoDelay(enabled)
  }

  /** Bun cuts to whole seconds and takes 0 as the system's default; it always sets 10 probes, one second apart. */
  setKeepAlive(enabled: boolean, initialDelayMillis: number): void {
    this.#socket.setKeepAlive(enabled, Math.ceil(initialDelayMillis / 1000) * 1000)
  }

  pause(): void {
    this.#flowing = false
    if (this.#paused || this.#atEnd || this.#state === "broken") return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#flowing = true
    if (!this.#paused || this.#atEnd) return
    this.#paused = false
    this.#socket.resume()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== "open") return true
    if (this.#queue.size > 0) {
      this.#queue.push(chunk)
      return this.#hasRoom()
    }
    const taken = this.#socket.write(chunk)
    if (taken === chunk.length) return true
    if (taken < 0) {
      this.#break()
      return true
    }
    this.#queue.push(chunk.subarray(taken))
    return this.#hasRoom()
  }

  writev(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.#state !== "open") return true
    const blocked = this.#queue.size > 0
    for (const chunk of chunks) this.#queue.push(chunk)
    if (!blocked) this.#flush()
    return this.#hasRoom()
  }

  #hasRoom(): boolean {
    this.#full = this.#queue.size > this.#writeBuffer
    return !this.#full
  }

  shutdownWrite(): void {
    if (this.#state !== "open") return
    this.#state = "finishing"
    this.#flush()
  }

  close(): void {
    if (this.#state === "closing" || this.#state === "closed") return
    this.#state = "closing"
    this.#flush()
  }

  reset(): void {
    if (this.#state === "closed") return
    this.#state = "closing"
    this.#queue.clear()
    this.#socket.terminate()
  }

  /** Writes until the kernel takes no more, which makes Bun call `drain` later. `end` comes last: it drops what is not written. */
  #flush(): void {
    const queue = this.#queue
    for (let bytes = queue.next(); bytes !== undefined; bytes = queue.next()) {
      const taken = this.#socket.write(bytes)
      if (taken < 0) return this.#break()
      queue.taken(taken)
      if (taken < bytes.length) return
    }
    if (this.#state === "finishing") this.#finish()
    else if (this.#state === "closing") this.#socket.end()
  }

  /** A broken pipe, of which Bun says no more while paused: what the peer has sent is still read, then the socket is released. */
  #break(): void {
    this.#queue.clear()
    if (this.#state === "closed") return
    if (this.#state === "closing") return this.#socket.end()
    this.resume()
    this.#state = "broken"
    afterPoll(() => this.#socket.end())
  }

  #finish(): void {
    this.#state = "finished"
    this.#socket.shutdown()
    queueMicrotask(() => this.events.onFinish())
  }

  /** Bun's `drain`, which also follows every `pause` and the peer's FIN. */
  writable(): void {
    if (this.#queue.size > 0) this.#flush()
    if (!this.#full || this.#queue.size > this.#writeBuffer) return
    this.#full = false
    this.events.onDrain()
  }

  ended(): void {
    if (this.#atEnd) return
    this.#atEnd = true
    this.events.onEnd()
  }

  /** The peer's FIN comes as a `close` without error, and without `end`, once our own is out. */
  closed(error: unknown): void {
    const state = this.#state
    if (state === "closed") return
    this.#state = "closed"
    this.#queue.clear()
    const reason = error ?? (state === "broken" && !this.#atEnd ? brokenPipe() : undefined)
    if (reason === undefined && state !== "closing") queueMicrotask(() => this.ended())
    queueMicrotask(() => this.events.onClose(reason))
  }
}

const brokenPipe = () => Object.assign(new Error("broken pipe"), { code: "EPIPE", syscall: "write" })

const endpointOf = (host: string | undefined, port: number | undefined): Endpoint | undefined =>
  host === undefined || port === undefined ? undefined : { host, port }
