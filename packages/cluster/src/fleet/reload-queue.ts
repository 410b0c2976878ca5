import type { ReloadResult } from '../events.js'
import type { WorkerProcess } from '../spawn/worker-process.js'
import { Reload } from './reload.js'

/** Queue of two reloads: the current one and the next. All calls that come during the current reload share the next. */
export class ReloadQueue {
  current: Reload | undefined
  #next: Reload | undefined

  ask(): Promise<ReloadResult> {
    this.#next ??= new Reload()
    return this.#next.promise
  }

  /** The one that waits becomes the current one; `undefined` when none does, or its turn has not come. */
  advance(): Reload | undefined {
    if (this.current !== undefined || this.#next === undefined) return undefined
    this.current = this.#next
    this.#next = undefined
    return this.current
  }

  /** Tells whether this is news: a roll fails once. */
  fail(error: Error): boolean {
    if (this.current === undefined || this.current.error !== undefined) return false
    this.current.error = error
    return true
  }

  /** The old workers stay; those of the new generation that are not ready go. */
  rollBack(workers: Iterable<WorkerProcess>): void {
    for (const worker of workers) {
      if (worker.outdated === 'reload') worker.outdated = undefined
      else if (worker.state === 'starting' && worker.generation === this.current?.generation)
        worker.outdated = 'rollback'
    }
  }

  /** Everything is going to end. */
  cancel(error: Error): void {
    this.#next?.cancel(error)
    this.#next = undefined
    this.fail(error)
  }

  /** Whether there are workers that a roll still has to see off. */
  hasLeftOver(workers: Iterable<WorkerProcess>): boolean {
    return [...workers].some(
      ({ outdated, leaving }) => outdated === 'reload' || leaving === 'reload' || leaving === 'rollback',
    )
  }

  /** A worker is gone. */
  left({ leaving, killed, lost }: WorkerProcess): void {
    if (this.current === undefined || leaving !== 'reload') return
    this.current.replaced++
    this.current.lost += lost
    if (killed !== undefined && killed !== 'early') this.current.forced++
  }

  finish(now: number): ReloadResult | undefined {
    const result = this.current?.finish(now)
    this.current = undefined
    return result
  }
}
