/**
 * How long a check waits for something that must happen. Generous: it is only ever spent on a failure. A test that
 * expects a failure may shorten it.
 */
export const patience = { milliseconds: 10_000 }

/** Settles like `promise`; rejects, naming what did not happen, when it takes longer than the deadline. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  milliseconds = patience.milliseconds,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${milliseconds} ms: ${what}`)), milliseconds)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until `condition` holds, looking again every few milliseconds; rejects, naming it, after the deadline. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  milliseconds = patience.milliseconds,
): Promise<void> {
  const end = performance.now() + milliseconds
  while (!(await condition())) {
    if (performance.now() > end) {
      throw new Error(`Not within ${milliseconds} ms: ${typeof what === 'string' ? what : what()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Lets everything that is due happen: promises, immediates, sockets that are ready. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A promise that somebody else settles. */
export interface Latch<T = void> {
  readonly promise: Promise<T>
  open(value: T): void
}

export function latch<T = void>(): Latch<T> {
  let open: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

/**
 * Runs `work` and fails when a promise was left rejected and unhandled meanwhile. Takes the listeners of the test
 * runner off for that time, so that the failure is the check's.
 */
export async function withoutUnhandled<T>(work: () => Promise<T>): Promise<T> {
  const others = process.listeners('unhandledRejection')
  const seen: unknown[] = []
  const collect = (reason: unknown) => seen.push(reason)
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', collect)
  try {
    const result = await work()
    await turns()
    if (seen.length > 0) throw new Error(`A rejection nobody handled: ${String(seen[0])}`, { cause: seen[0] })
    return result
  } finally {
    process.off('unhandledRejection', collect)
    for (const listener of others) process.on('unhandledRejection', listener)
  }
}
