import { setTimeout as sleep } from 'node:timers/promises'

export interface EventuallyOptions {
  /** Milliseconds until it gives up. Default: 10000. */
  readonly timeout?: number
  /** Milliseconds between two checks. Default: 20. */
  readonly interval?: number
  /** What is waited for, for the message. Default: the last failure. */
  readonly what?: string
}

/**
 * Repeats `check` until it returns something truthy without throwing, and returns that. An assertion may stand in
 * `check`: one that returns `undefined` counts as passed, `false`, `null` and `0` as not yet.
 *
 * @throws Error at the deadline, with the last failure as its cause
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeout = 10_000, interval = 20, what }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeout
  for (;;) {
    let failure: unknown
    try {
      const value = await check()
      if (value === undefined || value) return value
      failure = new Error(`the check returned ${String(value)}`)
    } catch (error) {
      failure = error
    }
    if (performance.now() >= deadline) {
      const reason = failure instanceof Error ? failure.message : String(failure)
      throw new Error(`Not within ${timeout} ms: ${what ?? reason}`, { cause: failure })
    }
    await sleep(interval)
  }
}
