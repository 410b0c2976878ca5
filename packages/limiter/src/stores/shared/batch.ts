import { sameLimits } from '../../bucket/limit.js'
import type { PendingDecision } from './pending-decision.js'
import { isGroup } from './protocol.js'

/**
 * Questions that travel together. For each key they stand in the order of the calls, so the result is that of the calls
 * one by one.
 */
export class Batch {
  readonly #questions: PendingDecision[] = []
  #buckets = 0

  /** Buckets asked about. */
  get size(): number {
    return this.#buckets
  }

  add(question: PendingDecision): void {
    this.#questions.push(question)
    this.#buckets += question.buckets.length
  }

  /** Keys and numbers as `wire.ts` describes them. */
  encode(): { keys: string[]; numbers: number[] } {
    const keys: string[] = []
    const numbers: number[] = []
    let run: PendingDecision | undefined
    let length = 0
    for (const question of this.#questions) {
      for (const bucket of question.buckets) keys.push(bucket)
      if (run !== undefined && isSameRun(run, question)) {
        numbers[length]!++
        continue
      }
      const { kind, cost, count, limits } = question
      numbers.push(kind, cost, count, 1, limits.length)
      length = numbers.length - 2
      for (const { capacity, tokens, micros, shadow } of limits) {
        // A limit alone is decided as it stands; its limiter lets the denial through.
        numbers.push(capacity, tokens, micros, shadow && limits.length > 1 ? 1 : 0)
      }
      run = question
    }
    return { keys, numbers }
  }

  /** How many numbers an answer has. */
  get answerLength(): number {
    return this.#questions.length + 2 * this.#buckets
  }

  /** Whether an answer is one to these questions. What comes from a store may be anything. */
  accepts(answer: readonly number[]): boolean {
    if (answer.length !== this.answerLength) return false
    let at = 0
    return this.#questions.every(({ limits }) => {
      const from = at
      at += 1 + 2 * limits.length
      return isGroup(answer, from, limits.length)
    })
  }

  /** Hands the answer out. */
  answer(answer: readonly number[], sent: number): void {
    let at = 0
    for (const question of this.#questions) {
      question.asker.answered(question, answer[at]!, answer, at + 1, sent)
      at += 1 + 2 * question.limits.length
    }
  }

  fail(): void {
    for (const question of this.#questions) question.asker.failed(question)
  }
}

function isSameRun(a: PendingDecision, b: PendingDecision): boolean {
  return a.kind === b.kind && a.cost === b.cost && a.count === b.count && sameLimits(a.limits, b.limits)
}
