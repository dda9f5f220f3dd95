/**
 * Options of datagram sockets: defaults, and checks that run before anything is opened or changed. A check throws
 * `InvalidOption` with the option's name, or `Unsupported`; `checked` of `options.ts` makes a typed failure of it.
 */
import type { DatagramSettings, Membership } from "../DatagramTransport.ts"
import { InvalidOption } from "../NetError.ts"
import * as SocketAddress from "../SocketAddress.ts"
import type { Transport } from "../Transport.ts"
import type { Bounds } from "./datagramQueue.ts"
import * as Options from "./options.ts"

/** What can be set when a socket is opened, and changed by `configure` while it is open. */
export interface UdpSettings {
  /**
   * Allows sending to broadcast addresses (SO_BROADCAST). Without it that fails with `PermissionDenied`. Default
   * `false`.
   */
  readonly broadcast?: boolean | undefined
  /** How many routers a datagram may pass, 1-255. Default: the system's, mostly 64. */
  readonly ttl?: number | undefined
  /** The same for multicast, 1-255. Default 1, the local network. */
  readonly multicastTtl?: number | undefined
  /** Whether this machine receives what it sends to a group that it has joined. Default `true`. */
  readonly multicastLoopback?: boolean | undefined
  /** The interface that multicast leaves by: one of its IP addresses, or its name. Default: the system's choice. */
  readonly multicastInterface?: string | undefined
}

/** How to open a datagram socket. */
export interface UdpOptions extends UdpSettings {
  /**
   * Lets several sockets that all ask for it bind the port (SO_REUSEADDR), as receivers of a multicast group do.
   * Default `false`.
   */
  readonly reuseAddress?: boolean | undefined
  /** Lets several sockets share the port, each with its part of the senders (SO_REUSEPORT). Default `false`. */
  readonly reusePort?: boolean | undefined
  /** Keeps a socket bound to `::` from taking IPv4 too. Default `false`. */
  readonly ipv6Only?: boolean | undefined
  /**
   * Bytes that the kernel holds for this process before it drops. The system has a maximum of its own. Default: the
   * system's. Not on Deno: `Unsupported`.
   */
  readonly recvBufferSize?: number | undefined
  /**
   * Bytes that the kernel holds of what was sent. The system has a maximum of its own. Default: the system's. Not on
   * Deno: `Unsupported`.
   */
  readonly sendBufferSize?: number | undefined
  /** How many datagrams may wait to be received. Default 1024. */
  readonly capacity?: number | undefined
  /** How many bytes may wait to be received. Default 4 MiB. */
  readonly capacityBytes?: number | undefined
  /** What is dropped, and counted, when more come. Default `"drop-oldest"`. */
  readonly overflow?: "drop-oldest" | "drop-newest" | undefined
}

/** Where to join a group, and what to take from it. */
export interface MulticastOptions {
  /** The interface to join on: one of its IP addresses, or its name. Default: the system's choice. */
  readonly interface?: string | undefined
  /** Takes only what this address sends to the group (RFC 4607). */
  readonly source?: string | undefined
}

const within = (option: string, value: number | undefined, least: number, most: number): number | undefined => {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return value
  throw new InvalidOption({ option, value, expected: `a whole number of ${least}-${most}` })
}

/** The system's, or what it is now, where it is not set. */
const switched = (option: string, value: boolean | undefined): boolean | undefined =>
  value === undefined ? undefined : Options.flag(option, value, false)

const bufferSize = (option: string, value: number | undefined): number | undefined =>
  within(option, value, 1, 0x7fffffff)

const interfaceName = (option: string, value: string | undefined): string | undefined => {
  if (value === undefined || (typeof value === "string" && value !== "")) return value
  throw new InvalidOption({ option, value, expected: "an IP address or the name of an interface" })
}

export const resolveSettings = (settings: UdpSettings): DatagramSettings => ({
  broadcast: switched("broadcast", settings.broadcast),
  ttl: within("ttl", settings.ttl, 1, 255),
  multicastTtl: within("multicastTtl", settings.multicastTtl, 1, 255),
  multicastLoopback: switched("multicastLoopback", settings.multicastLoopback),
  multicastInterface: interfaceName("multicastInterface", settings.multicastInterface)
})

const resolveOverflow = (value: UdpOptions["overflow"] = "drop-oldest"): Bounds["overflow"] => {
  if (value === "drop-oldest" || value === "drop-newest") return value
  throw new InvalidOption({ option: "overflow", value, expected: '"drop-oldest" or "drop-newest"' })
}

export const resolve = (options: UdpOptions, transport: Transport, operation: "bind" | "connect") => {
  const reusePort = Options.flag("reusePort", options.reusePort, false)
  Options.needs(transport, "datagram", true, operation)
  Options.needs(transport, "datagramReusePort", reusePort, operation)
  const recvBufferSize = bufferSize("recvBufferSize", options.recvBufferSize)
  const sendBufferSize = bufferSize("sendBufferSize", options.sendBufferSize)
  const hasSize = recvBufferSize !== undefined || sendBufferSize !== undefined
  Options.needs(transport, "datagramBuffers", hasSize, operation)
  return {
    settings: resolveSettings(options),
    bounds: {
      capacity: Options.whole("capacity", options.capacity, 1024, 1, "a whole number from 1"),
      capacityBytes: Options.whole(
        "capacityBytes",
        options.capacityBytes,
        4 * 1024 * 1024,
        1,
        "a number of bytes from 1"
      ),
      overflow: resolveOverflow(options.overflow)
    },
    reuseAddress: Options.flag("reuseAddress", options.reuseAddress, false),
    reusePort,
    ipv6Only: Options.flag("ipv6Only", options.ipv6Only, false),
    recvBufferSize,
    sendBufferSize
  }
}

export const resolveMembership = (
  group: string,
  options: MulticastOptions,
  family: 4 | 6,
  transport: Transport
): Membership => {
  const { source } = options
  if (!SocketAddress.isMulticast(group) || SocketAddress.family(group) !== family) {
    throw new InvalidOption({ option: "group", value: group, expected: `an IPv${family} multicast address` })
  }
  if (source !== undefined && SocketAddress.family(source) !== family) {
    throw new InvalidOption({ option: "source", value: source, expected: `an IPv${family} address` })
  }
  Options.needs(transport, "multicastSourceV6", family === 6 && source !== undefined, "join")
  return { group, source, interface: interfaceName("interface", options.interface) }
}
