/**
 * The little of Bun's API that the adapter uses, declared here so that it type-checks without Bun's own types.
 * Looked up when first called, never when imported: the module loads on any runtime. Bun's types leave out `getsockname`, and of
 * the options `localAddress`, `localPort`, `reusePort` and `ipv6Only`; Bun 1.4 honours them. https://bun.com/docs/runtime/networking/tcp
 */
import type { Endpoint } from "../../src/Transport.ts"

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

/** A datagram socket. `send` says whether the kernel took it and throws what the kernel says; `sendMany` says how many it took. */
export interface BunUdpSocket {
  readonly address: { readonly address: string; readonly port: number }
  send(bytes: Uint8Array, port?: number, address?: string): boolean
  /** Bytes, port, address, and so on; bytes alone on a connected socket. */
  sendMany(datagrams: ReadonlyArray<Uint8Array | number | string>): number
  setBroadcast(enabled: boolean): unknown
  setTTL(hops: number): unknown
  setMulticastTTL(hops: number): unknown
  setMulticastLoopback(enabled: boolean): unknown
  setMulticastInterface(address: string): boolean
  addMembership(group: string, interfaceAddress?: string): unknown
  dropMembership(group: string, interfaceAddress?: string): unknown
  addSourceSpecificMembership(source: string, group: string, interfaceAddress?: string): unknown
  dropSourceSpecificMembership(source: string, group: string, interfaceAddress?: string): unknown
  close(): void
}

interface UdpOptions {
  readonly hostname: string
  readonly port: number
  readonly connect?: { readonly hostname: string; readonly port: number }
  readonly binaryType: "uint8array"
  readonly socket: {
    data(
      socket: unknown,
      bytes: Uint8Array,
      port: number,
      address: string,
      flags?: { readonly truncated: boolean }
    ): void
    drain(): void
    /** Called with the error alone, though Bun's types put the socket before it. Without it, an ICMP error ends the process. */
    error(...args: ReadonlyArray<unknown>): void
  }
}

interface BunLike {
  connect(options: ConnectOptions): Promise<unknown>
  listen(options: ListenOptions): BunListener
  udpSocket(options: UdpOptions): Promise<BunUdpSocket>
  readonly dns: {
    lookup(host: string, options: { readonly backend: "system" }): Promise<ReadonlyArray<{ readonly address: string }>>
  }
}

/** Bun itself. */
export const bun = (): BunLike => (globalThis as unknown as { readonly Bun: BunLike }).Bun

/** An endpoint in the words of `Bun.connect` and `Bun.listen`. */
export const toOptions = (endpoint: Endpoint) =>
  "path" in endpoint ? { unix: endpoint.path } : { hostname: endpoint.host, port: endpoint.port }

/** Bun runs immediates before it polls its sockets; one asked for by another comes after. */
export const afterPoll = (callback: () => void): void => {
  setImmediate(() => void setImmediate(callback))
}
