/**
 * Options of sockets: defaults, and checks that run before anything is opened.
 * A check throws `InvalidOption` with the option's name; `checked` turns that into a typed failure.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { InvalidOption, type Operation, Unsupported } from "../NetError.ts"
import { checkPath, isIp, type SocketAddress } from "../SocketAddress.ts"
import type { Capability, StreamOptions, Transport } from "../Transport.ts"

/** Options that a connection keeps for its life, dialled or accepted. */
export interface SocketOptions {
  /** Sends small messages at once (TCP_NODELAY). Default `true`. */
  readonly noDelay?: boolean | undefined
  /**
   * Probes a silent peer: `true` with the system's delay, a duration for a delay of its own, which becomes whole seconds and is at most 32,767 of
   * them. Default `false`.
   */
  readonly keepAlive?: boolean | Duration.DurationInput | undefined
  /** Bytes read ahead of the reader before the kernel's window is let close. Default 256 KiB. */
  readonly readBuffer?: number | undefined
  /** Bytes that wait for the kernel before a write waits. Default 64 KiB. */
  readonly writeBuffer?: number | undefined
  /** How long a read may wait for a byte. Default infinity. */
  readonly readTimeout?: Duration.DurationInput | undefined
  /** How long a write may wait without the peer taking a byte; at most twice that. Default infinity; 30 seconds for a `Server`. */
  readonly writeTimeout?: Duration.DurationInput | undefined
  /** How long a close may take to flush and to see the peer's end. Default 5 seconds. */
  readonly closeTimeout?: Duration.DurationInput | undefined
  /** The connection must be able to send RST (`reset`). Costs something on Deno alone; the others always can. Default `false`. */
  readonly resettable?: boolean | undefined
}

export interface ResolvedOptions extends StreamOptions {
  readonly readBuffer: number
  readonly readTimeout: Duration.Duration
  readonly writeTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
}

/** Whether it is the program that has to change, so that trying again is of no use. */
export const isOptionError = (error: unknown): error is InvalidOption | Unsupported =>
  error instanceof InvalidOption || error instanceof Unsupported

/** Runs checks that throw `InvalidOption` or `Unsupported`. */
export const checked = <A>(check: () => A): Effect.Effect<A, InvalidOption | Unsupported> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(check())
    } catch (error) {
      if (isOptionError(error)) return Effect.fail(error)
      throw error
    }
  })

/** As `checked`, for checks that ask nothing of the runtime. */
export const valid = checked as <A>(check: () => A) => Effect.Effect<A, InvalidOption>

/** A whole number from `least` on; one that has no default is required. */
export const whole = (
  option: string,
  value: number | undefined,
  otherwise: number | undefined,
  least: number,
  expected: string
): number => {
  if (value === undefined && otherwise !== undefined) return otherwise
  if (value === undefined || !Number.isSafeInteger(value) || value < least) {
    throw new InvalidOption({ option, value, expected })
  }
  return value
}

/** As `whole`, or no limit. */
export const count = (option: string, value: number | undefined, otherwise: number, least = 1): number =>
  value === Infinity ? value : whole(option, value, otherwise, least, `a whole number from ${least}, or Infinity`)

export const flag = (option: string, value: boolean | undefined, otherwise: boolean): boolean => {
  if (value === undefined) return otherwise
  if (typeof value === "boolean") return value
  throw new InvalidOption({ option, value, expected: "true or false" })
}

/** An option of several parts, which are checked one by one. */
export const parts = <A extends object>(option: string, value: A): A => {
  if (Predicate.isRecord(value)) return value
  throw new InvalidOption({ option, value, expected: "an object" })
}

