/**
 * What a memory network knows of addresses: names, the addresses that are its own, and who holds which port or path.
 * An address is kept in one spelling (RFC 5952), so that `::1` and `0:0:0:0:0:0:0:1` are the same place.
 * A port is free again the moment it is released: there is no TIME_WAIT.
 */
import * as Ip from "../../src/internal/ip.ts"
import { InvalidOption } from "../../src/NetError.ts"
import type { Endpoint, InetEndpoint } from "../../src/Transport.ts"
import { systemError } from "./SystemError.ts"

/** What a listener holds while it listens. */
export interface Binding {
  readonly localAddress: Endpoint
  readonly reusePort: boolean
  readonly ipv6Only: boolean
}

// The dynamic ports, RFC 6335 section 6.
const ephemeral = { first: 49152, count: 16384 }

const loopbackBlock = Ip.parseBlock("127.0.0.0/8")!

const isV6 = (address: string): boolean => address.includes(":")

const isWildcard = (address: string): boolean => address === "0.0.0.0" || address === "::"

const loopbackFor = (address: string): string => isV6(address) ? "::1" : "127.0.0.1"

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1"

/** The one spelling of an IP address, or nothing for a name. An IPv4 address mapped into IPv6 is the IPv4 address. */
const canonical = (host: string): string | undefined => {
  const ip = Ip.parse(host)
  return ip && (Ip.unmap(host) ?? Ip.format(ip))
}

const option = <A>(name: string, text: string, value: A | undefined, expected: string): A => {
  if (value === undefined) throw new InvalidOption({ option: name, value: text, expected })
  return value
}

const keyOf = (endpoint: Endpoint): string | number => "path" in endpoint ? endpoint.path : endpoint.port

const hostOf = (endpoint: Endpoint): string => (endpoint as InetEndpoint).host

/** Whether what is sent to `host` reaches a listener that has the right port. */
export const covers = ({ localAddress, ipv6Only }: Binding, host: string): boolean => {
  const bound = hostOf(localAddress)
  return bound === host || (bound === "::" && (isV6(host) || !ipv6Only)) || (bound === "0.0.0.0" && !isV6(host))
}

/** Whether two listeners on one port would be in each other's way: one of them covers what the other is bound to. */
const overlap = (a: Binding, b: Binding): boolean =>
  "path" in a.localAddress || covers(a, hostOf(b.localAddress)) || covers(b, hostOf(a.localAddress))

export class AddressSpace<Listener extends Binding> {
  readonly #names = new Map<string, ReadonlyArray<string>>([["localhost", ["127.0.0.1", "::1"]]])
  readonly #own: ReadonlyArray<Ip.Block>
  readonly #listeners = new Map<string | number, Array<Listener>>()
  readonly #dialled = new Set<string>()
  #ephemeral = 0

  constructor(names: Readonly<Record<string, string | ReadonlyArray<string>>>, own: ReadonlyArray<string>) {
    for (const [name, addresses] of Object.entries(names)) {
      const spelled = [addresses].flat().map((text) => option("names", text, canonical(text), "an IP address"))
      this.#names.set(name.toLowerCase(), spelled)
    }
    this.#own = own.map((text) => option("addresses", text, Ip.parseBlock(text), "an IP address or a CIDR block"))
  }

  /** What a dialled endpoint may mean, in order; a wildcard means this host, as on Linux. Throws ENOTFOUND. */
  destinations(endpoint: Endpoint): ReadonlyArray<Endpoint> {
    if ("path" in endpoint) return [endpoint]
    return this.lookup(endpoint.host).map((host) => ({
      host: isWildcard(host) ? loopbackFor(host) : host,
      port: endpoint.port
    }))
  }

  /** The listener that gets the next connection; those that share a port take turns. Throws as connect(2). */
  listenerAt(destination: Endpoint): Listener {
    const all = this.#listeners.get(keyOf(destination)) ?? []
    if ("path" in destination) {
      // An abstract name has no file that could be missing.
      const code = destination.path.startsWith("\0") ? "ECONNREFUSED" : "ENOENT"
      if (all.length === 0) throw systemError("connect", code, destination)
      return all[0]!
    }
    if (!this.isOwn(destination.host)) throw systemError("connect", "ENETUNREACH", destination)
    const exact = all.find((listener) => hostOf(listener.localAddress) === destination.host)
    const listener = exact ?? all.find((listener) => covers(listener, destination.host))
    if (listener === undefined) throw systemError("connect", "ECONNREFUSED", destination)
    all.push(...all.splice(all.indexOf(listener), 1))
    return listener
  }

