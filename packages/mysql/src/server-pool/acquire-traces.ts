/** Stacks in a row that are taken whatever they cost, and how many more each millisecond. */
const BURST = 100
const PER_MILLISECOND = 1
/** Frames of a stack. */
const DEPTH = 6

/**
 * Leak traces: the stacks of acquires, shown when a connection is held too long. A stack costs some microseconds, several
 * times what lending a connection does, so a pool takes no more than a thousand a second (with a burst of a hundred): all
 * of them in most apps, a sample of them in a busy one, and never as much as half a percent of a CPU.
 */
export class AcquireTraces {
  #left = BURST
  #at = 0

  /**
   * The stack above `called`, formatted when it is read; `undefined` when too many were taken lately.
   *
   * @param now milliseconds, of any clock
   */
  // biome-ignore lint/suspicious/noExplicitAny: any function can be the one that was called
  above(called: (...args: any[]) => unknown, now: number): (() => string | undefined) | undefined {
    this.#left = Math.min(BURST, this.#left + (now - this.#at) * PER_MILLISECOND)
    this.#at = now
    if (this.#left < 1) return undefined
    this.#left--
    const holder: { stack?: string } = {}
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = DEPTH
    Error.captureStackTrace(holder, called)
    Error.stackTraceLimit = limit
    return () => holder.stack
  }
}
