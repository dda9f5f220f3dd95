/**
 * How a property says that it does not hold: one error with one readable sentence.
 * The assertions are effects, so that a property needs no test runner and reports the same text under any of them.
 * Bytes are compared with the first difference named, never dumped.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import { isNetError } from "../../src/NetError.ts"

/**
 * A property that does not hold.
 *
 * @category errors
 */
export class PropertyFailure extends Data.TaggedError("PropertyFailure")<{
  readonly message: string
  readonly cause?: unknown
}> {}

/** The property does not hold, because of `message`. */
export const fail = (message: string, cause?: unknown): Effect.Effect<never, PropertyFailure> =>
  Effect.fail(new PropertyFailure({ message, cause }))

/** `condition` must be true. */
export const check = (condition: boolean, message: string | (() => string)): Effect.Effect<void, PropertyFailure> =>
  condition ? Effect.void : fail(typeof message === "string" ? message : message())

/** Both must be equal, by Effect's `Equal` where they define it. */
export const equal = <A>(actual: A, expected: A, what: string): Effect.Effect<void, PropertyFailure> =>
  check(Equal.equals(actual, expected), () => `${what}: ${show(actual)} instead of ${show(expected)}`)

/** The same bytes, of the same number. */
export const sameBytes = (
  actual: Uint8Array,
  expected: Uint8Array,
  what: string
): Effect.Effect<void, PropertyFailure> => {
  const at = firstDifference(actual, expected)
  if (at !== -1) return fail(`${what}: differs at byte ${at}: ${show(actual[at])} instead of ${show(expected[at])}`)
  return check(
    actual.length === expected.length,
    () => `${what}: ${actual.length} bytes instead of ${expected.length}`
  )
}

/** Must fail with one of these typed errors of the SDK. Gives the error. */
export const failsWith = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  what: string,
  ...tags: ReadonlyArray<string>
): Effect.Effect<E, PropertyFailure, R> =>
  Effect.flatMap(Effect.exit(effect), (exit) => {
    const wanted = tags.join(" or ")
    if (Exit.isSuccess(exit)) {
      return fail(`${what}: succeeded with ${show(exit.value)} instead of failing with ${wanted}`)
    }
    const failure = Cause.failureOption(exit.cause)
    if (failure._tag === "None") return fail(`${what}: ${Cause.pretty(exit.cause)} instead of ${wanted}`, exit.cause)
    const error = failure.value
    return isNetError(error) && tags.includes(error._tag) && error.message.length > 0
      ? Effect.succeed(error)
      : fail(`${what}: failed with ${show(error)} instead of ${wanted}`, error)
  })

/** Must have been interrupted, and nothing else. */
export const wasInterrupted = <A, E>(exit: Exit.Exit<A, E>, what: string): Effect.Effect<void, PropertyFailure> =>
  check(Exit.isInterrupted(exit), () => `${what}: ${show(exit)} instead of interrupted`)

/** A value for people, in one line. */
export const show = (value: unknown): string => {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value)
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return String(value)
}

const firstDifference = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i
  return -1
}
