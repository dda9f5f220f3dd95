/**
 * Keys and values in memory, with expiry by Effect's clock and a limit on the memory that they take.
 * A key that has expired is gone for everybody at that moment; `sweep` gives back what nobody asked for any more.
 */
import type * as Clock from "effect/Clock"
import { RespError } from "./Resp.ts"

interface Entry {
  value: Uint8Array
  /** Milliseconds since 1970; infinite for what stays. */
  expiresAt: number
}

/** What an entry takes beside its key and value, about. */
const overhead = 120

export class Store {
  /** Bytes taken, about. */
  used = 0
  readonly #entries = new Map<string, Entry>()
  /** The keys that expire, so that a sweep looks at no others. */
  readonly #expiring = new Set<string>()
  readonly #clock: Clock.Clock
  readonly #maxMemory: number

  constructor(clock: Clock.Clock, maxMemory: number) {
    this.#clock = clock
    this.#maxMemory = maxMemory
  }

  get now(): number {
    return this.#clock.unsafeCurrentTimeMillis()
  }

  get size(): number {
    this.sweep()
    return this.#entries.size
  }

  get keys(): Iterable<string> {
    this.sweep()
    return this.#entries.keys()
  }

  get(key: string): Uint8Array | undefined {
    return this.#live(key)?.value
  }

  expiresAt(key: string): number | undefined {
    return this.#live(key)?.expiresAt
  }

  /** Keeps a copy of the value: what came in is a view of all that came with it. */
  set(key: string, value: Uint8Array, expiresAt: number): void {
    const old = this.#live(key)
    const growth = value.length - (old === undefined ? -key.length - overhead : old.value.length)
    if (growth > 0 && this.used + growth > this.#maxMemory) {
      throw new RespError("OOM command not allowed when used memory > 'maxmemory'.")
    }
    this.used += growth
    const entry = old ?? { value, expiresAt: Infinity }
    entry.value = value.slice()
    if (old === undefined) this.#entries.set(key, entry)
    this.#setExpiry(key, entry, expiresAt)
  }

  /** Whether there was such a key. */
  expire(key: string, expiresAt: number): boolean {
    const entry = this.#live(key)
    if (entry !== undefined) this.#setExpiry(key, entry, expiresAt)
    return entry !== undefined
  }

  delete(key: string): boolean {
    const entry = this.#live(key)
    if (entry !== undefined) this.#drop(key, entry)
    return entry !== undefined
  }

  clear(): void {
    this.#entries.clear()
    this.#expiring.clear()
    this.used = 0
  }

  /** Drops all that has expired. */
  sweep(): void {
    for (const key of this.#expiring) this.#live(key)
  }

  #setExpiry(key: string, entry: Entry, expiresAt: number): void {
    if (entry.expiresAt === expiresAt) return
    if (expiresAt === Infinity) this.#expiring.delete(key)
    else this.#expiring.add(key)
    entry.expiresAt = expiresAt
  }

  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.expiresAt === Infinity || entry.expiresAt > this.now) return entry
    this.#drop(key, entry)
    return undefined
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#expiring.delete(key)
    this.used -= key.length + entry.value.length + overhead
  }
}
