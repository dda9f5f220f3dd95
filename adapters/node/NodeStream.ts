/**
 * One `net.Socket` behind the verbs of the seam. The listeners are shared functions, so a connection costs no closures.
 * Node 20 shows a reset as a clean end when unread bytes were waiting (libuv before 1.52, libuv/libuv#4997); a write of no bytes
 * at the end of stream tells the two apart, since the kernel answers it with an error on a socket that was reset.
 */
import type { Socket, SocketConstructorOpts } from "node:net"
import { large, litter } from "../litter.ts"
import { keepFreed } from "./heap.ts"
import type { Endpoint, StreamEvents, StreamHandle, StreamOptions } from "../../src/Transport.ts"

/** Not the `node:net` of Deno or Bun, whose memory may be shared. */
export const isNode = !("Deno" in globalThis) && !("Bun" in globalThis)

const stream: unique symbol = Symbol("effect-netkit/NodeStream")

type OwnedSocket = Socket & { [stream]: NodeStream }

/** What libuv reads at most. */
const fullRead = 65536

const nothing = new Uint8Array(0)

const ignored: StreamEvents = {
  onData() {},
  onEnd() {},
  onDrain() {},
  onFinish() {},
  onClose() {}
}

/** What a server is made with for the sockets that it accepts. */
export const acceptedWith = ({ keepAlive, noDelay }: StreamOptions) => ({
  allowHalfOpen: true,
  noDelay,
  keepAlive: keepAlive !== false,
  keepAliveInitialDelay: keepAlive === false ? 0 : keepAlive
})

/** What a socket that dials is made with: `connect` would ignore it. Node's types miss most of it. */
export const dialledWith = (options: StreamOptions): SocketConstructorOpts => (
  { ...acceptedWith(options), writableHighWaterMark: options.writeBuffer } as SocketConstructorOpts
)

/** Missing in the types for Node 20. */
interface Transferable {
  transfer(size: number): ArrayBuffer
}

/** What Node keeps to itself of a write under way. */
interface Internals extends Socket {
  readonly _handle?: { readonly writeQueueSize?: number } | null
  readonly _writableState?: { readonly writelen?: number }
}

/** Takes over a connected socket, paused. `events` is set before the runtime's loop turns again. */
export class NodeStream implements StreamHandle {
  events: StreamEvents = ignored
  readonly canReset: boolean
  readonly remoteAddress: Endpoint | undefined
  /** Gone once it is closed: who still holds the connection then, holds little. */
  #socket: Socket | undefined
  readonly #writeBuffer: number
  #localAddress: Endpoint | undefined
  error: unknown = undefined

  constructor(socket: Socket, options: StreamOptions, path: string | undefined) {
    this.#socket = socket
    this.#writeBuffer = options.writeBuffer
    this.canReset = path === undefined
    this.remoteAddress = path === undefined ? endpointOf(socket.remoteAddress, socket.remotePort) : { path }
    this.#localAddress = path === undefined ? undefined : { path }
    ;(socket as OwnedSocket)[stream] = this
    socket.on("data", onData)
    socket.on("end", onEnd)
    socket.on("drain", onDrain)
    socket.on("finish", onFinish)
    socket.on("error", onError)
    socket.on("close", onClose)
  }

  write(chunk: Uint8Array): boolean {
    const socket = this.#socket
    if (socket === undefined) return true
    // Node answers false from the size of the chunk alone; what counts is what the kernel left behind.
    return socket.write(chunk) || socket.writableLength < this.#writeBuffer
  }

  writev(chunks: ReadonlyArray<Uint8Array>): boolean {
    const socket = this.#socket
    if (socket === undefined) return true
    socket.cork()
    for (const chunk of chunks) socket.write(chunk)
    socket.uncork()
    return socket.writableLength < this.#writeBuffer
  }

  pause(): void {
    this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  shutdownWrite(): void {
    this.#socket?.end()
  }

  close(): void {
    this.#socket?.destroySoon()
  }

  reset(): void {
    const socket = this.#socket
    if (socket === undefined) return
    if (!this.canReset) socket.destroy()
    // While it shuts down, for a turn at most, libuv refuses to reset (EINVAL); Node then never closes the descriptor, and says so to nobody.
    else if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
      socket.once("finish", () => socket.resetAndDestroy())
    } else socket.resetAndDestroy()
  }

  get bufferedAmount(): number {
    if (this.#socket === undefined) return 0
    const { _handle, _writableState, writableLength } = this.#socket as Internals
    // A write under way counts whole until its end; how much of it is left only libuv knows (as Node's own timeouts ask it).
    const { writeQueueSize } = _handle ?? {}
    if (writableLength === 0 || writeQueueSize === undefined || _writableState?.writelen === undefined) {
      return writableLength
    }
    return writableLength - _writableState.writelen + writeQueueSize
  }

  get localAddress(): Endpoint | undefined {
    return this.#localAddress ??= endpointOf(this.#socket?.localAddress, this.#socket?.localPort)
  }

  setNoDelay(enabled: boolean): void {
    this.#socket?.setNoDelay(enabled)
  }

  setKeepAlive(enabled: boolean, initialDelayMillis: number): void {
    this.#socket?.setKeepAlive(enabled, initialDelayMillis)
  }

  /**
   * The end of stream is sure only when the kernel still takes a write; skipped where a write would queue behind others.
   * A Unix socket knows no reset, and takes no write once its peer has closed.
   */
  confirmEnd(): void {
    const socket = this.#socket
    if (socket === undefined) return
    if (!this.canReset || socket.writableEnded || socket.writableLength > 0) this.events.onEnd()
    else {
      socket.write(nothing, (error) => {
        if (!error) this.events.onEnd()
      })
    }
  }

  closed(): void {
    this.#socket = undefined
    this.events.onClose(this.error)
  }
}

export interface NodeStream {
  recycle?(chunk: Uint8Array): void
}

/** Node 22 or later, whose V8 collects its whole heap for every thousand of large chunks, unless they are freed or a minor collection comes first. */
const isModern = isNode && "transfer" in ArrayBuffer.prototype

if (isModern) {
  NodeStream.prototype.recycle = ({ buffer, byteLength }) => {
    if (byteLength >= large && byteLength === buffer.byteLength) (buffer as unknown as Transferable).transfer(0)
  }
}

const endpointOf = (host: string | undefined, port: number | undefined): Endpoint | undefined =>
  host === undefined || port === undefined ? undefined : { host, port }

function onData(this: Socket, chunk: Uint8Array): void {
  if (chunk.length >= fullRead) keepFreed()
  if (isModern && chunk.length >= large) litter()
  ;(this as OwnedSocket)[stream].events.onData(chunk)
}

function onEnd(this: Socket): void {
  ;(this as OwnedSocket)[stream].confirmEnd()
}

function onDrain(this: Socket): void {
  ;(this as OwnedSocket)[stream].events.onDrain()
}

function onFinish(this: Socket): void {
  ;(this as OwnedSocket)[stream].events.onFinish()
}

function onError(this: Socket, error: Error): void {
  ;(this as OwnedSocket)[stream].error ??= error
}

function onClose(this: Socket): void {
  ;(this as OwnedSocket)[stream].closed()
}
