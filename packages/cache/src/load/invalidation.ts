import { channels } from '../channels.js'
import { EVERYTHING, epochName } from '../entry/frame.js'
import type { BusListener, Tier } from '../store.js'
import type { CacheContext } from '../tiers/cache-context.js'
import type { GuardedTier, Send } from '../tiers/guarded-tier.js'
import type { PendingInvalidations } from '../tiers/recovery-queue.js'
import type { SingleFlight } from './single-flight.js'

/**
 * Makes entries invalid: here, in the store, and through the bus on all other nodes. What does not reach the store
 * goes to its journal.
 *
 * Each change is made known here twice, before it is sent and after it is acknowledged: in between, somebody may have
 * read the old entry from the store.
 */
export class Invalidation implements BusListener {
  readonly #context: CacheContext
  readonly #singleFlight: SingleFlight

  constructor(context: CacheContext, singleFlight: SingleFlight) {
    this.#context = context
    this.#singleFlight = singleFlight
  }

  async keys(keys: readonly string[]): Promise<void> {
    const { l2, bus } = this.#context
    const touch = () => {
      for (const key of keys) this.touch(key)
    }
    touch()
    const parts = l2 === undefined ? [] : [...l2.split(keys)]
    const sent = parts.map(([guard, names]) => {
      const message = bus.write({ kind: 'keys', names })
      return this.#send(
        guard,
        (tier) => tier.remove(names, message),
        () => {
          for (const key of names) guard.recovery.key(key)
        },
      )
    })
    const queued = await Promise.all(sent)
    touch()
    this.#announce('key', keys.length, queued)
  }

  async tags(tags: readonly string[]): Promise<void> {
    const { l2, bus, fence } = this.#context
    const touch = () => {
      for (const tag of tags) fence.touchTag(tag)
      this.#singleFlight.tagsChanged()
    }
    touch()
    const sent = tags.flatMap((tag) => {
      const message = bus.write({ kind: 'tags', names: [tag] })
      return (l2?.guards ?? []).map((guard) =>
        this.#send(
          guard,
          (tier) => tier.bump(epochName(tag), message),
          () => guard.recovery.tag(tag),
        ),
      )
    })
    const queued = await Promise.all(sent)
    touch()
    this.#announce('tag', tags.length, queued)
  }

  async everything(): Promise<void> {
    const { l2, bus } = this.#context
    this.touchEverything()
    const message = bus.write({ kind: 'all' })
    const sent = (l2?.guards ?? []).map((guard) =>
      this.#send(
        guard,
        (tier) => tier.bump(EVERYTHING, message),
        () => guard.recovery.all(),
      ),
    )
    const queued = await Promise.all(sent)
    this.touchEverything()
    this.#announce('all', 1, queued)
  }

  /** The key has changed: nothing that was read or begun before is kept, nor served to later callers. */
  touch(key: string): void {
    const { fence, l1, failures } = this.#context
    fence.touch(key)
    l1.delete(key)
    failures.forget(key)
    this.#singleFlight.keyChanged(key)
  }

  touchEverything(): void {
    const { fence, l1, failures } = this.#context
    fence.touchAll()
    l1.clear()
    failures.clear()
    this.#singleFlight.allChanged()
  }

  /** Tells the store what it missed; rejects when it cannot. */
  async replay({ keys, tags, all }: PendingInvalidations, send: Send): Promise<void> {
    const { bus } = this.#context
    if (all) await send((tier) => tier.bump(EVERYTHING, bus.write({ kind: 'all' })))
    for (let i = 0; i < keys.length; i += REPLAY_BATCH) {
      const batch = keys.slice(i, i + REPLAY_BATCH)
      await send((tier) => tier.remove(batch, bus.write({ kind: 'keys', names: batch })))
    }
    for (const tag of tags) {
      await send((tier) => tier.bump(epochName(tag), bus.write({ kind: 'tags', names: [tag] })))
    }
  }

  message(text: string): void {
    const event = this.#context.bus.read(text)
    if (event === undefined) return
    if (event.kind === 'all') this.touchEverything()
    else if (event.kind === 'tags') {
      for (const tag of event.names) this.#context.fence.touchTag(tag)
      this.#singleFlight.tagsChanged()
    } else {
      for (const key of event.names) {
        this.touch(key)
        this.#context.bus.wake(key)
      }
    }
  }

  gap(): void {
    if (!this.#context.bus.healthy) return
    this.#context.bus.healthy = false
    this.#context.fence.doubtAll()
    channels.gap.publish(() => ({ cache: this.#context.options.name, healed: false }))
  }

  healed(): void {
    if (this.#context.bus.healthy) return
    this.#context.bus.healthy = true
    // Also what was read just before: a message about it may have come too early for us to hear.
    this.#context.fence.doubtAll()
    channels.gap.publish(() => ({ cache: this.#context.options.name, healed: true }))
  }

  /** True when it did not reach the server and was queued. */
  async #send(guard: GuardedTier, work: (tier: Tier) => Promise<void>, queue: () => void): Promise<boolean> {
    if (guard.opening !== undefined) await guard.opening
    try {
      await guard.run(work)
      return false
    } catch (error) {
      queue()
      guard.probe()
      channels.reject.publish(() => ({ cache: this.#context.options.name, reason: 'store', error }))
      return true
    }
  }

  #announce(what: 'key' | 'tag' | 'all', count: number, queued: readonly boolean[]): void {
    const { counters, options } = this.#context
    counters.invalidations += what === 'key' ? 1 : count
    channels.invalidate.publish(() => ({ cache: options.name, what, count, queued: queued.includes(true) }))
  }
}

const REPLAY_BATCH = 500
