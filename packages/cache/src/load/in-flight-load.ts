import { type Linked, offAbort, onAbort } from '@spillway/kit'
import type { Mark } from '../coherence/fence.js'
import { copyFor, type L1Entry, moveOut } from '../entry/entry.js'
import type { ResolvedCall } from '../options.js'
import type { Loader } from './loader.js'

/** A caller that waits for a load. */
interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** Asks the cache again, when the value of this load may be too old for a caller that came late. */
  readonly again: () => Promise<unknown>
  readonly signal: AbortSignal | undefined
  readonly stop: (() => void) | undefined
  /** The fence's clock when the caller came. */
  readonly clock: number
}

/**
 * Where a load stands.
 *
 * | from                | method      | to           |
 * | ------------------- | ----------- | ------------ |
 * | reading, superseded | `load`      | `loading`    |
 * | reading, loading    | `supersede` | `superseded` |
 * | all                 | `finish`    | `finished`   |
 *
 * - `reading`: the second tier is asked, perhaps again and again while another process loads.
 * - `loading`: the loader runs, or its value is being written.
 * - `superseded`: the key or one of its tags was invalidated. The value goes to the callers that wait, and is not stored.
 *   A loader that begins later has read nothing yet: its load counts as a new one.
 * - `finished`: every caller has its answer.
 */
type State = 'reading' | 'loading' | 'superseded' | 'finished'

/**
 * In-flight load of the singleflight pattern: one read and load of one key, and the callers that wait for it. Its fields
 * change by its methods only.
 */
export class InFlightLoad implements Linked {
  /**
   * One instance stays alive. When a full collection finds none, V8 drops the hidden class of these objects with all the code
   * that it has optimized for them: the hits of the next second would take twice the CPU (`docs/decisions/cache.md`).
   */
  static readonly kept = new InFlightLoad(
    {},
    '',
    async () => {},
    Object.create(null),
    { generation: 0, clock: 0 },
    undefined,
  )

  /** Neighbours in the list of all loads under way. */
  next: this | undefined
  previous: this | undefined
  /** The table that it stands in. */
  readonly owner: object
  readonly key: string
  readonly loader: Loader<unknown>
  readonly call: ResolvedCall
  /** The load whose loader asked for this one. */
  readonly parent: InFlightLoad | undefined
  #state: State = 'reading'
  #mark: Mark
  #stale: L1Entry | undefined
  #background = false
  #softTimeoutPassed = false
  #replaces: string | undefined
  #releaseLease: (() => void) | undefined
  #softTimer: NodeJS.Timeout | undefined
  #waiters: Waiter[] = []
  #abort: LazyAbort | undefined
  #waitsFor: Set<InFlightLoad> | undefined

  /** @param mark what the fence says now */
  constructor(
    owner: object,
    key: string,
    loader: Loader<unknown>,
    call: ResolvedCall,
    mark: Mark,
    parent: InFlightLoad | undefined,
  ) {
    this.owner = owner
    this.key = key
    this.loader = loader
    this.call = call
    this.#mark = mark
    this.parent = parent
  }

  get isSuperseded(): boolean {
    return this.#state === 'superseded'
  }

  get isFinished(): boolean {
    return this.#state === 'finished'
  }

  /** What the fence said before the latest read, or before the load. */
  get mark(): Mark {
    return this.#mark
  }

  /** The entry that may be served when the load fails or takes long. */
  get stale(): L1Entry | undefined {
    return this.#stale
  }

  /** It goes on although no caller waits. */
  get isBackground(): boolean {
    return this.#background
  }

  /** Callers that may have the stale entry need not wait any more. */
  get isSlow(): boolean {
    return this.#softTimeoutPassed
  }

  /** The id of a fresh entry that is loaded anew all the same; `'any'`: the entry that is found first. */
  get replaces(): string | undefined {
    return this.#replaces
  }

  /** The loads that this one's loader waits for. */
  get waitsFor(): Set<InFlightLoad> {
    this.#waitsFor ??= new Set()
    return this.#waitsFor
  }