/** Where to dial or send from: an IP address without brackets, and a port. */
export const local = ({ localAddress, localPort }: {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}) => {
  if (localAddress !== undefined && !(typeof localAddress === "string" && isIp(localAddress))) {
    throw new InvalidOption({ option: "localAddress", value: localAddress, expected: "an IP address" })
  }
  if (localPort !== undefined && !(Number.isInteger(localPort) && localPort >= 0 && localPort <= 65535)) {
    throw new InvalidOption({ option: "localPort", value: localPort, expected: "a port" })
  }
  return { localAddress: localAddress?.replace(/^\[|\]$/g, ""), localPort }
}

/** One of the two families of IP addresses, or nothing for both. */
export const family = (value: 4 | 6 | "any" | undefined): 4 | 6 | undefined => {
  if (value === undefined || value === "any") return undefined
  if (value === 4 || value === 6) return value
  throw new InvalidOption({ option: "family", value, expected: '4, 6 or "any"' })
}

/** A duration, if it is one that is not negative: `Duration` itself takes NaN and negative ones for zero. */
export const decodeDuration = (input: unknown): Duration.Duration | undefined => {
  const parts = Array.isArray(input) ? input : [input]
  return parts.some(isNegative) ? undefined : Option.getOrUndefined(Duration.decodeUnknown(input))
}

const isNegative = (part: unknown): boolean =>
  typeof part === "string"
    ? part.startsWith("-")
    : (typeof part === "number" || typeof part === "bigint") && !(part >= 0)

export const duration = (
  option: string,
  value: Duration.DurationInput | undefined,
  otherwise: Duration.DurationInput
): Duration.Duration => {
  const decoded = decodeDuration(value === undefined ? otherwise : value)
  if (decoded === undefined) throw new InvalidOption({ option, value, expected: 'a duration such as "3 seconds"' })
  return decoded
}

/** Fails for an option that was asked for and that the runtime has not. */
export const needs = (transport: Transport, capability: Capability, asked: boolean, operation: Operation): void => {
  if (asked && transport.capabilities[capability] === false) {
    throw new Unsupported({ operation, capability, runtime: transport.runtime })
  }
}

/** Where to connect or listen, if the runtime can. */
export const reachable = (transport: Transport, address: SocketAddress, operation: Operation): void => {
  if (address._tag === "InetAddress") return
  needs(transport, "unix", true, operation)
  needs(transport, "unixAbstract", address.path.startsWith("\0"), operation)
  checkPath(address.path, transport.maxPathBytes)
}

/** Seconds. What Linux takes (`MAX_TCP_KEEPIDLE`). */
const longestKeepAlive = 32_767

/** Milliseconds, but whole seconds of them: the kernel knows no others, and the runtimes make 0 of less than one, the system's two hours. */
const keepAliveDelay = (value: Duration.DurationInput): number => {
  const seconds = Math.ceil(Duration.toSeconds(duration("keepAlive", value, 0)))
  if (seconds <= longestKeepAlive) return seconds * 1000
  const expected = `true, false or a duration of at most ${longestKeepAlive} seconds`
  throw new InvalidOption({ option: "keepAlive", value, expected })
}

export const resolve = (options: SocketOptions, transport: Transport, operation: Operation): ResolvedOptions => {
  const { keepAlive = false } = options
  const delay = typeof keepAlive === "boolean" ? undefined : keepAliveDelay(keepAlive)
  needs(transport, "keepAliveDelay", delay !== undefined, operation)
  const resettable = flag("resettable", options.resettable, false)
  needs(transport, "reset", resettable, operation)
  return {
    noDelay: flag("noDelay", options.noDelay, true),
    keepAlive: keepAlive === false ? false : delay ?? 0,
    readBuffer: whole("readBuffer", options.readBuffer, 262144, 1, "a number of bytes from 1"),
    writeBuffer: whole("writeBuffer", options.writeBuffer, 65536, 1, "a number of bytes from 1"),
    readTimeout: duration("readTimeout", options.readTimeout, Duration.infinity),
    writeTimeout: duration("writeTimeout", options.writeTimeout, Duration.infinity),
    closeTimeout: duration("closeTimeout", options.closeTimeout, "5 seconds"),
    resettable
  }
}
