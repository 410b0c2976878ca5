import { levelAt } from './bucket.js'
import { type Limit, sameLimits } from './limit.js'
import { type Kind, TAKE } from './wire.js'

/** One call to a shared store, and who waits for its answer. */
export interface Call {
  readonly kind: Kind
  readonly key: string
  readonly cost: number
  /** Most tokens in advance, for a lease; else 1. */
  readonly count: number
  readonly limits: readonly Limit[]
  /** The bucket of each limit. */
  readonly buckets: readonly string[]
  /**
   * The store has answered: `admitted` says how often the cost was charged. From `at` on, `state` has two numbers for
   * each bucket as it was before: tokens in use, and how many microseconds ago that was noted.
   */
  answered(admitted: number, state: readonly number[], at: number, sent: number): void
  /** The store did not answer, or too late. */
  failed(): void
}

/** Calls that are alike and stand next to each other in time: one key, one cost, one answer for all. */
interface Group {
  readonly first: Call
  /** All of them, if there is more than one. */
  calls: Call[] | undefined
}

/**
 * The calls of one turn of the event loop that travel together. Calls alike become one group with a count; for each
 * bucket the order of the calls stays, so the result is that of the calls one by one.
 */
export class Batch {
  readonly #groups: Group[] = []
  readonly #last = new Map<string, Group>()

  get size(): number {
    return this.#groups.length
  }

  add(call: Call): void {
    const bucket = call.buckets[0]!
    const last = this.#last.get(bucket)
    if (last !== undefined && isAlike(last.first, call)) {
      if (last.calls === undefined) last.calls = [last.first, call]
      else last.calls.push(call)
      return
    }
    const group = { first: call, calls: undefined }
    this.#groups.push(group)
    this.#last.set(bucket, group)
  }

  /** Keys and numbers as `wire.ts` describes them. */
  encode(): { keys: string[]; numbers: number[] } {
    const keys: string[] = []
    const numbers: number[] = []
    let run: Group | undefined
    let length = 0
    for (const group of this.#groups) {
      for (const bucket of group.first.buckets) keys.push(bucket)
      if (run !== undefined && isSameRun(run, group)) {
        numbers[length]!++
        continue
      }
      const { kind, cost, limits } = group.first
      numbers.push(kind, cost, countOf(group), 1, limits.length)
      length = numbers.length - 2
      for (const { capacity, tokens, micros } of limits) numbers.push(capacity, tokens, micros)
      run = group
    }
    return { keys, numbers }
  }

  /** Hands the answer out. */
  answer(answer: readonly number[], sent: number): void {
    let at = 0
    for (const { first, calls } of this.#groups) {
      const admitted = answer[at]!
      if (calls === undefined) first.answered(admitted, answer, at + 1, sent)
      else deal(calls, admitted, answer.slice(at + 1, at + 1 + 2 * first.limits.length), sent)
      at += 1 + 2 * first.limits.length
    }
  }

  fail(): void {
    for (const { first, calls } of this.#groups) {
      if (calls === undefined) first.failed()
      else for (const call of calls) call.failed()
    }
  }
}

/** Tells each call of a group how the buckets were when its turn came. */
function deal(calls: readonly Call[], admitted: number, before: readonly number[], sent: number): void {
  let state = before
  for (const [i, call] of calls.entries()) {
    const isAdmitted = i < admitted
    call.answered(isAdmitted ? 1 : 0, state, 0, sent)
    if (!isAdmitted) continue
    const { limits, cost } = call
    state = limits.flatMap((limit, k) => [levelAt(state[2 * k]!, state[2 * k + 1]!, limit) + cost, 0])
  }
}

function isAlike(a: Call, b: Call): boolean {
  return a.kind === TAKE && b.kind === TAKE && a.cost === b.cost && sameLimits(a.limits, b.limits)
}

function isSameRun(a: Group, b: Group): boolean {
  return (
    a.first.kind === b.first.kind &&
    a.first.cost === b.first.cost &&
    countOf(a) === countOf(b) &&
    sameLimits(a.first.limits, b.first.limits)
  )
}

function countOf({ first, calls }: Group): number {
  return calls?.length ?? first.count
}
