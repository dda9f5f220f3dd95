/**
 * What took too long, came too slowly or too often.
 * Each phase of a connection has an error of its own; times are `Duration`s.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import { describe, type SocketErrorProps, TypeId } from "../internal/socketError.ts"

/**
 * No byte came within `readTimeout` while a read waited. The connection stays usable.
 *
 * @category errors
 */
export class ReadTimeout extends Data.TaggedError("ReadTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `nothing received within ${Duration.format(this.timeout)}`)
  }
}

/**
 * The peer took no byte within `writeTimeout` while a write waited. The bytes already accepted stay queued.
 *
 * @category errors
 */
export class WriteTimeout extends Data.TaggedError("WriteTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `the peer took nothing within ${Duration.format(this.timeout)}`)
  }
}

/**
 * A server's peer has said nothing within `firstByteTimeout` since it was waited for.
 *
 * @category errors
 */
export class FirstByteTimeout extends Data.TaggedError("FirstByteTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `the peer said nothing within ${Duration.format(this.timeout)}`)
  }
}

/**
 * A server's peer has sent no byte in `idleTimeout` of waiting.
 *
 * @category errors
 */
export class IdleTimeout extends Data.TaggedError("IdleTimeout")<
  SocketErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `idle for ${Duration.format(this.timeout)}`)
  }
}

/**
 * A server's peer sends, or takes, fewer bytes a second than `minThroughput` allows while it is waited for.
 *
 * @category errors
 */
export class ThroughputTooLow extends Data.TaggedError("ThroughputTooLow")<
  SocketErrorProps & {
    /** Bytes a second that there must be. */
    readonly limit: number
    /** Bytes a second that there were. */
    readonly measured: number
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `${Math.round(this.measured)} bytes a second are less than the minimum of ${this.limit}`)
  }
}

/**
 * A connection of a server has reached `maxConnectionAge`, and what had come is read.
 *
 * @category errors
 */
export class ConnectionExpired extends Data.TaggedError("ConnectionExpired")<
  SocketErrorProps & {
    readonly age: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `closed by this side at the age of ${Duration.format(this.age)}`)
  }
}

/**
 * It came more often than a `Middleware.rateLimit` or `messageRate` allows.
 *
 * @category errors
 */
export class RateLimited extends Data.TaggedError("RateLimited")<
  SocketErrorProps & {
    /** When the next one would be let through. */
    readonly retryAfter: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `too often; the next one in ${Duration.format(this.retryAfter)}`)
  }
}
