/**
 * The little of Deno's API that the adapter uses, declared here so that it type-checks without Deno's own types.
 * Looked up when first called, never when imported: the module loads on any runtime.
 * https://docs.deno.com/api/deno/~/Deno.Conn
 */
import type { Endpoint } from "../../src/Transport.ts"

interface DenoAddress {
  readonly hostname?: string
  readonly port?: number
  readonly path?: string | null
}

export interface DenoConn {
  readonly localAddr: DenoAddress
  readonly remoteAddr: DenoAddress
  read(buffer: Uint8Array): Promise<number | null>
  write(chunk: Uint8Array): Promise<number>
  closeWrite(): Promise<void>
  close(): void
  /** TCP only, as `setKeepAlive`. */
  setNoDelay?(enabled: boolean): void
  setKeepAlive?(enabled: boolean): void
}

export interface DenoListener {
  readonly addr: DenoAddress
  accept(): Promise<DenoConn>
  close(): void
}

interface DenoLike {
  connect(options: object): Promise<DenoConn>
  listen(options: object): DenoListener
}

/** Deno itself. */
export const deno = (): DenoLike => (globalThis as unknown as { readonly Deno: DenoLike }).Deno

/** Whether Deno runs with `--unstable-net` or `"unstable": ["net"]`, without which `reusePort` ends the process. */
export const hasUnstableNet = (): boolean => {
  const { Deno } = globalThis as { readonly Deno?: { readonly listenDatagram?: unknown } }
  return typeof Deno?.listenDatagram === "function"
}

/** An endpoint in the words of `Deno.connect` and `Deno.listen`. */
export const toOptions = (endpoint: Endpoint): object =>
  "path" in endpoint
    ? { transport: "unix", path: endpoint.path }
    : { transport: "tcp", hostname: endpoint.host, port: endpoint.port }

/** An address of Deno's as an endpoint; the unnamed end of a Unix connection has none. */
export const toEndpoint = ({ hostname, path, port }: DenoAddress): Endpoint | undefined => {
  if (hostname !== undefined && port !== undefined) return { host: hostname, port }
  return typeof path === "string" ? { path } : undefined
}
