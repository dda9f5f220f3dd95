/**
 * A stream socket of Deno's own, TCP or Unix, behind the verbs of the seam.
 * At most one read and one write are under way; reading goes on while resumed, writing while bytes are queued.
 * The first error ends the connection and is the one reported: what comes after it Deno shows as a clean end of stream.
 */
import type { Endpoint, StreamEvents, StreamHandle, StreamOptions } from "../../src/Transport.ts"
import type { DenoConn } from "./DenoApi.ts"
import { toEndpoint } from "./DenoApi.ts"
import { large, litter } from "../litter.ts"
import { ReadBuffer } from "../ReadBuffer.ts"
import { WriteQueue } from "../WriteQueue.ts"

/** Takes over a connected socket. `events` is set before the runtime's loop turns again. */
export class DenoStream implements StreamHandle {
  events!: StreamEvents
  /** `Deno.Conn` has no linger option, and its `close` sends FIN first. */
  readonly canReset = false
  readonly #conn: DenoConn
  readonly #writeBuffer: number
  readonly #input = new ReadBuffer(allocate)
  readonly #output = new WriteQueue()
  #resumed = false
  #reading = false
  #ended = false
  #writing = false
  #full = false
  #finishing = false
  #closing = false
  #closed = false
  #error: unknown

  constructor(conn: DenoConn, options: StreamOptions) {
    this.#conn = conn
    this.#writeBuffer = options.writeBuffer
    if (options.noDelay) this.setNoDelay(true)
    if (options.keepAlive !== false) this.setKeepAlive(true)
  }

  get bufferedAmount(): number {
    return this.#output.size
  }

  get localAddress(): Endpoint | undefined {
    return toEndpoint(this.#conn.localAddr)
  }

  get remoteAddress(): Endpoint | undefined {
    return toEndpoint(this.#conn.remoteAddr)
  }

  resume(): void {
    this.#resumed = true
    if (!this.#reading && !this.#ended && !this.#closed) void this.#read()
  }

  pause(): void {
    this.#resumed = false
  }

  write(chunk: Uint8Array): boolean {
    if (this.#finishing || this.#closing || this.#closed) return true
    this.#output.push(chunk)
    return this.#written()
  }

  writev(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.#finishing || this.#closing || this.#closed) return true
    for (const chunk of chunks) this.#output.push(chunk)
    return this.#written()
  }

  shutdownWrite(): void {
    if (this.#finishing || this.#closing || this.#closed) return
    this.#finishing = true
    if (!this.#writing) void this.#flush()
  }

  close(): void {
    if (this.#closing || this.#closed) return
    this.#closing = true
    if (!this.#writing) this.#release()
  }

  reset(): void {
    this.#release()
  }

  recycle(chunk: Uint8Array): void {
    this.#input.recycle(chunk)
  }

  setNoDelay(enabled: boolean): void {
    attempt(() => this.#conn.setNoDelay?.(enabled))
  }

  setKeepAlive(enabled: boolean): void {
    attempt(() => this.#conn.setKeepAlive?.(enabled))
  }

  async #read(): Promise<void> {
    this.#reading = true
    while (this.#resumed && !this.#ended && !this.#closed) {
      let size: number | null
      try {
        size = await this.#conn.read(this.#input.target)
      } catch (error) {
        this.#fail(error)
        break
      }
      this.#ended = size === null
      if (this.#closing || this.#closed) continue
      if (size === null) this.events.onEnd()
      else this.events.onData(this.#input.take(size))
    }
    this.#reading = false
    this.#settle()
  }

  #written(): boolean {
    if (!this.#writing) void this.#flush()
    this.#full = this.#output.size > this.#writeBuffer
    return !this.#full
  }

  async #flush(): Promise<void> {
    this.#writing = true
    for (let chunk = this.#output.next(); chunk !== undefined; chunk = this.#output.next()) {
      let size: number
      try {
        size = await this.#conn.write(chunk)
      } catch (error) {
        this.#fail(error)
        break
      }
      if (this.#closed) break
      this.#output.taken(size)
      if (this.#full && this.#output.size <= this.#writeBuffer) this.#drained()
    }
    if (this.#finishing && !this.#closed) await this.#finish()
    this.#writing = false
    if (this.#closing && !this.#closed) this.#release()
    else this.#settle()
  }

  #drained(): void {
    this.#full = false
    if (!this.#closing) this.events.onDrain()
  }

  async #finish(): Promise<void> {
    try {
      await this.#conn.closeWrite()
    } catch (error) {
      return this.#fail(error)
    }
    if (!this.#closed) this.events.onFinish()
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    this.#error = error
    this.#release()
  }

  #release(): void {
    if (this.#closed) return
    this.#closed = true
    this.#output.clear()
    // Sends FIN by itself, and rejects what is under way, which holds the descriptor until then.
    this.#conn.close()
    if (!this.#reading && !this.#writing) queueMicrotask(() => this.#settle())
  }

  #settle(): void {
    if (this.#closed && !this.#reading && !this.#writing) this.events.onClose(this.#error)
  }
}

const allocate = (size: number) => {
  if (size >= large) litter()
  return new Uint8Array(size)
}

/** Options cannot be set on a socket that has closed or failed meanwhile, which its reads and writes report. */
const attempt = (setOption: () => void): void => {
  try {
    setOption()
  } catch {
    // Nothing to add.
  }
}
