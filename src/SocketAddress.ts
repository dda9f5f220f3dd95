/**
 * Socket addresses as values: an IP address or host name with a port, or the path of a Unix domain socket.
 * They are equal by canonical text (RFC 5952), so `[0:0:0:0:0:0:0:1]:80` equals `[::1]:80`.
 * What is wrong with an address is an `InvalidOption` that names the part: `host`, `port`, `path` or the whole.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { dual, identity } from "effect/Function"
import * as Hash from "effect/Hash"
import * as Predicate from "effect/Predicate"
import * as Ip from "./internal/ip.ts"
import { InvalidOption } from "./NetError.ts"
import type { Endpoint } from "./Transport.ts"

/**
 * Marks every address.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/SocketAddress")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * An IP address or host name, with a port. Made by `inet`; the constructor takes what it is given, unchecked.
 *
 * @category models
 */
export class InetAddress implements Equal.Equal {
  readonly [TypeId]: TypeId = TypeId
  readonly _tag = "InetAddress"
  /** Without brackets; an IPv6 scope id follows `%` (RFC 4007). */
  readonly host: string
  /** 0-65535. */
  readonly port: number
  constructor(host: string, port: number) {
    this.host = host
    this.port = port
  }
  toString(): string {
    return format(this)
  }
  toJSON(): string {
    return format(this)
  }
  [Equal.symbol](that: unknown): boolean {
    return isInetAddress(that) && that.port === this.port &&
      (that.host === this.host || canonicalHost(that.host) === canonicalHost(this.host))
  }
  [Hash.symbol](): number {
    return Hash.cached(this, Hash.string(format(this)))
  }
}

/**
 * A Unix domain socket. Made by `unix`; the constructor takes what it is given, unchecked.
 *
 * @category models
 */
export class UnixAddress implements Equal.Equal {
  readonly [TypeId]: TypeId = TypeId
  readonly _tag = "UnixAddress"
  /** A leading NUL is a Linux abstract name. Empty for a peer that has not bound a path. */
  readonly path: string
  constructor(path: string) {
    this.path = path
  }
  toString(): string {
    return format(this)
  }
  toJSON(): string {
    return format(this)
  }
  [Equal.symbol](that: unknown): boolean {
    return isUnixAddress(that) && that.path === this.path
  }
  [Hash.symbol](): number {
    return Hash.cached(this, Hash.string(this.path))
  }
}

/**
 * Where a stream socket is bound or connected.
 *
 * @category models
 */
export type SocketAddress = InetAddress | UnixAddress

/**
 * What is taken for an address: a value, its parts, or its text as `parse` reads it. A port alone is that port of
 * 127.0.0.1: a server that does not say otherwise is not open to the network.
 *
 * @category models
 */
export type AddressInput =
  | SocketAddress
  | { readonly host?: string | undefined; readonly port: number }
  | { readonly path: string }
  | string

/** @category guards */
export const isSocketAddress = (u: unknown): u is SocketAddress => Predicate.hasProperty(u, TypeId)

/** @category guards */
export const isInetAddress = (u: unknown): u is InetAddress => isSocketAddress(u) && u._tag === "InetAddress"

/** @category guards */
export const isUnixAddress = (u: unknown): u is UnixAddress => isSocketAddress(u) && u._tag === "UnixAddress"

const loopbackHost = "127.0.0.1"
/** `sun_path` of Linux has 108 bytes, a NUL at its end among them; Node 20 cuts longer paths in silence. */
const longestPath = 107
const utf8 = new TextEncoder()
// IPv6 without brackets does not match: its last group would read as a port.
const hostAndPort = /^(\[[^\]]*\]|[^:[\]]*)(?::([^:]*))?$/

const invalid = (
  option: string,
  value: unknown,
  expected: string,
  found?: string
): Either.Either<never, InvalidOption> => Either.left(new InvalidOption({ option, value, expected, found }))

const makePort = (value: unknown): Either.Either<number, InvalidOption> =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65535
    ? Either.right(value)
    : invalid("port", value, "a port")

