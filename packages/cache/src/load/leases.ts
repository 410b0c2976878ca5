import { sleep } from '@spillway/kit'
import { channels } from '../channels.js'
import { randomBytes } from '../entry/random-pool.js'
import type { Parts } from '../tiers/cache-context.js'
import type { Look, Permit } from '../tiers/l2.js'

/** How many milliseconds to wait for the process that is loading before asking again, when no message comes. */
export const POLL = { first: 10, last: 50, withBus: 250 }

/** Asks for leases, waits for those of others, renews them and gives them back. A store that fails is told of only. */
export class Leases {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** `undefined`: the store is away, load without a lease. */
  async ask(key: string, look: Look): Promise<Permit | 'busy' | 'changed' | undefined> {
    const { second, options, counters } = this.#parts
    const token = randomBytes(16).toString('base64url')
    try {
      const granted = await second!.acquire(key, token, options.lease, look)
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
    const { bus } = this.#parts
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

  async renew({ lease }: Permit): Promise<void> {
    const { second, options } = this.#parts
    try {
      const held = await second!.guardOf(lease.key).run((tier) => tier.renew(lease, options.lease))
      if (!held) this.tell('lost')
    } catch (error) {
      this.#storeFailed(error)
    }
  }

  /** Whether nobody wrote or deleted the key since the lease was given. */
  async unchanged(permit: Permit | undefined): Promise<boolean> {
    if (permit === undefined) return true
    const { second, options } = this.#parts
    const { lease } = permit
    return second!
      .guardOf(lease.key)
      .run((tier) => tier.renew(lease, options.lease))
      .catch(() => true)
  }

  giveBack(permit: Permit | undefined): void {
    if (permit === undefined) return
    this.#parts
      .second!.guardOf(permit.lease.key)
      .run((tier) => tier.release(permit.lease))
      .catch((error) => this.#storeFailed(error))
  }

  /** Publishes what became of a lease. */
  tell(event: 'acquired' | 'busy' | 'lost' | 'voided'): void {
    channels.lease.publish(() => ({ cache: this.#parts.options.name, event }))
  }

  #storeFailed(error: unknown): void {
    channels.reject.publish(() => ({ cache: this.#parts.options.name, reason: 'store', error }))
  }
}
