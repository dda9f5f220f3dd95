/**
 * Socket addresses as values: an IP address or name with a port, or a Unix domain path.
 * (First sketch of the shape; filled in by the next commits.)
 */
import type { Endpoint } from "./Transport.ts"

export class InetAddress {
  readonly _tag = "InetAddress"
  readonly host: string
  readonly port: number
  constructor(host: string, port: number) {
    this.host = host
    this.port = port
  }
  toString(): string {
    return this.host.includes(":") ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`
  }
}

export class UnixAddress {
  readonly _tag = "UnixAddress"
  readonly path: string
  constructor(path: string) {
    this.path = path
  }
  toString(): string {
    return this.path
  }
}

export type SocketAddress = InetAddress | UnixAddress

/** @internal */
export const fromEndpoint = (endpoint: Endpoint): SocketAddress =>
  "path" in endpoint ? new UnixAddress(endpoint.path) : new InetAddress(endpoint.host, endpoint.port)
