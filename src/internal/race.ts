/**
 * Happy Eyeballs: the attempts of RFC 8305, section 5, over anything that can be tried and given up.
 * The next begins when the latest has failed, at once, or has taken its delay; the first to succeed ends all others.
 * Giving up is synchronous: from the moment that one has won, or the race is interrupted, no other can succeed.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Cancel } from "../Transport.ts"

/** How an attempt ends, unless it is cancelled: with one call of one of the two, after `begin` has returned. */
export interface Settle<A> {
  won(value: A): void
  lost(): void
}

/** Tries the candidates in order, at least one. Fails when all have lost; the reasons are for who began them to keep. */
export const race = <T, A>(
  candidates: ReadonlyArray<T>,
  begin: (candidate: T, settle: Settle<A>) => Cancel,
  delay: Duration.Duration
): Effect.Effect<A, void> =>
  Effect.suspend(() => {
    const run = new Race(candidates, begin)
    const next: Effect.Effect<A, void> = Effect.suspend(() => {
      if (run.outcome !== undefined) return run.outcome
      if (!run.beginNext()) return Effect.zipRight(run.news, next)
      return Effect.zipRight(run.hasMore ? Effect.timeoutOption(run.news, delay) : run.news, next)
    })
    return Effect.onInterrupt(next, () => Effect.sync(run.cancel))
  })

class Race<T, A> {
  outcome: Exit.Exit<A, void> | undefined
  readonly #candidates: ReadonlyArray<T>
  readonly #begin: (candidate: T, settle: Settle<A>) => Cancel
  readonly #underWay = new Map<number, Cancel>()
  #begun = 0
  #isNews = false
  #wake: (() => void) | undefined

  constructor(candidates: ReadonlyArray<T>, begin: (candidate: T, settle: Settle<A>) => Cancel) {
    this.#candidates = candidates
    this.#begin = begin
  }

  get hasMore(): boolean {
    return this.#begun < this.#candidates.length
  }

  /** Whether there was one more to begin. */
  beginNext(): boolean {
    this.#isNews = false
    if (!this.hasMore) return false
    const index = this.#begun++
    const cancel = this.#begin(this.#candidates[index]!, {
      won: (value) => {
        this.#underWay.delete(index)
        this.cancel()
        this.#settle(Exit.succeed(value))
      },
      lost: () => {
        this.#underWay.delete(index)
        if (this.#underWay.size === 0 && !this.hasMore) this.#settle(Exit.fail(undefined))
        else if (index === this.#begun - 1) this.#tell()
      }
    })
    this.#underWay.set(index, cancel)
    return true
  }

  /** Completes when the race is decided, or the latest attempt has failed. */
  readonly news: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.#isNews) return resume(Effect.void)
    this.#wake = () => resume(Effect.void)
  })

  readonly cancel = (): void => {
    for (const cancel of this.#underWay.values()) cancel()
    this.#underWay.clear()
  }

  #settle(outcome: Exit.Exit<A, void>): void {
    this.outcome = outcome
    this.#tell()
  }

  #tell(): void {
    this.#isNews = true
    this.#wake?.()
  }
}

/**
 * The order to try addresses in (RFC 8305, section 4): the resolver's, with the families taking turns; the family that
 * it put first begins.
 */
export const interleave = <T>(items: ReadonlyArray<T>, familyOf: (item: T) => unknown): ReadonlyArray<T> => {
  const first = items.filter((item) => familyOf(item) === familyOf(items[0]!))
  const others = items.filter((item) => familyOf(item) !== familyOf(items[0]!))
  const turns = first.flatMap((item, i) => i < others.length ? [item, others[i]!] : [item])
  return [...turns, ...others.slice(first.length)]
}
