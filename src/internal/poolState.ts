/**
 * The state machine of a pool: who has which item, who waits, what is being opened and what has to go. Effect-free; opening,
 * closing and telling time are its host's. An item is idle, or with one borrower, or gone, and never comes back from that.
 * A free item goes to who waits longest, else on top of the idle ones; the one used last is taken first.
 */
import type { DiscardReason } from "../ConnectionPool.ts"
import type { Deadlines } from "./deadlines.ts"
import { LiveSet } from "./liveSet.ts"
import { Item, Waiter, type Watched } from "./poolItem.ts"
import { WaitQueue } from "./waitQueue.ts"

export interface Limits {
  readonly min: number
  readonly max: number
  readonly maxPending: number
}

export interface Timers {
  readonly acquire: Deadlines | undefined
  readonly idle: Deadlines | undefined
  readonly lifetime: Deadlines | undefined
}

/** What the state machine has done for it. `A` is an item's content, `F` why one could not be opened. */
export interface Host<A, F> {
  /** Begins to open one; ends in `opened` or `failed`, at once or later. */
  open(): void
  close(content: A): void
  /** Opening failed and nobody waited for it. */
  failedUnheard(failure: F): void
  /** Calls back after a pause, which grows with the number of failures in a row. */
  rest(failures: number, callback: () => void): void
  /** Nothing is open, opening or waited for. */
  onEmpty(): void
}

export class PoolState<A, F> {
  opening = 0
  created = 0
  failed = 0
  closed = false
  readonly discarded: Record<DiscardReason, number> = {
    closed: 0,
    unexpectedBytes: 0,
    failed: 0,
    interrupted: 0,
    invalidated: 0,
    unhealthy: 0,
    idle: 0,
    expired: 0,
    drained: 0
  }
  readonly #items = new LiveSet<Item<A>>()
  /** The one used last is the last. */
  readonly #idle: Array<Item<A>> = []
  readonly #waiters = new WaitQueue<Waiter<A, F>>()
  readonly #host: Host<A, F>
  readonly #limits: Limits
  readonly #timers: Timers
  /** Without a use in between. */
  #failures = 0
  /** Acquires from `begin` to `forget`. */
  #acquiring = 0
  #resting = false
  #balancing = false

  constructor(host: Host<A, F>, limits: Limits, timers: Timers) {
    this.#host = host
    this.#limits = limits
    this.#timers = timers
  }

  get idle(): number {
    return this.#idle.length
  }

  get borrowed(): number {
    return this.#items.size - this.#idle.length
  }

  get waiting(): number {
    return this.#waiters.size
  }

  get empty(): boolean {
    return this.#size === 0 && this.#acquiring === 0
  }

