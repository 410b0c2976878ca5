import { channel } from '@spillway/kit'
import type { Reason } from './level.js'

const replacing = channel<{ reason: string; signals: string[] }>('spillway:memory:replace')

export interface ReplacementOptions {
  readonly replacement: 'auto' | false | ((reasons: readonly Reason[]) => unknown)
  readonly replaceEvery: number
  readonly startupGrace: number
}

/**
 * Requests a replacement of this process before the kernel kills it. Once per `replaceEvery`, and never during the start-up
 * grace: a process that starts above its mark would be replaced in a loop.
 */
export class Replacement {
  asked = 0
  readonly #options: ReplacementOptions
  readonly #startedAt: number
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(options: ReplacementOptions, now: number) {
    this.#options = options
    this.#startedAt = now
  }

  /** Returns whether a replacement was requested. */
  ask(reasons: readonly Reason[], now: number): boolean {
    const { replacement, replaceEvery, startupGrace } = this.#options
    if (replacement === false || now - this.#startedAt < startupGrace) return false
    if (now - this.#askedAt < replaceEvery) return false
    if (replacement === 'auto' && (process.send === undefined || !process.connected)) return false
    this.#askedAt = now
    this.asked++
    replacing.publish(() => ({ reason: 'memory', signals: reasons.map(({ signal }) => signal) }))
    if (replacement === 'auto') askSupervisor()
    else callback(replacement, reasons)
    return true
  }
}

/** The message of `@spillway/cluster`; another parent ignores it. */
function askSupervisor(): void {
  // The channel may close at any moment; without a callback, that would be an 'error' event on the process.
  process.send?.({ spillway: 'cluster', type: 'replace', reason: 'memory' }, undefined, undefined, () => {})
}

function callback(replacement: (reasons: readonly Reason[]) => unknown, reasons: readonly Reason[]): void {
  Promise.resolve()
    .then(() => replacement(reasons))
    .catch((error: unknown) => {
      process.emitWarning(`The replacement callback failed: ${String(error)}`, {
        code: 'SPILLWAY_MEMORY_REPLACEMENT',
      })
    })
}
