/**
 * The commands of the server, as a table: how many arguments each takes, and what it replies.
 * They are plain functions on the store; what one throws as a `RespError` is its reply.
 */
import { glob } from "./glob.ts"
import { type Command, OK, type Reply, RespError, Simple } from "./Resp.ts"
import type { Store } from "./Store.ts"

type Run = (store: Store, command: Command) => Reply

interface Definition {
  readonly least: number
  readonly most: number
  readonly run: Run
}

const definitions = new Map<string, Definition>()

/** A command of so many words, its name counted. */
const define = (name: string, least: number, most: number, run: Run): void =>
  void definitions.set(name, { least, most, run })

/** Runs one command, whose name is given in capitals. */
export const execute = (store: Store, name: string, command: Command): Reply => {
  const definition = definitions.get(name)
  if (definition === undefined) return new RespError(`ERR unknown command '${name.slice(0, 128)}'`)
  if (command.length < definition.least || command.length > definition.most) return wrongArguments(name)
  try {
    return definition.run(store, command)
  } catch (error) {
    if (error instanceof RespError) return error
    throw error
  }
}

/** Bytes as text, one character each: so that a key may be any bytes, and ASCII reads as what it is. */
export const text = (bytes: Uint8Array): string => {
  if (bytes.length > block) return text(bytes.subarray(0, block)) + text(bytes.subarray(block))
  return String.fromCharCode.apply(null, bytes as unknown as Array<number>)
}

const block = 4096

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

const wrongArguments = (name: string) =>
  new RespError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
const syntaxError = () => new RespError("ERR syntax error")
const notAnInteger = () => new RespError("ERR value is not an integer or out of range")

const integer = (argument: Uint8Array): bigint => {
  const digits = argument.length <= 20 ? text(argument) : ""
  if (!/^(0|-?[1-9]\d*)$/.test(digits)) throw notAnInteger()
  return int64(BigInt(digits), notAnInteger)
}

const int64 = (value: bigint, otherwise: () => RespError): bigint => {
  if (BigInt.asIntN(64, value) !== value) throw otherwise()
  return value
}

const none = new Uint8Array(0)

// --- the connection and the server ---

define("PING", 1, 2, (_, [, message]) => message ?? pong)
define("ECHO", 2, 2, (_, [, message]) => message!)
define("SELECT", 2, 2, (_, [, index]) => integer(index!) === 0n ? OK : new RespError("ERR DB index is out of range"))
define("COMMAND", 1, Infinity, () => [])
define("CLIENT", 2, Infinity, () => OK)
define("CONFIG", 2, Infinity, (_, [, verb, name]) => {
  if (name === undefined || text(verb!).toUpperCase() !== "GET") throw new RespError("ERR only CONFIG GET is known")
  return [name, none]
})
define("HELLO", 1, Infinity, (_, [, version]) => {
  if (version !== undefined && text(version) !== "2") throw new RespError("NOPROTO unsupported protocol version")
  return ["server", "effect-netkit", "version", "7.0.0", "proto", 2]
})
define("INFO", 1, Infinity, (store) =>
  [
    "# Server",
    "redis_version:7.0.0",
    "# Memory",
    `used_memory:${store.used}`,
    "# Keyspace",
    ...(store.size > 0 ? [`db0:keys=${store.size}`] : []),
    ""
  ].join("\r\n"))

const pong = new Simple("PONG")

// --- keys ---

const count = (keys: Command, test: (key: string) => boolean): number => keys.filter((key) => test(text(key))).length

define("DEL", 2, Infinity, (store, [, ...keys]) => count(keys, (key) => store.delete(key)))
define("EXISTS", 2, Infinity, (store, [, ...keys]) => count(keys, (key) => store.get(key) !== undefined))
define("KEYS", 2, 2, (store, [, pattern]) => {
  const matches = glob(text(pattern!))
  return [...store.keys].filter(matches).map(bytes)
})
define("TYPE", 2, 2, (store, [, key]) => new Simple(store.get(text(key!)) === undefined ? "none" : "string"))
define("DBSIZE", 1, 1, (store) => store.size)

const flush: Run = (store) => {
  store.clear()
  return OK
}
define("FLUSHALL", 1, 2, flush)
define("FLUSHDB", 1, 2, flush)

// --- expiry ---

