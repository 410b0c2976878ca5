/** A member of a {@link LinkedList}; of at most one at a time. */
export interface Linked {
  next: this | undefined
  previous: this | undefined
}

/**
 * Intrusive doubly linked list, in insertion order. With many short-lived members it is cheaper than a Map or a Set, whose
 * outgrown hash tables keep dead members alive through every young collection of V8.
 */
export class LinkedList<T extends Linked> {
  #count = 0
  #first: T | undefined
  #last: T | undefined

  get size(): number {
    return this.#count
  }

  /** The oldest member. */
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

  /** Removes a member; returns whether it was in the list. */
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

  /** The members, oldest first. The visited member may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let member = this.#first; member !== undefined; ) {
      const { next }: { next: T | undefined } = member
      yield member
      member = next
    }
  }
}
