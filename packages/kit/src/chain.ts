/** What can stand in a {@link Chain}; at most in one. */
export interface Linked {
  next: this | undefined
  previous: this | undefined
}

/**
 * A set whose members are linked to their neighbours. For many short lives it is cheaper than a Map or a Set: the tables
 * that those outgrow keep the dead members alive through every young collection of V8.
 */
export class Chain<T extends Linked> {
  size = 0
  #first: T | undefined

  add(member: T): void {
    member.previous = undefined
    member.next = this.#first
    if (this.#first !== undefined) this.#first.previous = member
    this.#first = member
    this.size++
  }

  delete(member: T): void {
    const { next, previous } = member
    if (previous === undefined && this.#first !== member) return
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next !== undefined) next.previous = previous
    member.next = undefined
    member.previous = undefined
    this.size--
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
