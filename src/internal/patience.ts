/**
 * How long a server puts up with a peer: until its first byte, between bytes, in all, and at what pace. Only time in which somebody waits for
 * the peer counts: neither the handler's own time nor what this side sends does anything to the clocks.
 */
import * as Duration from "effect/Duration"
import * as NetError from "../NetError.ts"
import * as Options from "./options.ts"
import type { EndReason, Session } from "./session.ts"

/**
 * How long a server puts up with a peer. What is over its time is told to the handler once, by the typed failure of a read that waits (of a write, where
 * it is one that the peer takes too slowly); reads after that fail alike, writing goes on, for a farewell. A handler that has not ended
 * `closeTimeout` later is interrupted, and the connection reset. `Duration.infinity` opts out.
 *
 * @category options
 */
export interface PatienceOptions {
  /**
   * How long the handler may wait for the first byte: `FirstByteTimeout`. Default 30 seconds, half of `idleTimeout`: who has not said
   * anything has nothing to lose.
   */
  readonly firstByteTimeout?: Duration.DurationInput | undefined
  /**
   * How long the handler may wait for the peer's bytes since the last one came: `IdleTimeout`. Several waits add up, also those that the
   * handler breaks off; only bytes of the peer begin it anew. Default 60 seconds.
   */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /**
   * How old a connection may become. Then it ends as in a drain: what has come is served, and the next read fails with `ConnectionExpired`; after
   * `drainTimeout` it is cut off. Default infinity.
   */
  readonly maxConnectionAge?: Duration.DurationInput | undefined
  /**
   * The least pace, as an average over each `grace` (default 5 seconds) of waiting: `ThroughputTooLow`. Reading, all bytes that come count;
   * pauses between messages (of a codec, or of `readExactly` and `readUntil`) do not, but every wait of a plain `read` or `stream` does.
   * Writing, the bytes that the peer takes while a write waits. Default: none.
   */
  readonly minThroughput?: {
    readonly bytesPerSecond: number
    readonly grace?: Duration.DurationInput | undefined
  } | undefined
}

/** In milliseconds. */
interface MinPace {
  readonly bytesPerSecond: number
  readonly grace: number
}

/** Checks the options; throws `InvalidOption`. */
const resolve = (options: PatienceOptions) => {
  const times = {
    firstByteTimeout: Options.duration("firstByteTimeout", options.firstByteTimeout, "30 seconds"),
    idleTimeout: Options.duration("idleTimeout", options.idleTimeout, "60 seconds"),
    maxConnectionAge: Options.duration("maxConnectionAge", options.maxConnectionAge, Duration.infinity)
  }
  for (const [option, value] of Object.entries(times)) positive(option, value)
  return {
    ...times,
    pace: options.minThroughput === undefined ? undefined : pace(Options.parts("minThroughput", options.minThroughput))
  }
}

const pace = (options: NonNullable<PatienceOptions["minThroughput"]>): MinPace => {
  const { bytesPerSecond } = options
  if (!(typeof bytesPerSecond === "number" && bytesPerSecond > 0 && bytesPerSecond < Infinity)) {
    const expected = "a positive number"
    throw new NetError.InvalidOption({ option: "minThroughput.bytesPerSecond", value: bytesPerSecond, expected })
  }
  const grace = Options.duration("minThroughput.grace", options.grace, "5 seconds")
  positive("minThroughput.grace", grace)
  return { bytesPerSecond, grace: Duration.toMillis(grace) }
}

const positive = (option: string, value: Duration.Duration): void => {
  if (Duration.toMillis(value) < 1) {
    throw new NetError.InvalidOption({ option, value: Duration.format(value), expected: "at least a millisecond" })
  }
}

/** Who acts where something is overdue. */
export interface Enforcer {
  strike(session: Session, reason: EndReason, error: NetError.ReadError): void
  retire(session: Session, reason: EndReason, error: NetError.ReadError): void
}

