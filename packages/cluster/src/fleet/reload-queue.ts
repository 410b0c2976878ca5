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

  /** Makes the waiting reload the current one and returns it; `undefined` when none waits, or another one is current. */
  advance(): Reload | undefined {
    if (this.current !== undefined || this.#next === undefined) return undefined
    this.current = this.#next
    this.#next = undefined
    return this.current
  }

  /** Marks the current reload as failed. Tells whether that is new: a reload fails once. */
  fail(error: Error): boolean {
    if (this.current === undefined || this.current.error !== undefined) return false
    this.current.error = error
    return true
  }

  /** Fails the current reload: the old workers stay, workers of the new generation that are not ready are drained. */
  rollBack(workers: Iterable<WorkerProcess>): void {
    for (const worker of workers) {
      if (worker.outdated === 'reload') worker.outdated = undefined
      else if (worker.state === 'starting' && worker.generation === this.current?.generation)
        worker.outdated = 'rollback'
    }
  }

  /** Rejects the reloads: the fleet stops. */
  cancel(error: Error): void {
    this.#next?.cancel(error)
    this.#next = undefined
    this.fail(error)
  }

  /** Whether a worker that the reload replaces, or has rolled back, is still there. */
  hasLeftOver(workers: Iterable<WorkerProcess>): boolean {
    return [...workers].some(
      ({ outdated, leaving }) => outdated === 'reload' || leaving === 'reload' || leaving === 'rollback',
    )
  }

  /** Counts a worker that has ended in the result of the current reload. */
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
