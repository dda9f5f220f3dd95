/**
 * What a pool is made from: its limits and checks, their defaults, and the clocks that go with them.
 * Wrong limits fail with `InvalidOption` before anything is opened.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import type { Framed } from "../Framed.ts"
import { InvalidOption, isNetError, type NetError } from "../NetError.ts"
import { makeDeadlines } from "./bind.ts"
import * as Options from "./options.ts"
import type { Setup } from "./pool.ts"

/** The limits of each key's pool. */
export interface KeyedLimits {
  /** Connections open or being opened, at most. `Infinity`: no limit. Default 10. */
  readonly maxConnections?: number | undefined
  /** How long an acquire may take, opening and health check included; `PoolTimeout` then. 0 gives only what is idle. Default 5 seconds. */
  readonly acquireTimeout?: Duration.DurationInput | undefined
  /** Acquires that may wait beyond those for whom a connection is being opened; one more fails with `PoolExhausted`. `Infinity`: no limit. Default 1,000. */
  readonly maxPendingAcquires?: number | undefined
  /** How long opening may take; for a session its greeting and login included. It goes on when who waited has left. Default 30 seconds. */
  readonly openTimeout?: Duration.DurationInput | undefined
  /** How long a connection may be idle before it is closed. Default 60 seconds. */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /** How old a connection may be; then it is closed when it is idle, or given back. Default infinity. */
  readonly maxLifetime?: Duration.DurationInput | undefined
  /** How long the end of the scope waits for what is lent. Default 15 seconds. */
  readonly drainTimeout?: Duration.DurationInput | undefined
}

/** The limits of one pool. */
export interface Limits extends KeyedLimits {
  /**
   * Connections kept open though nobody uses them. They are opened in the background from the start; a failure is logged, and tried again
   * after 0.1 to 30 seconds. Default 0.
   */
  readonly minConnections?: number | undefined
}

/** What decides whether a connection is good for another use. */
export interface Checks<A, R = never> {
  /**
   * Asked before a connection is lent again. A failure or `false` closes it, and another is taken, or opened. It counts against
   * `acquireTimeout`, so give one that can hang a shorter timeout of its own.
   */
  readonly healthCheck?: ((connection: NoInfer<A>) => Effect.Effect<unknown, unknown, R>) | undefined
  /**
   * Which errors of a use mean that the connection cannot be lent again. Default: `isConnectionError`, but for a message that the codec
   * refused to encode before the use had written anything.
   */
  readonly invalidateOn?: ((error: unknown) => boolean) | undefined
  /**
   * What a session runs over, a connection or a framed one. It is watched while it is idle: at its end, or at bytes that nobody asked for, the
   * session is closed. Default: the item itself, if it is one of the two.
   */
  readonly connection?: ((item: NoInfer<A>) => Connection | Framed<unknown, never>) | undefined
}

/** Whether an error leaves the state of its connection unknown. */
export const isConnectionError = (error: unknown): boolean => {
  const fault = faultIn(error)
  if (fault === undefined) return false
  return !(fault._tag === "PoolTimeout" || fault._tag === "PoolExhausted" || fault._tag === "PoolClosed")
}

/** The first error on the way along the causes that is of this SDK, or a timeout. */
const faultIn = (error: unknown): NetError | Cause.TimeoutException | undefined => {
  const seen = new Set<unknown>()
  for (let at = error; at !== undefined && !seen.has(at); at = hasProperty(at, "cause") ? at.cause : undefined) {
    if (isNetError(at) || Cause.isTimeoutException(at)) return at
    seen.add(at)
  }
  return undefined
}

/** A refused message writes nothing; but the answers to those before it may be on their way. */
const spoils = (error: unknown, wrote: boolean): boolean => {
  const fault = faultIn(error)
  return isConnectionError(error) && (wrote || !hasProperty(fault, "operation") || fault.operation !== "encode")
}

type Prepared<A, R> = {
  readonly drainTimeout: Duration.Duration
  readonly setup: Omit<Setup<A, never, R>, "acquire" | "address" | "onEmpty">
}

/** What all pools of these options share. */
export const prepare = <A, R, R2>(
  options: Limits & Checks<A, R2>
): Effect.Effect<
  Prepared<A, Exclude<R, Scope.Scope> | R2>,
  InvalidOption,
  Exclude<R, Scope.Scope> | R2 | Scope.Scope
> =>
  Effect.gen(function* () {
    const resolved = yield* Options.valid(() => resolve(options))
    const timers = yield* Effect.all({
      acquire: makeDeadlines(resolved.acquireTimeout),
      idle: makeDeadlines(resolved.idleTimeout),
      lifetime: makeDeadlines(resolved.maxLifetime)
    })
    const opening = yield* makeDeadlines(resolved.openTimeout)
    const { connection, healthCheck, invalidateOn } = options
    const judge = invalidateOn === undefined ? spoils : (error: unknown) => invalidateOn(error)
    const runtime = yield* Effect.runtime<Exclude<R, Scope.Scope> | R2>()
    return {
      drainTimeout: resolved.drainTimeout,
      setup: { ...resolved, timers, opening, runtime, healthCheck, spoils: judge, connection }
    }
  })

const resolve = (options: Limits) => {
  const min = Options.whole("minConnections", options.minConnections, 0, 0, "a whole number")
  const max = Options.count("maxConnections", options.maxConnections, Math.max(10, min))
  if (min > max) {
    throw new InvalidOption({
      option: "minConnections",
      value: min,
      expected: `at most maxConnections (${max})`
    })
  }
  const maxPending = Options.count("maxPendingAcquires", options.maxPendingAcquires, 1000, 0)
  return {
    limits: { min, max, maxPending },
    acquireTimeout: Options.duration("acquireTimeout", options.acquireTimeout, "5 seconds"),
    openTimeout: Options.duration("openTimeout", options.openTimeout, "30 seconds"),
    idleTimeout: Options.duration("idleTimeout", options.idleTimeout, "60 seconds"),
    maxLifetime: Options.duration("maxLifetime", options.maxLifetime, Duration.infinity),
    drainTimeout: Options.duration("drainTimeout", options.drainTimeout, "15 seconds")
  }
}
