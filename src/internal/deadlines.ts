/**
 * One clock for many waits of the same length: a linked list in the order of arming, which is that of expiry, and one sleeping fiber.
 * Arming, arming again and disarming are O(1); an entry that is disarmed is not held on to.
 * Runs on Effect's Clock, so TestClock drives it.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Something that may wait too long. */
export abstract class Entry {
  /** @internal Where it is armed. */
  due: number | undefined = undefined
  /** @internal */
  before: Entry | undefined = undefined
  /** @internal */
  after: Entry | undefined = undefined
  /** Called once when the time is up; the entry is disarmed by then. */
  abstract expire(): void
}

/** Milliseconds. What a timer of JavaScript can wait; Effect's clock never comes back from a longer sleep. */
export const longestSleep = 2 ** 31 - 1

export class Deadlines {
  readonly #clock: Clock.Clock
  readonly #millis: number
  #first: Entry | undefined
  #last: Entry | undefined
  #idle: (() => void) | undefined
  #users = 0
  /** Called when the last of those who retained it has released it. */
  onUnused: () => void = () => {}

  constructor(clock: Clock.Clock, timeout: Duration.Duration) {
    this.#clock = clock
    this.#millis = Duration.toMillis(timeout)
  }

  /** Starts the entry's time, anew if it runs already. */
  arm(entry: Entry): void {
    if (entry.due !== undefined) this.disarm(entry)
    entry.due = this.#clock.unsafeCurrentTimeMillis() + this.#millis
    entry.before = this.#last
    if (this.#last === undefined) this.#first = entry
    else this.#last.after = entry
    this.#last = entry
    const idle = this.#idle
    this.#idle = undefined
    idle?.()
  }

  disarm(entry: Entry): void {
    if (entry.due === undefined) return
    entry.due = undefined
    if (entry.before === undefined) this.#first = entry.after
    else entry.before.after = entry.after
    if (entry.after === undefined) this.#last = entry.before
    else entry.after.before = entry.before
    entry.before = undefined
    entry.after = undefined
  }

  /** Somebody relies on the watch: a listener, or a connection that may outlive it. */
  retain(): void {
    this.#users++
  }

  release(): void {
    if (--this.#users === 0) this.onUnused()
  }

  /** Watches for ever; fork it where the waits belong. */
  readonly watch: Effect.Effect<never> = Effect.suspend(() => {
    const now = this.#clock.unsafeCurrentTimeMillis()
    while (this.#first !== undefined && this.#first.due! <= now) {
      const entry = this.#first
      this.disarm(entry)
      entry.expire()
    }
    return this.#first === undefined
      ? Effect.async<void>((resume) => {
        this.#idle = () => resume(Effect.void)
      })
      : this.#clock.sleep(Duration.millis(Math.min(this.#first.due! - now, longestSleep)))
  }).pipe(Effect.forever)
}
