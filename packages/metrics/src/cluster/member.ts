import type { Worker } from 'node:cluster'
import type { Series } from '../series/series.js'
import { KnownSeries } from './known-series.js'

/** One `Metrics` instance of one worker, as the primary knows it. */
export class Member {
  readonly known = new KnownSeries()

  constructor(
    readonly worker: Worker,
    readonly link: string,
  ) {}

  /** Its last known figures. */
  get series(): readonly Series[] {
    return this.known.series
  }

  get connected(): boolean {
    return this.worker.isConnected()
  }
}

/** Instances that are counted per worker. An app has one or two; further ones are ignored. */
const MOST_LINKS = 16

/** A registry of the instances that said hello. A worker without one is neither asked nor waited for. */
export class Members {
  readonly #byWorker = new Map<number, Map<string, Member>>()

  /** Registers an instance; false when it is known already or its worker has too many. */
  add(worker: Worker, link: string): boolean {
    const links = this.#byWorker.get(worker.id) ?? new Map<string, Member>()
    if (links.has(link) || links.size >= MOST_LINKS) return false
    links.set(link, new Member(worker, link))
    this.#byWorker.set(worker.id, links)
    return true
  }

  find(worker: Worker, link: string): Member | undefined {
    return this.#byWorker.get(worker.id)?.get(link)
  }

  /** Removes a member; false when it is not registered. */
  remove({ worker, link }: Member): boolean {
    return this.#byWorker.get(worker.id)?.delete(link) === true
  }

  /** The members of a worker. */
  of(worker: Worker): Member[] {
    return [...(this.#byWorker.get(worker.id)?.values() ?? [])]
  }

  /** Removes the members of a worker and returns them. */
  take(worker: Worker): Member[] {
    const members = this.of(worker)
    this.#byWorker.delete(worker.id)
    return members
  }

  *[Symbol.iterator](): Generator<Member> {
    for (const links of this.#byWorker.values()) yield* links.values()
  }
}