  /** Takes a local port for a connection to `destination`, until `releasePort`. Throws as bind(2). */
  claimPort(destination: Endpoint, localAddress: string | undefined, localPort = 0): Endpoint {
    if ("path" in destination) return destination
    const host = this.sourceFor(destination.host, localAddress)
    const local = { host, port: localPort || this.#freePort(host) }
    const name = `${host} ${local.port}`
    const taken = this.#dialled.has(name) || this.#listeners.get(local.port)?.some((listener) => covers(listener, host))
    if (taken) throw systemError("bind", "EADDRINUSE", local)
    this.#dialled.add(name)
    return local
  }

  releasePort(local: Endpoint): void {
    if ("host" in local) this.#dialled.delete(`${local.host} ${local.port}`)
  }

  /** Where a listener would be bound: the first address of a name, a free port for 0. Throws as bind(2). */
  resolveBinding(endpoint: Endpoint, options: Omit<Binding, "localAddress">): Binding {
    const binding = { localAddress: this.#bindable(endpoint), reusePort: options.reusePort, ipv6Only: options.ipv6Only }
    const rivals = this.#listeners.get(keyOf(binding.localAddress)) ?? []
    if (rivals.some((rival) => overlap(rival, binding) && !(rival.reusePort && binding.reusePort))) {
      throw systemError("listen", "EADDRINUSE", binding.localAddress)
    }
    return binding
  }

  add(listener: Listener): void {
    const key = keyOf(listener.localAddress)
    this.#listeners.set(key, [...this.#listeners.get(key) ?? [], listener])
  }

  remove(listener: Listener): void {
    const key = keyOf(listener.localAddress)
    const rest = this.#listeners.get(key)!.filter((other) => other !== listener)
    if (rest.length > 0) this.#listeners.set(key, rest)
    else this.#listeners.delete(key)
  }

  /** Who is bound to the port, in the order of binding. */
  boundTo(port: number): ReadonlyArray<Listener> {
    return this.#listeners.get(port) ?? []
  }

  /** All addresses of a host, in order. Throws ENOTFOUND. */
  lookup(host: string): ReadonlyArray<string> {
    const address = canonical(host)
    const found = address === undefined ? this.#names.get(host.toLowerCase()) : [address]
    if (found === undefined || found.length === 0) throw systemError("getaddrinfo", "ENOTFOUND", host)
    return found
  }

  isOwn(address: string): boolean {
    return isLoopback(address) || this.#own.some((block) => Ip.contains(block, Ip.parse(address)!))
  }

  /** Whether it means every host of a block, or of the network. Blocks of one or two addresses have no such (RFC 3021). */
  isBroadcast(address: string): boolean {
    if (address === "255.255.255.255") return true
    const ip = Ip.parse(address)!
    return ip.version === 4 &&
      [loopbackBlock, ...this.#own].some((block) =>
        block.prefix < 127 && Ip.contains(block, ip) &&
        ip.groups.every((group, i) => (group | block.masks[i]!) === 0xffff)
      )
  }

  #bindable(endpoint: Endpoint): Endpoint {
    if ("path" in endpoint) return endpoint
    const host = this.lookup(endpoint.host)[0]!
    if (!isWildcard(host) && !this.isOwn(host)) {
      throw systemError("listen", "EADDRNOTAVAIL", { host, port: endpoint.port })
    }
    return { host, port: endpoint.port || this.#freePort(host) }
  }

  /** Left to itself, what goes to a loopback address starts at the first one, any other where it goes to. */
  sourceFor(destination: string, wanted: string | undefined): string {
    if (wanted === undefined || isWildcard(wanted)) {
      return isLoopback(destination) ? loopbackFor(destination) : destination
    }
    const host = canonical(wanted)
    if (host !== undefined && isV6(host) === isV6(destination) && this.isOwn(host)) return host
    throw systemError("bind", "EADDRNOTAVAIL", wanted)
  }

  /** In turn, so that a port just released is the last to come back. */
  #freePort(host: string): number {
    for (let tries = 0; tries < ephemeral.count; tries++) {
      const port = ephemeral.first + this.#ephemeral++ % ephemeral.count
      if (!this.#listeners.has(port) && !this.#dialled.has(`${host} ${port}`)) return port
    }
    throw systemError("bind", "EADDRINUSE", host)
  }
}
