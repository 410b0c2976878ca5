import { afterEach } from 'vitest'
import { Offloader, type OffloaderOptions, type Task, type TaskOptions } from '../src/index.js'

/** Every promise of a test settles well within this; what does not, hangs. */
export const DEADLINE = 20_000

export const TASKS = new URL('./fixtures/tasks.mjs', import.meta.url)

const open: Offloader[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((offloader) => offloader.close({ timeout: 0 })))
})

/** An offloader with the patience of a slow machine, that is closed after the test, whatever happens in it. */
export function offloaderWith(options: OffloaderOptions = {}): Offloader {
  const offloader = new Offloader({ threads: 1, maxWait: '2m', ...options })
  open.push(offloader)
  return offloader
}

/** A task of the fixture, untyped: the fixture is JavaScript on purpose. */
export function task<Input = any, Output = any>(
  offloader: Offloader,
  name: string,
  options?: TaskOptions,
): Task<Input, Output, any> {
  return offloader.task<Record<string, (input: Input) => Output>>(TASKS, name, options) as Task<
    Input,
    Output,
    any
  >
}

/** What a promise rejected with; fails when it did not. */
export async function rejection(promise: Promise<unknown>): Promise<any> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('It did not reject')
}

export function cells(count = 1): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count))
}

/** Waits until `condition` holds, and fails when it never does. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + DEADLINE
  while (!condition()) {
    if (performance.now() > end) throw new Error(`It never came about: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** A gate that holds `gate` tasks: `entered` counts those on threads, `open` lets all go on. */
export function gate(): { cells: Int32Array; entered(count: number): Promise<void>; open(): void } {
  const shared = cells(2)
  return {
    cells: shared,
    entered: (count) => until(() => Atomics.load(shared, 1) >= count, `${count} tasks at the gate`),
    open() {
      Atomics.store(shared, 0, 1)
      Atomics.notify(shared, 0)
    },
  }
}
