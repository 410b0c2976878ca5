import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { PoisonWatch } from './poison-watch.js'

/** Weight of the newest run in the running mean. */
const WEIGHT = 0.2

/** Statistics of one function, over all tasks that were made of it. */
export class TaskRunStats {
  /** Name of the function; with its file when another module has one of that name. */
  readonly label: string
  readonly poison: PoisonWatch | undefined
  readonly run: RecordableHistogram = createHistogram()
  completed = 0
  /** Calls on threads. */
  running = 0
  failed = 0
  /** Running mean of the run time in milliseconds; `undefined` before the first run. */
  meanRun: number | undefined

  constructor(label: string, poison: PoisonWatch | undefined) {
    this.label = label
    this.poison = poison
  }

  record(milliseconds: number): void {
    this.run.record(Math.max(1, Math.round(milliseconds * 1_000)))
    this.meanRun =
      this.meanRun === undefined ? milliseconds : this.meanRun + WEIGHT * (milliseconds - this.meanRun)
  }
}

/** Registry of the statistics of an offloader, one per function. */
export class TaskRunStatsRegistry implements Iterable<TaskRunStats> {
  readonly #byFunction = new Map<string, TaskRunStats>()
  readonly #labels = new Set<string>()
  readonly #watch: () => PoisonWatch | undefined

  constructor(watch: () => PoisonWatch | undefined) {
    this.#watch = watch
  }

  of(href: string, name: string): TaskRunStats {
    const key = `${href}#${name}`
    let taskRuns = this.#byFunction.get(key)
    if (taskRuns === undefined) {
      taskRuns = new TaskRunStats(this.#label(href, name), this.#watch())
      this.#byFunction.set(key, taskRuns)
    }
    return taskRuns
  }

  [Symbol.iterator](): IterableIterator<TaskRunStats> {
    return this.#byFunction.values()
  }

  #label(href: string, name: string): string {
    const file = href.slice(href.lastIndexOf('/') + 1)
    const label = [name, `${name} (${file})`].find((one) => !this.#labels.has(one)) ?? `${name} (${href})`
    this.#labels.add(label)
    return label
  }
}
