/**
 * Single settings of the configuration that more than one module reads: text that is checked as an option of its kind is.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Options from "./options.ts"

/** A setting that `parse` reads; `undefined` means that it is none. */
export const checked = <A>(name: string, expected: string, parse: (text: string) => A | undefined): Config.Config<A> =>
  Config.mapOrFail(Config.nonEmptyString(name), (text) => {
    const value = parse(text)
    return value === undefined
      ? Either.left(ConfigError.InvalidData([], `${text}: not ${expected}`))
      : Either.right(value)
  })

export const isInfinity = (text: string): boolean => /^infinity$/i.test(text)

export const parseDuration = (text: string): Duration.Duration | undefined =>
  isInfinity(text) ? Duration.infinity : Options.decodeDuration(text)

export const duration = (name: string): Config.Config<Duration.Duration> =>
  checked(name, "a duration such as 30 seconds, or infinity", parseDuration)
