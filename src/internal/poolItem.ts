/**
 * What a pool keeps count of: the items it lends, with their two clocks, and the acquires that wait for one. Effect-free.
 */
import type { DiscardReason } from "../ConnectionPool.ts"
import { Entry } from "./deadlines.ts"
import type { Member } from "./liveSet.ts"
import type { Linked } from "./waitQueue.ts"

/** How to see that an item can be lent no more, and to hear of it while nobody uses it. */
export interface Watched {
  /** `used`: bytes that came before anybody used it are a greeting, and belong to who will. */
  fault(used: boolean): DiscardReason | undefined
  watch(listener: (() => void) | undefined): void
  /** Bytes written so far. */
  written(): number
}

/** What an item tells when its time is up. */
interface Owner<A> {
  idleTooLong(item: Item<A>): void
  retire(item: Item<A>, reason: DiscardReason): void
}

export class Item<A> extends Entry implements Member {
  slot = -1
  state: "idle" | "borrowed" | "gone" = "borrowed"
  /** Somebody has had it. */
  used = false
  /** Bytes that were written before it was lent, where that can be told. */
  written: number | undefined = undefined
  /** Why it must not be lent again once it has come back. */
  doomed: DiscardReason | undefined = undefined
  readonly age: Age<A>
  readonly content: A
  readonly watched: Watched | undefined
  readonly #pool: Owner<A>

  constructor(pool: Owner<A>, content: A, watched: Watched | undefined) {
    super()
    this.#pool = pool
    this.content = content
    this.watched = watched
    this.age = new Age(this, pool)
  }

  /** It was idle for `idleTimeout`. */
  expire(): void {
    this.#pool.idleTooLong(this)
  }
}

/** An item's other clock. */
class Age<A> extends Entry {
  readonly #item: Item<A>
  readonly #pool: Owner<A>

  constructor(item: Item<A>, pool: Owner<A>) {
    super()
    this.#item = item
    this.#pool = pool
  }

  /** It is older than `maxLifetime`. */
  expire(): void {
    this.#pool.retire(this.#item, "expired")
  }
}

/** What a waiter tells when its time is up. */
interface Row<A, F> {
  refuse(waiter: Waiter<A, F>, refusal: "timeout"): void
}

/** One acquire that could not be answered at once. `settle` is called when `item`, `failure` or `refusal` has been set. */
export class Waiter<A, F> extends Entry implements Linked {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  item: Item<A> | undefined = undefined
  failure: F | undefined = undefined
  refusal: "timeout" | "closed" | undefined = undefined
  settle: (() => void) | undefined = undefined
  readonly #pool: Row<A, F>

  constructor(pool: Row<A, F>) {
    super()
    this.#pool = pool
  }

  expire(): void {
    this.#pool.refuse(this, "timeout")
  }
}
