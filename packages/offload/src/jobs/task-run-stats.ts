import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { PoisonWatch } from './poison-watch.js'

/** Weight of the newest run in the running mean. */
const WEIGHT = 0.2

/** What has been seen of one function, whichever tasks were made of it. */
export class Track {
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

/** The tracks of an offloader, one per function. */
export class Tracks implements Iterable<Track> {
  readonly #byFunction = new Map<string, Track>()
  readonly #labels = new Set<string>()
  readonly #watch: () => PoisonWatch | undefined

  constructor(watch: () => PoisonWatch | undefined) {
    this.#watch = watch
  }

  of(href: string, name: string): Track {
    const key = `${href}#${name}`
    let track = this.#byFunction.get(key)
    if (track === undefined) {
      track = new Track(this.#label(href, name), this.#watch())
      this.#byFunction.set(key, track)
    }
    return track
  }

  [Symbol.iterator](): IterableIterator<Track> {
    return this.#byFunction.values()
  }

  #label(href: string, name: string): string {
    const file = href.slice(href.lastIndexOf('/') + 1)
    const label = [name, `${name} (${file})`].find((one) => !this.#labels.has(one)) ?? `${name} (${href})`
    this.#labels.add(label)
    return label
  }
}