export class Patience {
  /** Milliseconds below which nothing can be overdue; `Infinity` where nothing ever is. */
  readonly shortest: number
  readonly #times: ReturnType<typeof resolve>
  readonly #firstByte: number
  readonly #idle: number
  readonly #age: number
  readonly #drain: number

  constructor(options: PatienceOptions, drainTimeout: Duration.Duration) {
    this.#times = resolve(options)
    this.#firstByte = Duration.toMillis(this.#times.firstByteTimeout)
    this.#idle = Duration.toMillis(this.#times.idleTimeout)
    this.#age = Duration.toMillis(this.#times.maxConnectionAge)
    this.#drain = Math.max(1, Duration.toMillis(drainTimeout))
    const drain = this.#age === Infinity ? Infinity : this.#drain
    this.shortest = Math.min(this.#firstByte, this.#idle, this.#age, drain, this.pace?.grace ?? Infinity)
  }

  get pace(): MinPace | undefined {
    return this.#times.pace
  }

  /** Ends the session where something is overdue; gives the time of the next look. */
  look(session: Session, now: number, enforcer: Enforcer): number {
    if (session.connection.released) return Infinity
    const age = this.#lookAtAge(session, now, enforcer)
    // Who was told once is not told again.
    if (session.error !== undefined) return age
    const silence = this.#lookAtSilence(session, now, enforcer)
    if (silence === Infinity || this.pace === undefined) return Math.min(silence, age)
    return Math.min(silence, this.#lookAtPace(session, this.pace, now, enforcer), age)
  }

  #lookAtSilence(session: Session, now: number, enforcer: Enforcer): number {
    const { connection } = session
    const { inbound } = connection
    const silent = inbound.total === 0
    const limit = silent ? this.#firstByte : this.#idle
    const waited = inbound.waits!.waited(now)
    // After the first byte the other limit counts, and may be shorter.
    if (waited < limit) return now + (silent ? Math.min(limit - waited, this.#idle) : limit - waited)
    const { firstByteTimeout, idleTimeout } = this.#times
    const props = { operation: "read", address: connection.remoteAddress } as const
    const error = silent
      ? new NetError.FirstByteTimeout({ ...props, timeout: firstByteTimeout })
      : new NetError.IdleTimeout({ ...props, timeout: idleTimeout })
    enforcer.strike(session, silent ? "firstByteTimeout" : "idleTimeout", error)
    return Infinity
  }

  #lookAtPace(session: Session, { bytesPerSecond, grace }: MinPace, now: number, enforcer: Enforcer): number {
    const { inbound, outbound, remoteAddress } = session.connection
    const waits = inbound.waits!
    const reading = waits.pace(now)
    const writing = outbound.pace(now)
    const slow = [reading, writing].find(({ bytes, millis }) =>
      millis >= grace && bytes * 1000 < bytesPerSecond * millis
    )
    if (slow !== undefined) {
      const operation = slow === reading ? "read" : "write"
      const measured = slow.bytes * 1000 / slow.millis
      const props = { operation, address: remoteAddress, limit: bytesPerSecond, measured } as const
      enforcer.strike(session, "throughputTooLow", new NetError.ThroughputTooLow(props))
      return Infinity
    }
    if (reading.millis >= grace) waits.restart(now)
    if (writing.millis >= grace) outbound.restart(now)
    const waited = Math.max(...[reading, writing].map(({ millis }) => millis >= grace ? 0 : millis))
    return now + grace - waited
  }

  #lookAtAge(session: Session, now: number, enforcer: Enforcer): number {
    const { connection } = session
    const end = connection.openedAt + this.#age
    if (now < end) return end
    if (now >= end + this.#drain) {
      session.cutOff()
      return Infinity
    }
    if (session.error === undefined) {
      const props = { operation: "read", address: connection.remoteAddress, age: this.#times.maxConnectionAge } as const
      enforcer.retire(session, "expired", new NetError.ConnectionExpired(props))
    }
    return end + this.#drain
  }
}