const makeHost = (value: unknown): Either.Either<string, InvalidOption> => {
  const host = typeof value === "string" ? Ip.canonicalHost(value) : undefined
  return host === undefined ? invalid("host", value, "a host name or IP address") : Either.right(host)
}

const makeInet = (host: unknown, port: unknown): Either.Either<InetAddress, InvalidOption> =>
  Either.zipWith(makeHost(host), makePort(port), (host, port) => new InetAddress(host, port))

const makeUnix = (value: unknown): Either.Either<UnixAddress, InvalidOption> => {
  const path = typeof value === "string" ? value.replace(/^@/, "\0") : ""
  const isPath = path !== "" && path !== "\0" && !path.includes("\0", 1)
  if (!isPath) return invalid("path", value, expectedPath(longestPath))
  return Either.map(makePath(path, longestPath), (path) => new UnixAddress(path))
}

const expectedPath = (limit: number): string => `a Unix socket path of 1-${limit} bytes`

const makePath = (path: string, limit: number): Either.Either<string, InvalidOption> => {
  const { length } = utf8.encode(path)
  if (length <= limit) return Either.right(path)
  const value = path.replace(/^\0/, "@")
  return invalid("path", value, expectedPath(limit), `of ${length} bytes`)
}

const orThrow: <A>(result: Either.Either<A, InvalidOption>) => A = Either.getOrThrowWith(identity)

/**
 * An address from a host and a port. The host is an IP address, with or without brackets, or an ASCII name (an
 * international one in its `xn--` form), and becomes canonical. A name that ends in a number is refused: resolvers take
 * `127.1` for 127.0.0.1. Throws `InvalidOption`; `fromInput` is for values from outside.
 *
 * ```ts
 * import { SocketAddress } from "effect-netkit"
 *
 * const loopback = SocketAddress.inet("::1", 8080)
 * ```
 *
 * @category constructors
 */
export const inet = (host: string, port: number): InetAddress => orThrow(makeInet(host, port))

/**
 * An address from the path of a Unix domain socket, at most 107 bytes of UTF-8. A leading NUL or `@` makes it a Linux
 * abstract name; a file of that name is `./@name`. Throws `InvalidOption`.
 *
 * @category constructors
 */
export const unix = (path: string): UnixAddress => orThrow(makeUnix(path))

/**
 * Throws `InvalidOption` for a path that is too long, also for one that was not checked when it was made.
 *
 * @internal
 */
export const checkPath = (path: string, limit = longestPath): void => void orThrow(makePath(path, limit))

const notAnAddress = (option: string, value: unknown, found?: string): Either.Either<never, InvalidOption> =>
  invalid(option, value, "an address such as host:port, [::1]:port or unix:path", found)

const makeText = (
  text: string,
  option: string,
  defaultPort: number | undefined
): Either.Either<SocketAddress, InvalidOption> => {
  if (text.startsWith("/")) return makeUnix(text)
  if (text.startsWith("unix:")) return makeUnix(text.slice(text.startsWith("unix://") ? 7 : 5))
  const match = hostAndPort.exec(text)
  if (match === null) return notAnAddress(option, text)
  const [, host, port] = match
  if (host === "" && port !== undefined) return notAnAddress(option, text, "without a host")
  if (port !== undefined) return Either.flatMap(parsePort(port), (port) => makeInet(host, port))
  return defaultPort === undefined ? notAnAddress(option, text) : makeInet(host, defaultPort)
}

/**
 * An address from whatever is taken for one, checked. `option` is named in the error where no part is to blame.
 *
 * @category constructors
 */
export const fromInput = (input: AddressInput, option = "address"): Either.Either<SocketAddress, InvalidOption> => {
  if (typeof input === "string") return makeText(input, option, undefined)
  if (!Predicate.isRecord(input)) return notAnAddress(option, input)
  if ("path" in input) return makeUnix(input.path)
  const { host = loopbackHost, port } = input
  return makeInet(host, port)
}

