/**
 * A listening socket of Deno's own. `accept` is called only while resumed, so that the kernel's queue really fills.
 * A failed accept (a peer that reset before it, no descriptors left) is reported and does not end the listener.
 */
import { classify } from "../../src/ErrorKind.ts"
import type { Endpoint, ListenerHandle, ListenEvents, ListenRequest } from "../../src/Transport.ts"
import type { DenoConn, DenoListener as NativeListener } from "./DenoApi.ts"
import { toEndpoint } from "./DenoApi.ts"
import { DenoStream } from "./DenoStream.ts"

/** Milliseconds between attempts to accept, doubled from one failure to the next. */
const shortestPause = 5
const longestPause = 1_000

export class DenoListener implements ListenerHandle {
  readonly localAddress: Endpoint
  readonly #listener: NativeListener
  readonly #request: ListenRequest
  readonly #events: ListenEvents
  #resumed = false
  #accepting = false
  #closed = false
  /** Taken by an accept that was under way at `pause`. */
  #early: DenoConn | undefined
  #retryPause = shortestPause
  #endPause: (() => void) | undefined

  constructor(listener: NativeListener, request: ListenRequest, events: ListenEvents) {
    this.#listener = listener
    this.#request = request
    this.#events = events
    this.localAddress = toEndpoint(listener.addr)!
  }

  resume(): void {
    this.#resumed = true
    if (!this.#accepting && !this.#closed) void this.#accept()
  }

  pause(): void {
    this.#resumed = false
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#listener.close()
    this.#early?.close()
    this.#endPause?.()
    if (!this.#accepting) queueMicrotask(() => this.#events.onClose())
  }

  async #accept(): Promise<void> {
    this.#accepting = true
    while (this.#resumed && !this.#closed) {
      const conn = await this.#next()
      if (conn !== undefined) this.#deliver(conn)
    }
    this.#accepting = false
    // The port is free only now: a listener is closed when its last accept has been rejected.
    if (this.#closed) this.#events.onClose()
  }

  /** The next connection; none after a failure, which has been reported and waited out. */
  async #next(): Promise<DenoConn | undefined> {
    const early = this.#early
    this.#early = undefined
    try {
      const conn = await (early ?? this.#listener.accept())
      this.#retryPause = shortestPause
      return conn
    } catch (error) {
      if (!this.#closed) await this.#failed(error)
      return undefined
    }
  }

  #deliver(conn: DenoConn): void {
    if (this.#closed) return conn.close()
    if (!this.#resumed) {
      this.#early = conn
      return
    }
    const stream = new DenoStream(conn, this.#request)
    const events = this.#events.onAccept(stream)
    if (events === undefined) conn.close()
    else stream.events = events
  }

  async #failed(error: unknown): Promise<void> {
    this.#events.onAcceptError(error)
    // A connection that its peer has reset is gone from the queue; anything else would fail again at once.
    if (classify(error).kind === "ConnectionReset") return
    await this.#pauseFor(this.#retryPause)
    this.#retryPause = Math.min(2 * this.#retryPause, longestPause)
  }

  #pauseFor(millis: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, millis)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
