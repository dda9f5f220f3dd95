/**
 * What an error of the SDK says, as plain data: for a table of errors, also across processes.
 */
import * as Effect from "effect/Effect"
import { isNetError, isTransient, type NetError } from "../../src/NetError.ts"

export interface Report {
  readonly tag: string
  readonly operation: string | undefined
  readonly address: string | undefined
  readonly message: string
  readonly hasCause: boolean
  readonly transient: boolean
}

export const report = (error: NetError): Report => {
  const address = Reflect.get(error, "address")
  return {
    tag: error._tag,
    operation: Reflect.get(error, "operation"),
    address: address === undefined ? undefined : String(address),
    message: error.message,
    hasCause: Reflect.get(error, "cause") !== undefined,
    transient: isTransient(error)
  }
}

/** The error that an attempt fails with. Dies where it succeeds, or fails with something else. */
export const reportOf = <R>(attempt: Effect.Effect<unknown, unknown, R>): Effect.Effect<Report, never, R> =>
  Effect.matchEffect(attempt, {
    onFailure: (error) => isNetError(error) ? Effect.succeed(report(error)) : Effect.die(error),
    onSuccess: () => Effect.dieMessage("succeeded")
  })
