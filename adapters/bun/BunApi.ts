/**
 * The little of Bun's socket API that this adapter uses, so that it type-checks without Bun's types.
 * `localAddress`, `localPort`, `ipv6Only`, `reusePort` and `getsockname` work in Bun 1.4 though its types or manual leave them out.
 * https://bun.com/docs/runtime/networking/tcp
 */

/** An open socket. `write` returns how many bytes the kernel took, or -1 on a closed socket; no verb throws on one. */
export interface BunSocket {
  /** What `connect` or `listen` was given as `data`, until it is replaced. */
  data: unknown
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  write(chunk: Uint8Array): number
  shutdown(): void
  end(): void
  terminate(): void
  pause(): void
  resume(): void
  setNoDelay(enabled: boolean): void
  setKeepAlive(enabled: boolean, initialDelayMillis: number): void
}

/** Without an `error` handler, what a handler throws becomes an uncaught exception and the socket lives on. */
export interface SocketHandlers {
  readonly binaryType: "uint8array"
  open(socket: BunSocket): void
  data(socket: BunSocket, chunk: Uint8Array): void
  drain(socket: BunSocket): void
  end(socket: BunSocket): void
  close(socket: BunSocket, error?: unknown): void
}

interface SocketOptions {
  readonly allowHalfOpen: boolean
  readonly socket: SocketHandlers
  readonly data: unknown
}

export interface ConnectOptions extends SocketOptions {
  readonly unix?: string
  readonly hostname?: string
  readonly port?: number
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

export interface ListenOptions extends SocketOptions {
  readonly unix?: string
  readonly hostname?: string
  readonly port?: number
  readonly reusePort?: boolean
  readonly ipv6Only?: boolean
}

export interface BunListener {
  /** Fills in the address that the socket is really bound to. */
  getsockname(into: { address?: string; port?: number }): void
  stop(): void
}

interface Bun {
  connect(options: ConnectOptions): Promise<unknown>
  listen(options: ListenOptions): BunListener
}

/** Looked up when used, so that this module can be loaded on every runtime. */
export const bun = (): Bun => (globalThis as unknown as { readonly Bun: Bun }).Bun