const expire = (unit: number): Run => (store, [, key, time]) => {
  const expiresAt = store.now + Number(integer(time!)) * unit
  if (!Number.isSafeInteger(expiresAt)) throw new RespError("ERR invalid expire time in 'expire' command")
  return store.expire(text(key!), expiresAt) ? 1 : 0
}
define("EXPIRE", 3, 3, expire(1000))
define("PEXPIRE", 3, 3, expire(1))
define("PERSIST", 2, 2, (store, [, key]) => {
  const expires = (store.expiresAt(text(key!)) ?? Infinity) !== Infinity
  return expires && store.expire(text(key!), Infinity) ? 1 : 0
})

const timeToLive = (unit: number): Run => (store, [, key]) => {
  const expiresAt = store.expiresAt(text(key!))
  if (expiresAt === undefined) return -2
  return expiresAt === Infinity ? -1 : Math.round((expiresAt - store.now) / unit)
}
define("TTL", 2, 2, timeToLive(1000))
define("PTTL", 2, 2, timeToLive(1))

// --- values ---

define("GET", 2, 2, (store, [, key]) => store.get(text(key!)) ?? null)
define("MGET", 2, Infinity, (store, [, ...keys]) => keys.map((key) => store.get(text(key)) ?? null))
define("STRLEN", 2, 2, (store, [, key]) => (store.get(text(key!)) ?? none).length)

define("SET", 3, Infinity, (store, command) => {
  const key = text(command[1]!)
  const value = command[2]!
  if (command.length === 3) {
    store.set(key, value, Infinity)
    return OK
  }
  const { condition, expiresAt, returnsOld } = setOptions(store, command.slice(3))
  const old = store.get(key)
  const sets = condition === undefined || (condition === "XX") === (old !== undefined)
  if (sets) store.set(key, value, expiresAt === "keep" ? store.expiresAt(key) ?? Infinity : expiresAt)
  return returnsOld ? old ?? null : sets ? OK : null
})

const setOptions = (store: Store, options: Command) => {
  let condition: "NX" | "XX" | undefined
  let expiresAt: number | "keep" | undefined
  let returnsOld = false
  const words = options.map((option) => text(option).toUpperCase())
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if ((word === "NX" || word === "XX") && (condition ?? word) === word) condition = word
    else if (word === "GET") returnsOld = true
    else if (word === "KEEPTTL" && expiresAt === undefined) expiresAt = "keep"
    else if ((word === "EX" || word === "PX") && expiresAt === undefined && i + 1 < words.length) {
      expiresAt = deadline(store, options[++i]!, word === "EX" ? 1000 : 1)
    } else throw syntaxError()
  }
  return { condition, expiresAt: expiresAt ?? Infinity, returnsOld }
}

const deadline = (store: Store, time: Uint8Array, unit: number): number => {
  const expiresAt = store.now + Number(integer(time)) * unit
  if (expiresAt > store.now && Number.isSafeInteger(expiresAt)) return expiresAt
  throw new RespError("ERR invalid expire time in 'set' command")
}

define("MSET", 3, Infinity, (store, words) => {
  if (words.length % 2 === 0) return wrongArguments("MSET")
  for (let i = 1; i < words.length; i += 2) store.set(text(words[i]!), words[i + 1]!, Infinity)
  return OK
})

define("APPEND", 3, 3, (store, [, name, tail]) => {
  const key = text(name!)
  const head = store.get(key) ?? none
  const value = new Uint8Array(head.length + tail!.length)
  value.set(head)
  value.set(tail!, head.length)
  store.set(key, value, store.expiresAt(key) ?? Infinity)
  return value.length
})

const add = (store: Store, name: Uint8Array, amount: bigint): Reply => {
  const key = text(name)
  const old = store.get(key)
  const overflow = () => new RespError("ERR increment or decrement would overflow")
  const sum = int64((old === undefined ? 0n : integer(old)) + amount, overflow)
  store.set(key, bytes(String(sum)), store.expiresAt(key) ?? Infinity)
  return sum
}
define("INCR", 2, 2, (store, [, key]) => add(store, key!, 1n))
define("DECR", 2, 2, (store, [, key]) => add(store, key!, -1n))
define("INCRBY", 3, 3, (store, [, key, amount]) => add(store, key!, integer(amount!)))
define("DECRBY", 3, 3, (store, [, key, amount]) => add(store, key!, -integer(amount!)))
