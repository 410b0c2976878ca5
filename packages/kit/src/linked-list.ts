/** What can stand in a {@link LinkedList}; at most in one. */
export interface Linked {
  next: this | undefined
  previous: this | undefined
}

/**
 * A set in the order of arrival, whose members are linked to their neighbours. For many short lives it is cheaper than a
 * Map or a Set: the tables that those outgrow keep the dead members alive through every young collection of V8.
 */
export class LinkedList<T extends Linked> {
  #count = 0
  #first: T | undefined
  #last: T | undefined

  get size(): number {
    return this.#count
  }

  /** Who came before all others that are still there. */
  get first(): T | undefined {
    return this.#first
  }

  add(member: T): void {
    member.next = undefined
    member.previous = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.next = member
    this.#last = member
    this.#count++
  }

  /** Tells whether it was there. */
  delete(member: T): boolean {
    const { next, previous } = member
    if (previous === undefined && this.#first !== member) return false
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    member.next = undefined
    member.previous = undefined
    this.#count--
    return true
  }

  /** A member may go while it is visited. */
  *[Symbol.iterator](): Generator<T> {
    for (let member = this.#first; member !== undefined; ) {
      const { next }: { next: T | undefined } = member
      yield member
      member = next
    }
  }
}
