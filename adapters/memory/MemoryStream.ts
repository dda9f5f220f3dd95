/**
 * One end of a connection in memory: what a TCP socket and the kernels under it would do, measured on Linux 6.
 * Verbs change the state of both ends at once; what is to be reported goes through the task queue, never inside a verb.
 * Each direction holds at most `bufferSize` bytes between the ends, as two kernels do; the rest stays with the writer.
 */
import type { Endpoint, StreamEvents, StreamHandle } from "../../src/Transport.ts"
import { ByteFifo } from "./ByteFifo.ts"
import type { Kernel } from "./Kernel.ts"
import { systemError } from "./SystemError.ts"

/** What sets one end apart from the other. */
export interface End {
  readonly address: Endpoint
  readonly writeBuffer: number
  /** Called once, when the descriptor is released. */
  readonly onRelease: () => void
}

export class MemoryStream implements StreamHandle {
  readonly canReset = true
  readonly localAddress: Endpoint
  readonly remoteAddress: Endpoint
  readonly #kernel: Kernel
  readonly #writeBuffer: number
  readonly #onRelease: () => void
  #peer!: MemoryStream
  #events: StreamEvents | undefined
  #posted = false

  // Written here, not yet between the ends.
  readonly #kept = new ByteFifo()
  #blocked = false
  #finQueued = false
  #finSent = false
  #finReported = false

  // Sent by the peer, not yet read here.
  readonly #inbox = new ByteFifo()
  #reading = false
  #endReported = false
  #unread = false

  #closing = false
  #released = false
  #closeReported = false
  #error: Error | undefined

  private constructor(kernel: Kernel, self: End, peer: End) {
    this.#kernel = kernel
    this.#writeBuffer = self.writeBuffer
    this.#onRelease = self.onRelease
    this.localAddress = self.address
    this.remoteAddress = peer.address
  }

  /** Two ends of an established connection, both paused. Nothing is reported from an end before `attach`. */
  static pair(kernel: Kernel, a: End, b: End): [a: MemoryStream, b: MemoryStream] {
    const first = new MemoryStream(kernel, a, b)
    const second = new MemoryStream(kernel, b, a)
    first.#peer = second
    second.#peer = first
    return [first, second]
  }

  attach(events: StreamEvents): void {
    this.#events = events
    this.#wake()
  }

  write(chunk: Uint8Array): boolean {
    return this.writev([chunk])
  }

  writev(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (!this.#finQueued && !this.#released) {
      for (const chunk of chunks) this.#kept.push(chunk)
      this.#flush()
    }
    if (this.#kept.size <= this.#writeBuffer) return true
    this.#blocked = true
    return false
  }

  pause(): void {
    this.#reading = false
  }

  resume(): void {
    this.#reading = true
    this.#wake()
  }

  shutdownWrite(): void {
    this.#finQueued = true
    this.#flush()
  }

  close(): void {
    if (this.#closing) return
    this.#closing = true
    this.#unread = this.#inbox.size > 0
    this.#inbox.clear()
    this.shutdownWrite()
    this.#releaseIfFlushed()
    this.#peer.#flush()
  }

  reset(): void {
    this.#closing = true
    this.#inbox.clear()
    if (this.#released) return
    this.#sendReset()
    this.#release()
  }

  get bufferedAmount(): number {
    return this.#kept.size
  }

  /** Nothing is ever delayed here. */
  setNoDelay(): void {}

  /** No peer vanishes in silence here. */
  setKeepAlive(): void {}

  /** Moves kept bytes, then the FIN, as far as there is room; called whenever there may be some. */
  #flush(): void {
    if (this.#finSent || this.#released) return
    const peer = this.#peer
    if (this.#kept.size > 0) {
      if (peer.#released) return this.#fail("EPIPE")
      this.#send(peer)
    }
    if (this.#finQueued && this.#kept.size === 0) {
      this.#finSent = true
      if (peer.#reading) peer.#wake()
    }
    if (this.#finSent || (this.#blocked && this.#kept.size <= this.#writeBuffer)) this.#wake()
    this.#releaseIfFlushed()
  }

  /** An end that is closing takes bytes in and drops them, so that two closing ends do not wait for each other. */
  #send(peer: MemoryStream): void {
    if (peer.#closing) {
      peer.#unread = true
      this.#kept.clear()
    } else if (peer.#inbox.size < this.#kernel.bufferSize) {
      this.#kept.moveTo(peer.#inbox, this.#kernel.bufferSize - peer.#inbox.size)
      if (peer.#reading) peer.#wake()
    }
  }

  #releaseIfFlushed(): void {
    if (!this.#closing || !this.#finSent || this.#released) return
    // Closing with input unread resets, so that the peer learns of the loss (RFC 2525 2.17).
    if (this.#unread) this.#sendReset()
    this.#release()
  }

  /** After FIN both ways there is no connection left to reset; after ours alone, Linux calls a reset a broken pipe. */
  #sendReset(): void {
    if (this.#finSent && this.#peer.#finSent) return
    this.#peer.#fail(this.#finSent ? "EPIPE" : "ECONNRESET")
  }

  #fail(code: "ECONNRESET" | "EPIPE"): void {
    if (this.#released) return
    this.#error = systemError(code === "EPIPE" ? "write" : "read", code)
    this.#release()
  }

  #release(): void {
    this.#released = true
    this.#kept.clear()
    this.#onRelease()
    this.#wake()
  }

  #wake(): void {
    if (this.#posted || this.#events === undefined || this.#closeReported) return
    this.#posted = true
    this.#kernel.tasks.post(this.#report)
  }

  // Each callback may call verbs, so every step looks at the state anew. At most one chunk a task: ends take turns.
  readonly #report = (): void => {
    const events = this.#events!
    this.#posted = false
    if (this.#readable && this.#inbox.size > 0) {
      const chunk = this.#inbox.takeAll()
      this.#peer.#flush()
      events.onData(chunk)
    }
    if (this.#readable && this.#inbox.size === 0 && this.#peer.#finSent && !this.#endReported) {
      this.#endReported = true
      events.onEnd()
    }
    if (this.#blocked && !this.#released && this.#kept.size <= this.#writeBuffer) {
      this.#blocked = false
      events.onDrain()
    }
    if (this.#finSent && !this.#finReported) {
      this.#finReported = true
      events.onFinish()
    }
    if (this.#released && this.#inbox.size === 0 && !this.#closeReported) {
      this.#closeReported = true
      events.onClose(this.#error)
    }
  }

  /** A reset does not wait for the reader, but what had arrived before it is still delivered, as by Linux. */
  get #readable(): boolean {
    return !this.#closing && (this.#reading || this.#error !== undefined)
  }
}
