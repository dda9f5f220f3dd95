/**
 * What the server replies to a request. Plain functions on the cache; a line that does not fit its command is refused
 * before anything is done, and a request with `noreply` is not answered, whatever became of it.
 */
import type { Cache } from "./Cache.ts"
import { type BadData, type Found, type Reply, type Request } from "./Memcached.ts"

export const execute = (cache: Cache, { data, words }: Request): Reply | undefined => {
  const [name = "", ...args] = words
  const quiet = args.at(-1) === "noreply" && !always.has(name)
  if (quiet) args.pop()
  const reply = data === undefined ? run(cache, name, args) : store(cache, name, args, data)
  return quiet ? undefined : reply
}

/** The commands that are answered, `noreply` or not. */
const always = new Set(["get", "gets", "stats", "version"])

const error = "ERROR"
const badLine = "CLIENT_ERROR bad command line format"

const run = (cache: Cache, name: string, args: ReadonlyArray<string>): Reply => {
  const command = Object.hasOwn(commands, name) ? commands[name as keyof typeof commands] : undefined
  return command === undefined ? error : command(cache, args)
}

const get = (withUnique: boolean) => (cache: Cache, keys: ReadonlyArray<string>): Reply => {
  if (keys.length === 0) return error
  if (!keys.every(isKey)) return badLine
  return keys.flatMap((key): ReadonlyArray<Found> => {
    const item = cache.get(key)
    return item === undefined ? [] : [{ key, ...item, unique: withUnique ? item.unique : undefined }]
  })
}

const touch = (cache: Cache, [key, time]: ReadonlyArray<string>): Reply => {
  const expiresAt = expiry(cache, time)
  if (!isKey(key) || expiresAt === undefined) return badLine
  const item = cache.get(key)
  if (item === undefined) return "NOT_FOUND"
  cache.set(key, item.value, item.flags, expiresAt)
  return "TOUCHED"
}

const remove = (cache: Cache, [key, time = "0"]: ReadonlyArray<string>): Reply => {
  if (!isKey(key)) return badLine
  if (time !== "0") return `${badLine}.  Usage: delete <key> [noreply]`
  return cache.delete(key) ? "DELETED" : "NOT_FOUND"
}

const add = (sign: 1n | -1n) => (cache: Cache, [key, amount]: ReadonlyArray<string>): Reply => {
  if (!isKey(key)) return badLine
  const delta = uint64(amount)
  if (delta === undefined) return "CLIENT_ERROR invalid numeric delta argument"
  const item = cache.get(key)
  if (item === undefined) return "NOT_FOUND"
  const old = item.value.length > 20 ? undefined : uint64(decoder.decode(item.value))
  if (old === undefined) return "CLIENT_ERROR cannot increment or decrement non-numeric value"
  const sum = old + sign * delta
  // Counting up goes round at 2^64; counting down stops at 0.
  const value = String(sum < 0n ? 0n : BigInt.asUintN(64, sum))
  cache.set(key, encoder.encode(value), item.flags, item.expiresAt)
  return value
}

const stats = (cache: Cache, args: ReadonlyArray<string>): Reply => {
  if (args.length > 0) return error
  const figures = {
    pid: 1,
    uptime: Math.floor((cache.now - cache.startedAt) / 1000),
    time: Math.floor(cache.now / 1000),
    version,
    pointer_size: 64,
    curr_items: cache.size,
    total_items: cache.stored,
    bytes: cache.used,
    limit_maxbytes: cache.limit,
    evictions: cache.evicted
  }
  return [...Object.entries(figures).map(([name, value]) => `STAT ${name} ${value}`), "END"].join("\r\n")
}

const flushAll = (cache: Cache, [delay = "0"]: ReadonlyArray<string>): Reply => {
  if (!/^\d{1,9}$/.test(delay)) return badLine
  cache.flushAt(cache.now + Number(delay) * 1000)
  return "OK"
}

const version = "1.6.0"

const commands = {
  get: get(false),
  gets: get(true),
  touch,
  delete: remove,
  incr: add(1n),
  decr: add(-1n),
  stats,
  flush_all: flushAll,
  version: () => `VERSION ${version}`,
  verbosity: (_: Cache, [level = ""]: ReadonlyArray<string>) => /^\d+$/.test(level) ? "OK" : error
} satisfies Record<string, (cache: Cache, args: ReadonlyArray<string>) => Reply>

/** `set`, `add`, `replace`, `append`, `prepend` and `cas`, all as `<key> <flags> <expiry> <length> [unique]`. */
const store = (cache: Cache, name: string, words: ReadonlyArray<string>, data: Uint8Array | BadData): Reply => {
  const [key, flags = "", time, , unique] = words
  const expiresAt = expiry(cache, time)
  const wellFormed = words.length === (name === "cas" ? 5 : 4) && isUint32(flags) && expiresAt !== undefined
  if (!isKey(key) || !wellFormed) return badLine
  if (data === "object too large for cache") {
    // The old value is not what the client believes to be there.
    cache.delete(key)
    return `SERVER_ERROR ${data}`
  }
  if (typeof data === "string") return `CLIENT_ERROR ${data}`
  const old = cache.get(key)
  if (name === "cas") {
    if (old === undefined) return "NOT_FOUND"
    if (String(old.unique) !== unique) return "EXISTS"
  } else if (name !== "set" && (name === "add") !== (old === undefined)) return "NOT_STORED"
  if (old !== undefined && name === "append") cache.set(key, concat(old.value, data), old.flags, old.expiresAt)
  else if (old !== undefined && name === "prepend") cache.set(key, concat(data, old.value), old.flags, old.expiresAt)
  else cache.set(key, data, Number(flags), expiresAt)
  return "STORED"
}

// --- words ---

const decoder = new TextDecoder()
const encoder = new TextEncoder()

const isKey = (word: string | undefined): word is string =>
  word !== undefined && word.length <= 250 && !/[\x00-\x20\x7f]/.test(word)

const isUint32 = (word: string): boolean => /^\d{1,10}$/.test(word) && Number(word) < 2 ** 32

const uint64 = (word: string | undefined): bigint | undefined => {
  const value = /^\d{1,20}$/.test(word ?? "") ? BigInt(word!) : -1n
  return value >= 0n && value < 2n ** 64n ? value : undefined
}

const month = 30 * 24 * 60 * 60

/** Seconds from now, up to 30 days; else since 1970. 0 is never, less is at once. */
const expiry = (cache: Cache, word: string | undefined): number | undefined => {
  if (!/^-?\d{1,11}$/.test(word ?? "")) return undefined
  const seconds = Number(word)
  if (seconds === 0) return Infinity
  return seconds > month ? seconds * 1000 : cache.now + seconds * 1000
}

const concat = (head: Uint8Array, tail: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(head.length + tail.length)
  whole.set(head)
  whole.set(tail, head.length)
  return whole
}