/**
 * The address of a socket, which needs no check.
 *
 * @internal
 */
export const fromEndpoint = (endpoint: Endpoint): SocketAddress =>
  "path" in endpoint ? new UnixAddress(endpoint.path) : new InetAddress(endpoint.host, endpoint.port)

/**
 * The address as a transport takes it.
 *
 * @category conversions
 */
export const toEndpoint = (address: SocketAddress): Endpoint =>
  address._tag === "UnixAddress" ? { path: address.path } : { host: address.host, port: address.port }

/**
 * `defaultPort` stands in where a text names a host alone.
 *
 * @category models
 */
export interface ParseOptions {
  readonly defaultPort?: number | undefined
}

/**
 * Reads an address: `127.0.0.1:80`, `example.com:80`, `[::1]:80`, `[fe80::1%eth0]:80`, `/run/x.sock`, `unix:x.sock`,
 * and `unix:@name` for an abstract name (a host called `unix` is written `unix.`). IPv6 wants brackets, also where the
 * port is left to `defaultPort`. The host is never left out.
 *
 * @category parsing
 */
export const parse = (text: string, options?: ParseOptions): Either.Either<SocketAddress, InvalidOption> =>
  makeText(text, "address", options?.defaultPort)

/**
 * As `parse`, and throws the `InvalidOption`: for addresses written in the program.
 *
 * @category parsing
 */
export const unsafeParse = (text: string, options?: ParseOptions): SocketAddress => orThrow(parse(text, options))

/**
 * Reads a port as a user types it: a whole decimal number 0-65535, without sign or spaces.
 *
 * @category parsing
 */
export const parsePort = (text: string): Either.Either<number, InvalidOption> =>
  /^\d{1,5}$/.test(text) && Number(text) <= 65535 ? Either.right(Number(text)) : invalid("port", text, "a port")

/**
 * An address from the configuration, read by `parse`. What is wrong is told in a `ConfigError` that names the setting.
 *
 * @category parsing
 */
export const config = (name?: string, options?: ParseOptions): Config.Config<SocketAddress> => {
  const address = Config.mapOrFail(
    Config.string(),
    (text) => Either.mapLeft(parse(text, options), (error) => ConfigError.InvalidData([], error.message))
  )
  return name === undefined ? address : Config.nested(address, name)
}

// What a transport says of its sockets is not checked; a name of its own stands for itself.
const canonicalHost = (host: string): string => Ip.canonicalHost(host) ?? host

/**
 * The canonical text, which `parse` reads back: IPv6 in brackets, lower case and shortest (RFC 5952), the scope id as
 * it was; a Unix path as it is, after `unix:` where it is not absolute, with `@` for the NUL of an abstract name.
 *
 * @category conversions
 */
export const format = (address: SocketAddress): string => {
  if (address._tag === "UnixAddress") {
    return address.path.startsWith("/") ? address.path : `unix:${address.path.replace(/^\0/, "@")}`
  }
  const host = canonicalHost(address.host)
  return host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`
}

/**
 * The same host with another port. Throws `InvalidOption` where it is none.
 *
 * @category combinators
 */
export const withPort: {
  (port: number): (self: InetAddress) => InetAddress
  (self: InetAddress, port: number): InetAddress
} = dual(2, (self: InetAddress, port: number) => new InetAddress(self.host, orThrow(makePort(port))))

/**
 * `::ffff:1.2.3.4`, as a dual-stack listener shows IPv4 peers, as `1.2.3.4`; any other address as it is.
 *
 * @category combinators
 */
export const unmap = (address: SocketAddress): SocketAddress => {
  if (address._tag === "UnixAddress") return address
  const host = Ip.unmap(address.host)
  return host === undefined ? address : new InetAddress(host, address.port)
}

export { family, isIp, isLinkLocal, isLoopback, isMulticast, isPrivate, isUnspecified } from "./AddressKind.ts"
export { Cidr, CidrTypeId, isCidr, matches, parseCidr, unsafeParseCidr } from "./Cidr.ts"
