/**
 * Who may come in: by address, by how many are there from the same host, by how many there are, and by how many came lately.
 * Decides and counts; it neither closes nor starts anything. The limits may change at any time, and count from then on.
 */
import type * as Clock from "effect/Clock"
import * as Either from "effect/Either"
import * as Cidr from "../Cidr.ts"
import { InvalidOption } from "../NetError.ts"
import { isInetAddress, type SocketAddress } from "../SocketAddress.ts"
import { unmap } from "./ip.ts"
import * as Options from "./options.ts"
import { type Rate, type RateLimitOptions, Rates, resolve } from "./rates.ts"
import type { RejectReason } from "./rejections.ts"

/**
 * Who may come in, and how many. All can be changed while the server runs.
 *
 * @category options
 */
export interface LimitOptions {
  /**
   * How many connections there may be at once, from the start of their handlers until they are closed to the end. `Infinity`: no limit.
   * Default 10,000.
   */
  readonly maxConnections?: number | undefined
  /**
   * What to do with a connection over `maxConnections` or `acceptRate`. `"pause"` (the default): stop accepting, so that it waits, in the
   * kernel's queue where the runtime can leave it there, else in one of `backlog` connections here. `"reject"`: reset it.
   */
  readonly overflow?: "pause" | "reject" | undefined
  /**
   * How many of these may come from the same IP address; more are reset. IPv4 is the same host in both spellings. An IPv6 host has as
   * many addresses as it wants. Unix sockets have no host. Default `Infinity`.
   */
  readonly maxConnectionsPerHost?: number | undefined
  /** At most `limit` connections at once or in the course of a `window`, as a token bucket; one that is changed is full. Default: any number. */
  readonly acceptRate?: RateLimitOptions | undefined
  /** Blocks of addresses that alone may connect; others are reset. Unix sockets always may. Default: all. */
  readonly allow?: ReadonlyArray<Cidr.Cidr | string> | undefined
  /** Blocks of addresses that may not connect, though `allow` has them: they are reset. Default: none. */
  readonly deny?: ReadonlyArray<Cidr.Cidr | string> | undefined
}

export interface Limits {
  readonly maxConnections: number
  readonly maxConnectionsPerHost: number
  readonly rejects: boolean
  readonly rate: Rate | undefined
  readonly allow: ReadonlyArray<Cidr.Cidr> | undefined
  readonly deny: ReadonlyArray<Cidr.Cidr>
}

/** Checks limits; throws `InvalidOption`. */
export const resolveLimits = (options: LimitOptions): Limits => ({
  maxConnections: Options.count("maxConnections", options.maxConnections, 10_000),
  maxConnectionsPerHost: Options.count("maxConnectionsPerHost", options.maxConnectionsPerHost, Infinity),
  rejects: overflow(options.overflow) === "reject",
  rate: options.acceptRate === undefined
    ? undefined
    : resolve(Options.parts("acceptRate", options.acceptRate), "acceptRate."),
  allow: options.allow === undefined ? undefined : blocks("allow", options.allow),
  deny: options.deny === undefined ? [] : blocks("deny", options.deny)
})

const overflow = (value: LimitOptions["overflow"] = "pause"): "pause" | "reject" => {
  if (value === "pause" || value === "reject") return value
  throw new InvalidOption({ option: "overflow", value, expected: '"pause" or "reject"' })
}

const blocks = (option: string, values: ReadonlyArray<Cidr.Cidr | string>): ReadonlyArray<Cidr.Cidr> => {
  if (!Array.isArray(values)) throw new InvalidOption({ option, value: values, expected: "an array of CIDR blocks" })
  return values.map((value) => {
    if (Cidr.isCidr(value)) return value
    return Either.getOrThrowWith(
      Cidr.parseCidr(String(value)),
      ({ expected }) => new InvalidOption({ option, value, expected })
    )
  })
}

interface Remote {
  readonly remoteAddress: SocketAddress
}

export class Admission {
  #limits: Limits
  readonly #hosts = new Map<string, number>()
  #rates: Rates | undefined

  constructor(limits: Limits) {
    this.#limits = limits
    this.#rates = limits.rate && new Rates(limits.rate)
  }

  /** Whoever is over a limit is refused, and need not wait. */
  get rejects(): boolean {
    return this.#limits.rejects
  }

  change(limits: Limits): void {
    const { rate } = this.#limits
    this.#limits = limits
    if (limits.rate?.cost === rate?.cost && limits.rate?.credit === rate?.credit) return
    this.#rates = limits.rate && new Rates(limits.rate)
  }

  /** Why somebody from there may not come in, however long he waits. */
  refusal(connection: Remote): RejectReason | undefined {
    const { allow, deny, maxConnectionsPerHost } = this.#limits
    if (maxConnectionsPerHost === Infinity && allow === undefined && deny.length === 0) return undefined
    const remote = connection.remoteAddress
    if (!isInetAddress(remote)) return undefined
    if (Cidr.matches(deny, remote)) return "denied"
    if (allow !== undefined && !Cidr.matches(allow, remote)) return "denied"
    return (this.#hosts.get(hostOf(remote.host)) ?? 0) >= maxConnectionsPerHost ? "maxConnectionsPerHost" : undefined
  }

  /** Counts somebody in, where hosts are counted; gives what `leave` wants back. */
  enter(connection: Remote): string | undefined {
    if (this.#limits.maxConnectionsPerHost === Infinity) return undefined
    const remote = connection.remoteAddress
    if (!isInetAddress(remote)) return undefined
    const host = hostOf(remote.host)
    this.#hosts.set(host, (this.#hosts.get(host) ?? 0) + 1)
    return host
  }

  leave(host: string | undefined): void {
    if (host === undefined) return
    const left = this.#hosts.get(host)! - 1
    if (left === 0) this.#hosts.delete(host)
    else this.#hosts.set(host, left)
  }

  /** Why nobody can be served now, of whom `present` are. */
  hindrance(present: number, clock: Clock.Clock): "maxConnections" | "acceptRate" | undefined {
    if (present >= this.#limits.maxConnections) return "maxConnections"
    return this.untilReady(clock) === 0 ? undefined : "acceptRate"
  }

  /** One begins to be served. */
  take(clock: Clock.Clock): void {
    this.#rates?.take(undefined, clock.unsafeCurrentTimeMillis())
  }

  /** Milliseconds until the rate lets somebody in; none where it does. */
  untilReady(clock: Clock.Clock): number {
    return this.#rates === undefined ? 0 : Math.ceil(this.#rates.wait(undefined, clock.unsafeCurrentTimeMillis()))
  }
}

/** One name for the host of an IPv4 address in both spellings. */
const hostOf = (host: string): string => unmap(host) ?? host
