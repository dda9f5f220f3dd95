/**
 * What a pool answers by itself to who asks it for a connection.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import { describe, leaf, type SocketErrorProps, TypeId } from "../internal/socketError.ts"

interface PoolErrorProps extends SocketErrorProps {
  /** Connections in use at that moment. */
  readonly borrowed: number
  /** Connections being opened. */
  readonly opening: number
  /** Who else waits for one. */
  readonly waiting: number
}

const load = ({ borrowed, opening, waiting }: PoolErrorProps): string =>
  `${borrowed} in use, ${opening} being opened, ${waiting} waiting`

/**
 * A pool had no connection to give within `acquireTimeout`, or one could not be opened within `openTimeout`; `timeout` is the one that was over.
 *
 * @category errors
 */
export class PoolTimeout extends Data.TaggedError("PoolTimeout")<
  PoolErrorProps & {
    readonly timeout: Duration.Duration
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `none within ${Duration.format(this.timeout)} (${load(this)})`)
  }
}

/**
 * All connections of a pool are in use, and `limit` acquires wait for one already (`maxPendingAcquires`).
 *
 * @category errors
 */
export class PoolExhausted extends Data.TaggedError("PoolExhausted")<
  PoolErrorProps & {
    readonly limit: number
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `no more than ${this.limit} may wait (${load(this)})`)
  }
}

/**
 * The pool's scope was told to close: it gives no more connections.
 *
 * @category errors
 */
export class PoolClosed extends leaf("PoolClosed", "the pool is closed") {}
