/**
 * Who waits for something, in order: first come, first served, and anyone may leave at any time.
 * A linked list, so that joining at either end and leaving from the middle are O(1). Effect-free.
 */

/** What can wait, in one queue at a time. */
export interface Linked {
  previous: Linked | undefined
  next: Linked | undefined
}

export class WaitQueue<A extends Linked> {
  size = 0
  readonly #ends: Linked

  constructor() {
    const ends: Linked = { previous: undefined, next: undefined }
    ends.previous = ends.next = ends
    this.#ends = ends
  }

  /** Joins as the last. */
  push(member: A): void {
    this.#insert(member, this.#ends.previous!)
  }

  /** Joins as the first. */
  unshift(member: A): void {
    this.#insert(member, this.#ends)
  }

  /** Takes the first out. */
  shift(): A | undefined {
    if (this.size === 0) return undefined
    const first = this.#ends.next as A
    this.delete(first)
    return first
  }

  /** Whether it was a member. */
  delete(member: A): boolean {
    if (member.next === undefined) return false
    member.previous!.next = member.next
    member.next.previous = member.previous
    member.previous = member.next = undefined
    this.size--
    return true
  }

  #insert(member: A, after: Linked): void {
    member.previous = after
    member.next = after.next
    after.next!.previous = member
    after.next = member
    this.size++
  }
}
