/**
 * For how long a server has waited for a peer: since the last byte, and for the message under way. Only time in which a reader waits counts.
 * A wait costs one reading of the clock, as do bytes that come where the pace matters; nothing is armed or disarmed.
 */
import type * as Clock from "effect/Clock"
import type * as Fiber from "effect/Fiber"

/** Bytes that came in so much waiting. */
export interface Pace {
  readonly bytes: number
  readonly millis: number
}

/** What the connections of a server keep time by. */
export interface WaitSettings {
  readonly clock: Clock.Clock
  /** The pace matters. */
  readonly paced: boolean
}

export class WaitClock {
  /** The fiber of the handler. It has not ended while it waits, as one that it forked may have. */
  owner: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  readonly #settings: WaitSettings
  /** When the present wait began; -1 where nobody waits. */
  #since = -1
  /** The waits before it, since the last byte. */
  #waited = 0
  #counts = false
  #paced = 0
  #bytes = 0

  constructor(settings: WaitSettings) {
    this.#settings = settings
  }

  get paced(): boolean {
    return this.#settings.paced
  }

  get #now(): number {
    return this.#settings.clock.unsafeCurrentTimeMillis()
  }

  /** Somebody waits, if not yet; `between` messages, where that can be told. */
  begin(between: boolean): void {
    if (this.#since >= 0) return
    this.#since = this.#now
    this.#counts = !between
    if (!between) return
    this.#paced = 0
    this.#bytes = 0
  }

  /** Bytes have come, and nobody waits for now. */
  came(bytes: number): void {
    if (this.paced) {
      if (this.#since >= 0 && this.#counts) this.#paced += this.#now - this.#since
      this.#bytes += bytes
    }
    this.#since = -1
    this.#waited = 0
  }

  /** Nobody waits for now, though nothing has come. */
  stop(): void {
    if (this.#since < 0) return
    const waited = this.#now - this.#since
    this.#since = -1
    this.#waited += waited
    if (this.#counts) this.#paced += waited
  }

  /** Milliseconds of waiting since the last byte. */
  waited(now: number): number {
    return this.#waited + (this.#since < 0 ? 0 : now - this.#since)
  }

  pace(now: number): Pace {
    return { bytes: this.#bytes, millis: this.#paced + (this.#counts && this.#since >= 0 ? now - this.#since : 0) }
  }

  /** Begins a new average. */
  restart(now: number): void {
    this.#bytes = 0
    this.#paced = this.#counts && this.#since >= 0 ? this.#since - now : 0
  }
}
