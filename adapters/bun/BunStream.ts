/**
 * One stream socket of Bun behind the seam: keeps what the kernel did not take, and turns Bun's events into the seam's.
 * Promises the seam's order of events, `onClose` once and last, and that no event comes from inside a verb.
 * One set of handlers serves all sockets; `socket.data` is the stream, so a connection costs no closures.
 */
import type { Endpoint, StreamEvents, StreamHandle, StreamOptions } from "../../src/Transport.ts"
import type { BunSocket, SocketHandlers } from "./BunApi.ts"
import { SendQueue } from "./SendQueue.ts"

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
    streamOf(socket).received(chunk)
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

/** Stands in for the events of a connection that nobody wants. */
const nobody: StreamEvents = { onData() {}, onEnd() {}, onDrain() {}, onFinish() {}, onClose() {} }

/** Bun runs immediates before it polls, so the inner one is the first to come after a poll. */
export const afterPoll = (callback: () => void): void => {
  setImmediate(setImmediate, callback)
}

export class BunStream implements StreamHandle {
  readonly canReset: boolean
  private readonly socket: BunSocket
  private readonly writeBuffer: number
  private readonly queue = new SendQueue()
  private events: StreamEvents = nobody
  private local: Endpoint | undefined
  readonly remoteAddress: Endpoint | undefined

  /** Whether the core wants bytes, and whether Bun has been told that it does not. */
  private wanted = false
  private paused = false
  /** The peer's FIN has been seen. */
  private atEnd = false
  /** A write returned false and owes an `onDrain`. */
  private stalled = false
  /** How far the sending side has come: after `open` no write is taken, after `finished` FIN is out. */
  private sending: "open" | "finishing" | "finished" = "open"
  private closing = false
  /** Closing, and the kernel may hold bytes that were never asked for. */
  private unread = false
  private isClosed = false

  /** Unix sockets know no RST, and have a name on the listening side only. */
  constructor(socket: BunSocket, options: StreamOptions, unix?: { readonly local?: Endpoint; readonly remote?: Endpoint }) {
    this.socket = socket
    this.writeBuffer = options.writeBuffer
    this.canReset = unix === undefined
    this.local = unix?.local
    // Asked at once: Bun forgets it with the reset that one wants to report.
    this.remoteAddress = unix === undefined ? inetEndpoint(socket.remoteAddress, socket.remotePort) : unix.remote
    if (!options.noDelay) socket.setNoDelay(false) // Bun's default is on
    if (options.keepAlive !== false) this.setKeepAlive(true, options.keepAlive)
  }

  /** Hands the stream to the core, or resets it if that does not want it. */
  attach(events: StreamEvents | undefined): void {
    if (events === undefined) return this.reset()
    this.events = events
    // To pause and resume costs four system calls, and most receivers resume in this very tick: nothing is read before it is over.
    if (!this.wanted) setImmediate(() => this.wanted || this.pause())
  }

  get bufferedAmount(): number {
    return this.queue.size
  }

  get localAddress(): Endpoint | undefined {
    return this.local ??= inetEndpoint(this.socket.localAddress, this.socket.localPort)
  }

  setNoDelay(enabled: boolean): void {
    this.socket.setNoDelay(enabled)
  }

  /** Bun cuts to whole seconds and takes 0 as the system's default; it also sets 10 probes, one second apart. */
  setKeepAlive(enabled: boolean, initialDelayMillis: number): void {
    this.socket.setKeepAlive(enabled, Math.ceil(initialDelayMillis / 1000) * 1000)
  }

  pause(): void {
    this.wanted = false
    if (this.paused || this.atEnd) return
    this.paused = true
    this.socket.pause()
  }

  resume(): void {
    this.wanted = true
    if (!this.paused || this.atEnd) return
    this.paused = false
    this.socket.resume()
  }

  write(chunk: Uint8Array): boolean {
    if (this.sending !== "open") return true
    if (this.queue.size > 0) {
      this.queue.push(chunk)
      return this.admit()
    }
    const taken = this.socket.write(chunk)
    if (taken === chunk.length || taken < 0) return true
    this.queue.push(chunk.subarray(taken))
    return this.admit()
  }

  writev(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.sending !== "open") return true
    const blocked = this.queue.size > 0
    for (const chunk of chunks) this.queue.push(chunk)
    if (!blocked) this.flush()
    return this.admit()
  }

  /** Whether the core may go on writing. */
  private admit(): boolean {
    this.stalled = this.queue.size > this.writeBuffer
    return !this.stalled
  }

  shutdownWrite(): void {
    if (this.sending !== "open") return
    this.sending = "finishing"
    this.flush()
  }

  /**
   * Reads and drops what the peer has sent, and what it sends while bytes are queued: a peer that does not read until we do would
   * stop us, and unread bytes make close(2) answer with RST, which takes back what the peer has not read yet (RFC 2525 2.17).
   */
  close(): void {
    if (this.closing) return
    this.closing = true
    if (this.sending === "open") this.sending = "finished"
    if (this.wanted || this.atEnd) return this.flush()
    this.unread = true
    this.resume()
    afterPoll(() => {
      this.unread = false
      this.flush()
    })
  }

  reset(): void {
    this.closing = true
    this.sending = "finished"
    this.queue.clear()
    this.socket.terminate()
  }

  /** Writes until the kernel takes no more; then Bun calls `drain`. `end` comes last, as it drops what is not written. */
  private flush(): void {
    while (this.queue.size > 0) {
      const bytes = this.queue.peek()
      const taken = this.socket.write(bytes)
      if (taken < 0) return this.queue.clear()
      this.queue.advance(taken)
      if (taken < bytes.length) return
    }
    if (this.sending === "finishing") this.finish()
    if (this.closing && !this.unread) this.socket.end()
  }

  private finish(): void {
    this.sending = "finished"
    this.socket.shutdown()
    queueMicrotask(() => this.events.onFinish())
  }

  received(chunk: Uint8Array): void {
    if (!this.closing) this.events.onData(chunk)
  }

  /** Bun's `drain`, which also follows every `pause` and FIN. */
  writable(): void {
    if (this.queue.size > 0) this.flush()
    if (!this.stalled || this.queue.size > this.writeBuffer) return
    this.stalled = false
    this.events.onDrain()
  }

  ended(): void {
    if (this.atEnd) return
    this.atEnd = true
    if (!this.closing) this.events.onEnd()
  }

  /** Comes also from inside `end` and `terminate`, hence the microtask; and in place of `end` once FIN of our own is out. */
  closed(error: unknown): void {
    if (this.isClosed) return
    this.isClosed = true
    this.sending = "finished"
    this.queue.clear()
    if (error === undefined && !this.closing) queueMicrotask(() => this.ended())
    queueMicrotask(() => this.events.onClose(error))
  }
}

const inetEndpoint = (host: string | undefined, port: number | undefined): Endpoint | undefined =>
  host === undefined || port === undefined ? undefined : { host, port }