  get abort(): LazyAbort {
    this.#abort ??= new LazyAbort()
    return this.#abort
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /** An entry is there that may be served meanwhile; `undefined`: there is none. */
  offer(stale: L1Entry | undefined): void {
    this.#stale = stale
  }

  /** The entry that stands in the second tier is to be replaced, however fresh. @param id `'any'`: the one that is found */
  replace(id: string | undefined): void {
    this.#replaces = id
  }

  /** Nobody needs to wait for the rest: it goes on for the next callers. */
  toBackground(): void {
    this.#background = true
  }

  /** The time is over that callers wait who may have the stale entry. */
  becomeSlow(): void {
    this.#background = true
    this.#softTimeoutPassed = true
  }

  /** @param soft ends the patience of the callers that may have the stale entry */
  begin(soft: NodeJS.Timeout | undefined): void {
    this.#softTimer = soft
  }

  /** A read begins. @param mark what the fence says now */
  read(mark: Mark): void {
    this.#mark = mark
  }

  /**
   * The loader begins. What was invalidated before does not matter: the loader has not read anything yet.
   *
   * @param mark what the fence says now
   * @param releaseLease gives the lease back, so that another process may load
   */
  load(mark: Mark, releaseLease: (() => void) | undefined): void {
    this.#state = 'loading'
    this.#mark = mark
    this.#releaseLease = releaseLease
  }

  /** The loader has ended; the lease is given back by writing, or in its own time. */
  loaded(): void {
    this.#releaseLease = undefined
  }

  /**
   * The key or one of its tags was invalidated: the value serves the callers that wait now, and is not stored.
   *
   * @param keepsLease a deleted key has lost its lease in the store; after a tag it must be given back
   */
  supersede(keepsLease: boolean): void {
    if (this.#state === 'finished') return
    this.#state = 'superseded'
    if (keepsLease) this.#releaseLease?.()
    if (keepsLease) this.#releaseLease = undefined
  }

  /** Everything is over. The table may outlive this object, and keep alive what it points to. */
  finish(): void {
    this.#state = 'finished'
    clearTimeout(this.#softTimer)
    this.#stale = undefined
    // Callers that came while the last answers were given.
    this.redirect()
  }

  /** @param left called when the last waiter has gone and the load is of no use any more */
  join(
    clock: number,
    signal: AbortSignal | undefined,
    again: () => Promise<unknown>,
    left: (load: InFlightLoad) => void,
  ): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const stop =
        signal &&
        (() => {
          const at = this.#waiters.indexOf(waiter)
          if (at === -1) return
          this.#waiters.splice(at, 1)
          reject(signal.reason)
          if (this.#waiters.length === 0 && !this.#background) left(this)
        })
      const waiter: Waiter = { resolve, reject, again, signal, stop, clock }
      if (signal && stop) onAbort(signal, stop)
      this.#waiters.push(waiter)
    })
  }

  /**
   * Answers all callers. A caller that came after the fence's clock stood at `upTo` asks again, since the value may be too
   * old for it.
   *
   * @param last no later caller gets this entry
   */
  settle(entry: L1Entry, upTo = Number.POSITIVE_INFINITY, last = false): void {
    const waiters = this.#take()
    for (let i = 0; i < waiters.length; i++) {
      const { resolve, clock, again } = waiters[i]!
      if (clock > upTo) resolve(again())
      // All copies are made before any caller sees the value itself.
      else resolve(last && i === waiters.length - 1 ? moveOut(entry) : copyFor(entry))
    }
  }

  /** Answers all callers with a value that is not kept. */
  settleRaw(value: unknown): void {
    for (const { resolve } of this.#take()) resolve(value)
  }

  /** Answers the caller that began: no invalidation that ended before it came can be missing from the value. */
  settleFirst(entry: L1Entry): void {
    const first = this.#waiters.shift()
    if (first === undefined) return
    release(first)
    first.resolve(moveOut(entry))
  }

  /** Sends the callers that still wait back to the cache. */
  redirect(): void {
    for (const { resolve, again } of this.#take()) resolve(again())
  }

  fail(error: unknown): void {
    for (const waiter of this.#take()) waiter.reject(error)
  }

  #take(): Waiter[] {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) release(waiter)
    return waiters
  }
}

function release({ signal, stop }: Waiter): void {
  if (signal && stop) offAbort(signal, stop)
}

/**
 * Lazy `AbortController`: one is made only when a loader asks for its signal, which most never do, and which costs more than
 * a whole hit.
 */
class LazyAbort {
  #controller: AbortController | undefined
  #listener: ((reason: unknown) => void) | undefined
  #reason: unknown
  /** It has been aborted. */
  done = false

  get reason(): unknown {
    return this.#reason
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.done) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Calls back when it is aborted; one listener at a time. Returns how to stop listening. */
  listen(listener: (reason: unknown) => void): () => void {
    this.#listener = listener
    return () => {
      if (this.#listener === listener) this.#listener = undefined
    }
  }

  /** Counts once. */
  abort(reason: unknown = new DOMException('This operation was aborted', 'AbortError')): void {
    if (this.done) return
    this.done = true
    this.#reason = reason
    this.#controller?.abort(reason)
    this.#listener?.(reason)
  }
}
