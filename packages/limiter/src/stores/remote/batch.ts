import { sameLimits } from '../../bucket/limit.js'
import type { PendingDecision } from './pending-decision.js'
import { isGroup } from './protocol.js'

/**
 * Pending decisions that travel in one request. The decisions of one key keep the order of their calls, so the
 * result is that of the calls one by one.
 */
export class Batch {
  readonly #pending: PendingDecision[] = []
  #buckets = 0

  /** Buckets in the request. */
  get size(): number {
    return this.#buckets
  }

  add(pending: PendingDecision): void {
    this.#pending.push(pending)
    this.#buckets += pending.buckets.length
  }

  /** Keys and numbers as `protocol.ts` describes them. */
  encode(): { keys: string[]; numbers: number[] } {
    const keys: string[] = []
    const numbers: number[] = []
    let run: PendingDecision | undefined
    let length = 0
    for (const pending of this.#pending) {
      for (const bucket of pending.buckets) keys.push(bucket)
      if (run !== undefined && isSameRun(run, pending)) {
        numbers[length]!++
        continue
      }
      const { kind, cost, count, limits } = pending
      numbers.push(kind, cost, count, 1, limits.length)
      length = numbers.length - 2
      for (const { capacity, tokens, micros, shadow } of limits) {
        // A limit alone is decided as it stands; its limiter lets the denial through.
        numbers.push(capacity, tokens, micros, shadow && limits.length > 1 ? 1 : 0)
      }
      run = pending
    }
    return { keys, numbers }
  }

  /** How many numbers an answer has. */
  get answerLength(): number {
    return this.#pending.length + 2 * this.#buckets
  }

  /** Whether these numbers answer the request. A store may send anything. */
  accepts(answer: readonly number[]): boolean {
    if (answer.length !== this.answerLength) return false
    let at = 0
    for (const { limits } of this.#pending) {
      if (!isGroup(answer, at, limits.length)) return false
      at += 1 + 2 * limits.length
    }
    return true
  }

  /** Gives each pending decision its part of the answer. */
  answer(answer: readonly number[], sent: number): void {
    let at = 0
    for (const pending of this.#pending) {
      pending.owner.answered(pending, answer[at]!, answer, at + 1, sent)
      at += 1 + 2 * pending.limits.length
    }
  }

  fail(): void {
    for (const pending of this.#pending) pending.owner.failed(pending)
  }
}

function isSameRun(a: PendingDecision, b: PendingDecision): boolean {
  return a.kind === b.kind && a.cost === b.cost && a.count === b.count && sameLimits(a.limits, b.limits)
}
