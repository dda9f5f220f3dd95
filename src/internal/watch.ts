/**
 * One sleeping fiber that looks at many connections, each no sooner than something could be overdue there: a heap by the time of the next look.
 * What happens on a connection only writes fields, and moves nothing here; the look finds out, and says when to look again.
 * No entry is ever due sooner than `shortest` after a look at it, so the fiber need not be woken for new ones.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { longestSleep } from "./deadlines.ts"

/** Something to look at. */
export interface Watched {
  /** @internal Where it stands; -1 where it does not. */
  place: number
  /** @internal When to look at it, in milliseconds. */
  lookAt: number
  /** Looks, acts where something is overdue, and gives the time of the next look; `Infinity` for none. */
  look(now: number): number
}

export class Watch {
  readonly #clock: Clock.Clock
  readonly #shortest: number
  readonly #heap: Array<Watched> = []
  #wake: (() => void) | undefined

  constructor(clock: Clock.Clock, shortest: number) {
    this.#clock = clock
    this.#shortest = shortest
  }

  add(entry: Watched): void {
    entry.lookAt = this.#clock.unsafeCurrentTimeMillis() + this.#shortest
    this.#rise(entry, this.#heap.length)
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  delete(entry: Watched): void {
    const { place } = entry
    if (place === -1) return
    entry.place = -1
    const last = this.#heap.pop()!
    if (last !== entry) this.#settle(last, place)
  }

  /** Watches for ever; fork it where the connections belong. */
  readonly run: Effect.Effect<never> = Effect.suspend(() => {
    const now = this.#clock.unsafeCurrentTimeMillis()
    let first = this.#heap[0]
    while (first !== undefined && first.lookAt <= now) {
      const next = first.look(now)
      // It may have gone meanwhile.
      if (next === Infinity) this.delete(first)
      else if (first.place !== -1) {
        first.lookAt = next
        this.#settle(first, first.place)
      }
      first = this.#heap[0]
    }
    return first === undefined
      ? Effect.async<void>((resume) => {
        this.#wake = () => resume(Effect.void)
      })
      : this.#clock.sleep(Duration.millis(Math.min(first.lookAt - now, this.#shortest, longestSleep)))
  }).pipe(Effect.forever)

  /** Puts an entry where it belongs, from a place that is free or its own. */
  #settle(entry: Watched, place: number): void {
    const heap = this.#heap
    for (;;) {
      let least = 2 * place + 1
      if (least + 1 < heap.length && heap[least + 1]!.lookAt < heap[least]!.lookAt) least++
      if (least >= heap.length || heap[least]!.lookAt >= entry.lookAt) break
      this.#put(heap[least]!, place)
      place = least
    }
    this.#rise(entry, place)
  }

  #rise(entry: Watched, place: number): void {
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (this.#heap[parent]!.lookAt <= entry.lookAt) break
      this.#put(this.#heap[parent]!, place)
      place = parent
    }
    this.#put(entry, place)
  }

  #put(entry: Watched, place: number): void {
    this.#heap[place] = entry
    entry.place = place
  }
}
