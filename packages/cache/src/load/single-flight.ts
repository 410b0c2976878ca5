import { caller, drainWithin, LinkedList } from '@spillway/kit'
import { copyFor, freshnessOf, type L1Entry } from '../entry/entry.js'
import type { ResolvedCall } from '../options.js'
import type { CacheContext } from '../tiers/cache-context.js'
import { InFlightLoad } from './in-flight-load.js'
import type { Loader } from './loader.js'
import { ReadThrough } from './read-through.js'
import { asking, refuseCycle } from './run-loader.js'

/** What one caller asks for. */
export interface LoadRequest {
  readonly key: string
  readonly loader: Loader<unknown>
  readonly call: ResolvedCall
  readonly signal: AbortSignal | undefined
  /** Asks the cache again. */
  readonly again: () => Promise<unknown>
  /** Load although a fresh entry is there. */
  readonly anew: boolean
}

/** Singleflight: the table of the loads under way in this process, at most one that callers may join per key. */
export class SingleFlight {
  readonly #context: CacheContext
  readonly #readThrough: ReadThrough
  readonly #table = new Map<string, InFlightLoad>()
  /** The loads that are not finished; some are not in the table any more. */
  readonly #underWay = new LinkedList<InFlightLoad>()
  #onIdle: (() => void) | undefined

  constructor(context: CacheContext) {
    this.#context = context
    this.#readThrough = new ReadThrough(context, {
      detach: (load) => this.#detach(load),
      finished: (load) => this.#finish(load),
    })
  }

  /** Loads under way. */
  get size(): number {
    return this.#underWay.size
  }

  /** Joins the load of the key, or begins one. @param stale an entry that may be served when the load fails or takes long */
  join(
    { key, loader, call, signal, again, anew }: LoadRequest,
    stale: L1Entry | undefined,
  ): Promise<unknown> {
    const { fence, counters } = this.#context
    const asker = asking()
    const found = this.#current(key)
    if (found !== undefined && !anew && this.#staleSuffices(found, call)) {
      counters.stale++
      return Promise.resolve(copyFor(found.stale!))
    }
    refuseCycle(asker, this, key, found)
    if (found !== undefined) counters.joins++
    const load = found ?? this.#create(key, loader, call, stale, asker)
    if (found === undefined && anew) load.replace('any')
    const answer = load.join(fence.clock, signal, found === undefined ? again : here(again), this.#abandon)
    if (found === undefined) this.#start(load)
    if (asker === undefined) return answer
    asker.waitsFor.add(load)
    return answer.finally(() => asker.waitsFor.delete(load))
  }

  /** Begins a load that no caller waits for, unless one is under way. @param replaces the id of an entry that is fresh */
  refresh(key: string, loader: Loader<unknown>, call: ResolvedCall, stale: L1Entry, replaces?: string): void {
    if (this.#current(key) !== undefined) return
    const load = this.#create(key, loader, call, stale, undefined)
    load.toBackground()
    load.replace(replaces)
    this.#start(load)
  }

  /** The key was written or deleted: a load under way serves the callers that wait for it, and no later one. */
  keyChanged(key: string): void {
    const load = this.#table.get(key)
    if (load !== undefined) this.#supersede(load, false)
  }

  allChanged(): void {
    for (const load of [...this.#table.values()]) this.#supersede(load, true)
  }

  /** Tags were invalidated: their loads that began before hold up no later caller, here or on other nodes. */
  tagsChanged(): void {
    for (const load of [...this.#table.values()]) if (!this.#isCurrent(load)) this.#supersede(load, true)
  }

  /** Waits for the loads under way, and aborts those that are left after the time. */
  async close(options: Parameters<typeof drainWithin>[1], reason: Error): Promise<void> {
    if (this.#underWay.size > 0) {
      await drainWithin(new Promise<void>((resolve) => (this.#onIdle = resolve)), options, '5s')
    }
    for (const load of this.#underWay) {
      load.abort.abort(reason)
      load.fail(reason)
    }
  }

  /** Whether the entry that is being replaced is good enough for a caller. */
  #staleSuffices({ stale, isSlow }: InFlightLoad, call: ResolvedCall): boolean {
    const { fence, options } = this.#context
    if (stale === undefined || !fence.current(stale.clock, stale.tags)) return false
    const freshness = freshnessOf(stale, call, options.clock.now(), false)
    return freshness === 'fresh' || freshness === 'revalidate' || (isSlow && freshness === 'failover')
  }

  /** The load that a caller may join: none that began before one of its tags was invalidated. */
  #current(key: string): InFlightLoad | undefined {
    const found = this.#table.get(key)
    if (found === undefined || this.#isCurrent(found)) return found
    this.#supersede(found, true)
    return undefined
  }

  #isCurrent({ mark, call }: InFlightLoad): boolean {
    return this.#context.fence.current(mark.clock, call.tags)
  }

  #supersede(load: InFlightLoad, keepsLease: boolean): void {
    this.#table.delete(load.key)
    load.supersede(keepsLease)
  }

  #create(
    key: string,
    loader: Loader<unknown>,
    call: ResolvedCall,
    stale: L1Entry | undefined,
    parent: InFlightLoad | undefined,
  ): InFlightLoad {
    const load = new InFlightLoad(this, key, loader, call, this.#context.fence.mark(key), parent)
    load.offer(stale)
    this.#table.set(key, load)
    return load
  }

  #start(load: InFlightLoad): void {
    this.#underWay.add(load)
    this.#readThrough.start(load)
  }

  #finish(load: InFlightLoad): void {
    this.#detach(load)
    load.finish()
    this.#underWay.delete(load)
    if (this.#underWay.size === 0) this.#onIdle?.()
  }

  /** The last caller has gone: the loader is told to stop, and the next caller begins a new load. */
  readonly #abandon = (load: InFlightLoad): void => {
    this.#detach(load)
    load.abort.abort()
  }

  /** Later callers do not join this load. */
  #detach(load: InFlightLoad): void {
    if (this.#table.get(load.key) === load) this.#table.delete(load.key)
  }
}

/**
 * A caller that joins a load may be sent to ask again when the load ends, which it does in the async context of the caller that
 * began it: the loader of the caller that joined must find its own context.
 */
function here(again: () => Promise<unknown>): () => Promise<unknown> {
  const joined = caller()
  return () => joined.runInAsyncScope(again)
}