  get #size(): number {
    return this.#items.size + this.opening
  }

  // --- acquiring ---

  /** The idle item that was used last, if there is one that is still good; who finds none goes on to wait. */
  take(): Item<A> | undefined {
    // Until then the pool is not empty, though all it had may be discarded here.
    this.#acquiring++
    let item = this.#idle.pop()
    for (; item !== undefined; item = this.#idle.pop()) {
      this.#leaveIdle(item)
      const fault = this.faultOf(item)
      if (fault === undefined) break
      this.#discard(item, fault)
    }
    this.#acquiring--
    return item
  }

  /** Begins an acquire, and its time. It goes on until `forget`. */
  begin(): Waiter<A, F> {
    this.#acquiring++
    const waiter = new Waiter<A, F>(this)
    this.#timers.acquire?.arm(waiter)
    return waiter
  }

  /** A place in the row. False where that is too long. */
  wait(waiter: Waiter<A, F>): boolean {
    const { max, maxPending } = this.#limits
    if (this.#size >= max && this.#waiters.size - this.opening >= maxPending) return false
    this.#waiters.push(waiter)
    this.balance()
    return true
  }

  /** The waiter was given one that is no good: another at once, or from the front of the row, which it joins before that one's room is free. */
  replace(waiter: Waiter<A, F>, bad: Item<A>, reason: DiscardReason): Item<A> | undefined {
    const item = this.take()
    if (item === undefined) {
      waiter.settle = undefined
      this.#waiters.unshift(waiter)
    }
    this.release(bad, reason)
    return item
  }

  /** Why it cannot be lent. */
  faultOf(item: Item<A>): DiscardReason | undefined {
    return item.doomed ?? item.watched?.fault(item.used)
  }

  refuse(waiter: Waiter<A, F>, refusal: "timeout" | "closed"): void {
    this.#waiters.delete(waiter)
    if (waiter.item === undefined) waiter.refusal = refusal
    waiter.settle?.()
  }

  /** The acquire is over. What it has been given and did not take is free again. */
  forget(waiter: Waiter<A, F>): void {
    this.#acquiring--
    this.#timers.acquire?.disarm(waiter)
    this.#waiters.delete(waiter)
    const { item } = waiter
    waiter.item = undefined
    if (item !== undefined) this.release(item, undefined)
    this.#tellIfEmpty()
  }

  // --- coming back and going ---

  /** The borrower is done; `reason` where it must not be lent again. */
  release(item: Item<A>, reason: DiscardReason | undefined): void {
    if (item.state !== "borrowed") return
    const why = this.closed ? "drained" : reason ?? this.faultOf(item)
    if (why !== undefined) return this.#discard(item, why)
    if (item.used) this.#failures = 0
    this.#give(item)
  }

  /** Will not be lent again; an idle one goes at once. */
  retire(item: Item<A>, reason: DiscardReason): void {
    if (item.state === "borrowed") item.doomed ??= reason
    if (item.state !== "idle") return
    this.#idle.splice(this.#idle.indexOf(item), 1)
    this.#leaveIdle(item)
    this.#discard(item, reason)
  }

  retireAll(reason: DiscardReason, test: (content: A) => boolean): void {
    for (const item of this.#items) if (test(item.content)) this.retire(item, reason)
  }

  idleTooLong(item: Item<A>): void {
    if (this.#size > this.#limits.min) this.retire(item, "idle")
    else this.#timers.idle?.arm(item)
  }

  // --- opening ---

  opened(content: A, watched: Watched | undefined): void {
    this.opening--
    this.created++
    const item = new Item<A>(this, content, watched)
    this.#items.add(item)
    this.#timers.lifetime?.arm(item.age)
    this.release(item, undefined)
    this.balance()
  }

  failedToOpen(failure: F): void {
    this.opening--
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.failure = failure
      waiter.settle?.()
    } else if (!this.closed) this.#host.failedUnheard(failure)
    this.failed++
    this.#rest()
    this.balance()
    this.#tellIfEmpty()
  }

  /** Opens what is waited for, and what is missing to the minimum. An opening that ends at once calls it again: the loop goes on then. */
  balance(): void {
    if (this.#balancing) return
    this.#balancing = true
    while (!this.closed && this.#size < this.#limits.max && (this.opening < this.#waiters.size || this.#lacking)) {
      this.opening++
      this.#host.open()
    }
    this.#balancing = false
  }

  get #lacking(): boolean {
    return !this.#resting && this.#size < this.#limits.min
  }

  /** A peer that refuses, or hangs up at once, is not dialled in a loop for the minimum's sake. */
  #rest(): void {
    this.#failures++
    if (this.#resting || this.closed || this.#size >= this.#limits.min) return
    this.#resting = true
    this.#host.rest(this.#failures, () => {
      this.#resting = false
      this.balance()
    })
  }

  // --- the end ---

  /** Nothing is lent any more, who waits is refused, what is idle goes. */
  close(): void {
    this.closed = true
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      this.refuse(waiter, "closed")
    }
    for (const item of this.#items) this.retire(item, "drained")
    this.#tellIfEmpty()
  }

  /** Takes away what is still lent. */
  cutOff(): void {
    for (const item of this.#items) this.#discard(item, "drained")
  }

  #give(item: Item<A>): void {
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.item = item
      waiter.settle?.()
      return
    }
    item.state = "idle"
    this.#idle.push(item)
    this.#timers.idle?.arm(item)
    item.watched?.watch(() => {
      const fault = this.faultOf(item)
      if (fault !== undefined) this.retire(item, fault)
    })
  }

  #leaveIdle(item: Item<A>): void {
    item.state = "borrowed"
    item.watched?.watch(undefined)
    this.#timers.idle?.disarm(item)
  }

  #discard(item: Item<A>, reason: DiscardReason): void {
    item.state = "gone"
    this.#items.delete(item)
    this.#timers.lifetime?.disarm(item.age)
    this.discarded[reason]++
    this.#host.close(item.content)
    if (!item.used && reason === "closed") this.#rest()
    this.balance()
    this.#tellIfEmpty()
  }

  #tellIfEmpty(): void {
    if (this.empty) this.#host.onEmpty()
  }
}
