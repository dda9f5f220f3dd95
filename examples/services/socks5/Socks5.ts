/**
 * The messages of SOCKS 5 (RFC 1928) and of its method with user and password (RFC 1929), the server's side: a codec for each step.
 * Each takes exactly its own bytes, so that what a client sends ahead stays in front of the next step, or of the relay.
 */
import { Framing, type NetError, SocketAddress } from "effect-netkit"
import * as Data from "effect/Data"
import * as Either from "effect/Either"

const version = 5

/** Which methods the client offers; which one the server takes. */
export const greeting = Framing.make<ReadonlyArray<number>, Method>({
  maxFrameLength: 257,
  parse: (bytes) => {
    if (bytes[0] !== version) return { malformed: `version ${bytes[0]} of SOCKS` }
    const next = 2 + (bytes[1] ?? 0)
    return bytes.length < Math.max(next, 2) ? undefined : { value: [...bytes.subarray(2, next)], next }
  },
  encode: (method) => Uint8Array.of(version, methods[method])
})

const methods = { none: 0x00, password: 0x02, unacceptable: 0xff } as const

export type Method = keyof typeof methods

export const offers = (offered: ReadonlyArray<number>, method: Method): boolean => offered.includes(methods[method])

export interface Credentials {
  readonly name: string
  readonly password: string
}

/** User and password; whether they are right. */
export const authentication = Framing.make<Credentials, boolean>({
  maxFrameLength: 513,
  parse: (bytes) => {
    if (bytes[0] !== 1) return { malformed: `version ${bytes[0]} of user and password` }
    const name = counted(bytes, 1)
    const password = name && counted(bytes, name.next)
    if (password === undefined) return undefined
    return { value: { name: text(name!.bytes), password: text(password.bytes) }, next: password.next }
  },
  encode: (right) => Uint8Array.of(1, right ? 0 : 1)
})

/** What the client wants, and where. */
export interface Request {
  readonly command: "connect" | "bind" | "udp associate" | undefined
  /** Left is what is wrong with the address. */
  readonly destination: Either.Either<SocketAddress.InetAddress, AddressTypeUnknown | NetError.InvalidOption>
}

export class AddressTypeUnknown extends Data.TaggedError("AddressTypeUnknown")<{ readonly type: number }> {
  override get message(): string {
    return `address type ${this.type}`
  }
}

export interface Reply {
  readonly code: Code
  /** The server's own end of the connection to the destination. */
  readonly bound?: SocketAddress.SocketAddress
}

/** RFC 1928, section 6. */
const codes = {
  succeeded: 0,
  "general failure": 1,
  "not allowed": 2,
  "network unreachable": 3,
  "host unreachable": 4,
  "connection refused": 5,
  "timed out": 6,
  "command not supported": 7,
  "address type not supported": 8
} as const

export type Code = keyof typeof codes

const commands = [undefined, "connect", "bind", "udp associate"] as const
const [ipv4, domain, ipv6] = [1, 3, 4]

export const request = Framing.make<Request, Reply>({
  maxFrameLength: 262,
  parse: (bytes) => {
    if (bytes[0] !== version) return { malformed: `version ${bytes[0]} of SOCKS` }
    if (bytes.length < 4) return undefined
    const command = commands[bytes[1]!]
    const host = hostAt(bytes, 3)
    // How long such an address is nobody knows: this request is the last one that can be answered.
    if (host === "unknown") {
      return { value: { command, destination: Either.left(new AddressTypeUnknown({ type: bytes[3]! })) }, next: 4 }
    }
    if (host === undefined || bytes.length < host.next + 2) return undefined
    const port = bytes[host.next]! * 256 + bytes[host.next + 1]!
    const destination = Either.try({
      try: () => SocketAddress.inet(host.text, port),
      catch: (error) => error as NetError.InvalidOption
    })
    return { value: { command, destination }, next: host.next + 2 }
  },
  encode: ({ bound, code }) => {
    const { host, port } = bound !== undefined && SocketAddress.isInetAddress(bound) ? bound : unspecified
    const ip = ipBytes(host)
    const type = ip.length === 4 ? ipv4! : ipv6!
    return Uint8Array.of(version, codes[code], 0, type, ...ip, port >> 8, port & 0xff)
  }
})

const unspecified = SocketAddress.inet("0.0.0.0", 0)

const hostAt = (bytes: Uint8Array, at: number): { text: string; next: number } | "unknown" | undefined => {
  const ip = (length: number, format: (bytes: Uint8Array) => string) => {
    const next = at + 1 + length
    return bytes.length < next ? undefined : { text: format(bytes.subarray(at + 1, next)), next }
  }
  switch (bytes[at]) {
    case ipv4:
      return ip(4, (bytes) => bytes.join("."))
    case ipv6:
      return ip(16, (bytes) => [0, 2, 4, 6, 8, 10, 12, 14].map((i) => group(bytes, i).toString(16)).join(":"))
    case domain: {
      const name = counted(bytes, at + 1)
      return name && { text: text(name.bytes), next: name.next }
    }
    default:
      return "unknown"
  }
}

const group = (bytes: Uint8Array, at: number): number => bytes[at]! * 256 + bytes[at + 1]!

/** The bytes after the one that says how many they are. */
const counted = (bytes: Uint8Array, at: number): { bytes: Uint8Array; next: number } | undefined => {
  const next = at + 1 + (bytes[at] ?? 256)
  return bytes.length < next ? undefined : { bytes: bytes.subarray(at + 1, next), next }
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** The bytes of an IP address in canonical text. */
const ipBytes = (host: string): ReadonlyArray<number> => {
  if (!host.includes(":")) return host.split(".").map(Number)
  const [head = [], tail] = host.replace(/%.*/, "").split("::").map((half) => half === "" ? [] : half.split(":"))
  const zeros = tail === undefined ? [] : new Array<string>(8 - head.length - tail.length).fill("0")
  return [...head, ...zeros, ...(tail ?? [])].flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff])
}
