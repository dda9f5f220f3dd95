/**
 * A set of objects that come and go quickly. In a `Set` that churns, V8 keeps the dead alive until its next full collection: the tables
 * that it has outgrown are chained, and one that has become old holds all that came later, with what was in them.
 * An array whose last member fills the gap has no past. Adding and removing are O(1); the order is none.
 */

/** What can be a member, of one set at a time. */
export interface Member {
  /** Where it stands; -1 where it is no member. */
  slot: number
}

export class LiveSet<A extends Member> implements Iterable<A> {
  readonly #members: Array<A> = []

  get size(): number {
    return this.#members.length
  }

  add(member: A): void {
    member.slot = this.#members.push(member) - 1
  }

  delete(member: A): void {
    if (member.slot === -1) return
    const last = this.#members.pop()!
    if (last !== member) {
      this.#members[member.slot] = last
      last.slot = member.slot
    }
    member.slot = -1
  }

  /** Over a copy: members may leave meanwhile. */
  [Symbol.iterator](): Iterator<A> {
    return this.#members.slice()[Symbol.iterator]()
  }
}
