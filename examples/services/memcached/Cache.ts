/**
 * What memcached keeps: values with flags and expiry, by Effect's clock, within a limit of memory. When it is full,
 * what was not used for the longest time goes.
 */
import type * as Clock from "effect/Clock"

export interface Item {
  readonly value: Uint8Array
  readonly flags: number
  /** Milliseconds since 1970; infinite for what stays. */
  readonly expiresAt: number
  /** Another number after every change. */
  readonly unique: bigint
}

/** What an item takes beside its key and value, about. */
const overhead = 100

export class Cache {
  readonly startedAt: number
  readonly limit: number
  used = 0
  evicted = 0
  stored = 0
  // A Map keeps the order of insertion: what is used is taken out and put in again, so that the first is the oldest.
  readonly #items = new Map<string, Item>()
  readonly #clock: Clock.Clock
  #unique = 0n
  #flushAt = Infinity

  constructor(clock: Clock.Clock, limit: number) {
    this.#clock = clock
    this.limit = limit
    this.startedAt = this.now
  }

  get now(): number {
    return this.#clock.unsafeCurrentTimeMillis()
  }

  get size(): number {
    this.#flush()
    return this.#items.size
  }

  get(key: string): Item | undefined {
    this.#flush()
    const item = this.#items.get(key)
    if (item === undefined) return undefined
    this.#items.delete(key)
    if (item.expiresAt > this.now) this.#items.set(key, item)
    else this.used -= sizeOf(key, item)
    return this.#items.get(key)
  }

  /** Keeps a copy of the value: what came in is a view of all that came with it. */
  set(key: string, value: Uint8Array, flags: number, expiresAt: number): void {
    this.delete(key)
    const item = { value: value.slice(), flags, expiresAt, unique: ++this.#unique }
    this.#items.set(key, item)
    this.used += sizeOf(key, item)
    this.stored++
    this.#evict()
  }

  delete(key: string): boolean {
    const item = this.get(key)
    if (item === undefined) return false
    this.used -= sizeOf(key, item)
    return this.#items.delete(key)
  }

  /** Drops, at that time, all that is there then. */
  flushAt(time: number): void {
    this.#flushAt = time
    this.#flush()
  }

  #flush(): void {
    if (this.now < this.#flushAt) return
    this.#flushAt = Infinity
    this.#items.clear()
    this.used = 0
  }

  #evict(): void {
    for (const [key, item] of this.#items) {
      if (this.used <= this.limit) return
      this.#items.delete(key)
      this.used -= sizeOf(key, item)
      this.evicted++
    }
  }
}

const sizeOf = (key: string, { value }: Item): number => key.length + value.length + overhead
