/**
 * What cannot be read: bytes that are no DNS message, or a text that is none of what it should be.
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"

export class Malformed extends Data.TaggedError("Malformed")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

/** What `read` gives or, as a value, the `Malformed` that it throws. */
export const attempt = <A>(read: () => A): Either.Either<A, Malformed> =>
  Either.try({
    try: read,
    catch: (error) => {
      if (error instanceof Malformed) return error
      throw error
    }
  })
