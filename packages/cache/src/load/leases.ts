import { sleep } from '@spillway/kit'
import { channels } from '../channels.js'
import type { CacheContext } from '../tiers/cache-context.js'
import type { L2Read, LoadLease } from '../tiers/l2.js'

/** How many milliseconds to wait for the process that is loading before asking again, when no message comes. */
export const POLL = { first: 10, last: 50, withBus: 250 }

/** Client of the leases: asks for them, waits for those of other processes, renews them and gives them back. Failures of the store are published, never thrown. */
export class Leases {
  readonly #context: CacheContext

  constructor(context: CacheContext) {
    this.#context = context
  }

  /** `undefined`: the store is away, load without a lease. */
  async ask(key: string, look: L2Read): Promise<LoadLease | 'busy' | 'changed' | undefined> {
    const { l2, options, counters } = this.#context
    try {
      const granted = await l2!.acquire(key, options.lease, look)
      if (granted === 'busy') counters.leaseWaits++
      if (granted !== 'changed') this.tell(granted === 'busy' ? 'busy' : 'acquired')
      return granted
    } catch (error) {
      this.#storeFailed(error)
      return undefined
    }
  }

  /** Resolves when another node says that the key has changed, or after the pause. Rejects on abort. */
  async change(key: string, pause: number, signal: AbortSignal): Promise<void> {
    const { bus } = this.#context
    const woken = new AbortController()
    const stop = bus.onChange(key, () => woken.abort())
    const milliseconds = (bus.healthy ? POLL.withBus : pause) * (0.75 + Math.random() / 2)
    try {
      await sleep(milliseconds, { signal: AbortSignal.any([signal, woken.signal]), ref: true })
    } catch {
      signal.throwIfAborted()
    } finally {
      stop()
    }
  }

  async renew({ lease }: LoadLease): Promise<void> {
    const { l2, options } = this.#context
    try {
      const held = await l2!.guardOf(lease.key).run((tier) => tier.renew(lease, options.lease))
      if (!held) this.tell('lost')
    } catch (error) {
      this.#storeFailed(error)
    }
  }

  /** Whether nobody wrote or deleted the key since the lease was given. */
  async unchanged(permit: LoadLease | undefined): Promise<boolean> {
    if (permit === undefined) return true
    const { l2, options } = this.#context
    const { lease } = permit
    return l2!
      .guardOf(lease.key)
      .run((tier) => tier.renew(lease, options.lease))
      .catch(() => true)
  }

  giveBack(permit: LoadLease | undefined): void {
    if (permit === undefined) return
    this.#context
      .l2!.guardOf(permit.lease.key)
      .run((tier) => tier.release(permit.lease))
      .catch((error) => this.#storeFailed(error))
  }

  /** Publishes what became of a lease. */
  tell(event: 'acquired' | 'busy' | 'lost' | 'voided'): void {
    channels.lease.publish(() => ({ cache: this.#context.options.name, event }))
  }

  #storeFailed(error: unknown): void {
    channels.reject.publish(() => ({ cache: this.#context.options.name, reason: 'store', error }))
  }
}
