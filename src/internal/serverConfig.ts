/**
 * The options of servers from the configuration: each under its own name, none required but a place to listen.
 * What is not configured is as in the defaults. Values are checked where all options are, when the server starts.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as SocketAddress from "../SocketAddress.ts"
import { checked, duration, isInfinity, parseDuration } from "./settings.ts"

const count = (name: string) =>
  checked(
    name,
    "a whole number, or infinity",
    (text) => isInfinity(text) ? Infinity : /^\d{1,15}$/.test(text) ? Number(text) : undefined
  )

const keepAlive = (name: string) =>
  checked<boolean | Duration.Duration>(
    name,
    "true, false or a duration",
    (text) => text === "true" || text === "false" ? text === "true" : parseDuration(text)
  )

/** As `chmod` takes them: `660`, `0660` and `0o660` are one. */
const permissions = (name: string) =>
  checked(
    name,
    "permissions in octal",
    (text) => /^(0o)?[0-7]+$/.test(text) ? parseInt(text.replace(/^0o/, ""), 8) : undefined
  )

const list = (name: string): Config.Config<ReadonlyArray<string>> => Config.array(Config.nonEmptyString(), name)

type Parts = Readonly<Record<string, Config.Config<unknown>>>
type Values<A extends Parts> = { readonly [K in keyof A]: Config.Config.Success<A[K]> }

/** An option of several parts. Where there is one of them alone, what is missing is an error: half a limit would be none. */
const whole = <A extends Parts, B extends Parts>(
  name: string,
  required: A,
  optional: B
): Config.Config<Values<A> & Partial<Values<B>>> => {
  const parts = Object.entries({ ...required, ...optional })
  return Config.nested(
    Config.mapOrFail(Config.all(parts.map(([, part]) => Config.option(part))), (values) => {
      const there = parts.flatMap(([part], i) => Option.toArray(values[i]!).map((value) => [part, value] as const))
      const missing = Object.keys(required).filter((part) => !there.some(([name]) => name === part))
      if (there.length === 0) return Either.left(ConfigError.MissingData([], `${name} is not configured`))
      if (missing.length > 0) return Either.left(ConfigError.InvalidData([], `without ${missing.join(" and ")}`))
      return Either.right(Object.fromEntries(there) as Values<A> & Partial<Values<B>>)
    }),
    name
  )
}

/** Options, each by how it is written. */
type Options = Readonly<Record<string, (name: string) => Config.Config<unknown>>>

/** What is configured of them. */
type Configured<O extends Options> = { readonly [K in keyof O]?: Config.Config.Success<ReturnType<O[K]>> }

const configured = <O extends Options>(options: O): Config.Config<Configured<O>> =>
  Config.map(
    Config.all(
      Object.entries(options).map(([name, read]) =>
        Config.map(
          Config.option(read(name)),
          Option.match({ onNone: () => [], onSome: (value) => [[name, value] as const] })
        )
      )
    ),
    (entries) => Object.fromEntries(entries.flat()) as Configured<O>
  )

const common = {
  name: Config.nonEmptyString,
  listen: (name: string): Config.Config<SocketAddress.AddressInput> => SocketAddress.config(name),
  reusePort: Config.boolean,
  ipv6Only: Config.boolean,
  drainTimeout: duration
}

/** The options of a server of connections. */
export const streams = configured({
  ...common,
  backlog: Config.integer,
  mode: permissions,
  noDelay: Config.boolean,
  keepAlive,
  readBuffer: Config.integer,
  writeBuffer: Config.integer,
  resettable: Config.boolean,
  maxConnections: count,
  overflow: Config.literal("pause", "reject"),
  maxConnectionsPerHost: count,
  acceptRate: (name: string) => whole(name, { limit: Config.integer("limit"), window: duration("window") }, {}),
  allow: list,
  deny: list,
  firstByteTimeout: duration,
  idleTimeout: duration,
  maxConnectionAge: duration,
  minThroughput: (name: string) =>
    whole(name, { bytesPerSecond: Config.number("bytesPerSecond") }, { grace: duration("grace") }),
  readTimeout: duration,
  writeTimeout: duration,
  closeTimeout: duration
})

/** The options of a server of datagrams. */
export const datagrams = configured({
  ...common,
  concurrency: Config.integer,
  broadcast: Config.boolean,
  ttl: Config.integer,
  multicastTtl: Config.integer,
  multicastLoopback: Config.boolean,
  multicastInterface: Config.nonEmptyString,
  reuseAddress: Config.boolean,
  recvBufferSize: Config.integer,
  sendBufferSize: Config.integer,
  capacity: Config.integer,
  capacityBytes: Config.integer,
  overflow: Config.literal("drop-oldest", "drop-newest")
})

/** What is configured over what is not; somewhere to listen there must be. */
export const withDefaults = <D extends { readonly listen?: SocketAddress.AddressInput | undefined }, S extends D>(
  defaults: D,
  settings: Config.Config<S>
): Config.Config<D & S & { readonly listen: SocketAddress.AddressInput }> =>
  Config.mapOrFail(settings, (settings) => {
    const { listen = defaults.listen } = settings
    return listen === undefined
      ? Either.left(ConfigError.MissingData(["listen"], "where to listen is neither configured nor a default"))
      : Either.right({ ...defaults, ...settings, listen })
  })
