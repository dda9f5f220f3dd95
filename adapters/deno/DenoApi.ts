/**
 * The little of Deno's API that the adapter uses, declared here so that it type-checks without Deno's own types.
 * Looked up when first called, never when imported: the module loads on any runtime.
 * https://docs.deno.com/api/deno/~/Deno.Conn
 */
import type { Endpoint, InetEndpoint } from "../../src/Transport.ts"

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

interface NetPermission {
  readonly name: "net"
  readonly host?: string
}

interface SysPermission {
  readonly name: "sys"
  readonly kind: "networkInterfaces"
}

interface DenoLike {
  connect(options: object): Promise<DenoConn>
  listen(options: object): DenoListener
  readonly permissions: {
    /** Asks the user where nothing is settled and there is a terminal. */
    request(permission: NetPermission): Promise<{ readonly state: string }>
    querySync(permission: NetPermission | SysPermission): { readonly state: string }
  }
}

/** Deno itself. */
export const deno = (): DenoLike => (globalThis as unknown as { readonly Deno: DenoLike }).Deno

/** Whether Deno runs with `--unstable-net` or `"unstable": ["net"]`, without which `reusePort` ends the process. */
export const hasUnstableNet = (): boolean => {
  const { Deno } = globalThis as { readonly Deno?: { readonly listenDatagram?: unknown } }
  return typeof Deno?.listenDatagram === "function"
}

const netPermission = ({ host, port }: InetEndpoint): NetPermission => ({
  name: "net",
  host: host.includes(":") ? `[${host.replace(/%.*/, "")}]:${port}` : `${host}:${port}`
})

/** Whether this address may be used, which the user is asked where nothing is settled. */
export const requestNet = async (endpoint: InetEndpoint): Promise<boolean> =>
  (await deno().permissions.request(netPermission(endpoint))).state === "granted"

/** Whether this address may be used as things are. */
export const mayUse = (endpoint: InetEndpoint): boolean =>
  deno().permissions.querySync(netPermission(endpoint)).state === "granted"

/** Whether the network is allowed as a whole. What is allowed by name alone does not include the addresses of that name. */
export const mayUseAll = (): boolean => deno().permissions.querySync({ name: "net" }).state === "granted"

/** Whether this machine's interfaces may be looked at as things are. */
export const mayLookAtInterfaces = (): boolean =>
  deno().permissions.querySync({ name: "sys", kind: "networkInterfaces" }).state === "granted"

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
