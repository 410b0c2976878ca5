import type { Link, LinkSettings } from '../connection/driver-connection.js'
import { after } from '../connection/timer.js'
import type { Holder } from '../errors.js'

export interface ShelfHooks {
  /** Whether somebody waits for a connection, so that none is closed for being idle. */
  waiting(): boolean
  leak(holder: Holder): void
  /** Called now and then. */
  maintain(): void
}

/** The open connections of a node: which are idle, how old they are, whether they still work. */
export class Shelf {
  readonly #settings: LinkSettings
  readonly #hooks: ShelfHooks
  readonly #links = new Set<Link>()
  /** Used last, taken first: so that those not needed grow old. */
  readonly #idle: Link[] = []
  readonly #period: number
  #checking = 0
  #timer: NodeJS.Timeout | undefined
  /** The server closes what is quiet for longer, in milliseconds. */
  waitTimeout = Number.POSITIVE_INFINITY

  constructor(settings: LinkSettings, hooks: ShelfHooks) {
    this.#settings = settings
    this.#hooks = hooks
    const { leakAfter, idleTimeout } = settings.options
    this.#period = Math.min(1_000, Math.max(20, Math.min(leakAfter || 1_000, idleTimeout || 1_000) / 2))
  }

  get size(): number {
    return this.#links.size
  }

  get idle(): number {
    return this.#idle.length
  }

  /** Lent out, being checked or being cleaned. */
  get active(): number {
    return this.#links.size - this.#idle.length
  }

  /** Asked whether they still work; they come back by themselves, or are lost. */
  get checking(): number {
    return this.#checking
  }

  add(link: Link, now: number): void {
    const { maxLifetime } = this.#settings.options
    if (maxLifetime !== false) link.expiresAt = now + maxLifetime * (0.9 + Math.random() / 10)
    this.#links.add(link)
    this.#timer ??= setInterval(() => this.#maintain(), this.#period).unref()
  }

  remove(link: Link): void {
    this.#links.delete(link)
    const at = this.#idle.indexOf(link)
    if (at !== -1) this.#idle.splice(at, 1)
  }

  /** A connection that works, as far as can be told without asking it. Those that were idle for long are asked first. */
  take(now: number): Link | undefined {
    const { validateAfterIdle } = this.#settings.options
    for (let link = this.#idle.pop(); link !== undefined; link = this.#idle.pop()) {
      if (now >= link.expiresAt) this.#end(link)
      else if (validateAfterIdle !== false && now - link.idleSince > validateAfterIdle) this.#check(link)
      else return link
    }
    return undefined
  }

  put(link: Link, now: number): void {
    link.idleSince = now
    this.#idle.push(link)
  }

  /** Closes a connection that is too old, and tells so. */
  retire(link: Link, now: number): boolean {
    if (now < link.expiresAt) return false
    this.#end(link)
    return true
  }

  retireAll(): void {
    for (const link of this.#links) link.expiresAt = 0
    for (const link of this.#idle.splice(0)) this.#end(link)
  }

  /** Rolls back, and undoes what the last user did to the session. */
  async clean(link: Link): Promise<void> {
    const { options } = this.#settings
    // After another character set, the driver and the server might not agree about the next one.
    if (!options.session || link.text.foreign) throw new Error('the session cannot be reset')
    await this.#within(link, link.reset())
  }

  busy(): Link[] {
    return [...this.#links].filter((link) => !this.#idle.includes(link))
  }

  holders(now: number): Holder[] {
    return this.busy()
      .sort((a, b) => a.heldSince - b.heldSince)
      .map((link) => holderOf(link, now))
  }

  close(): void {
    clearInterval(this.#timer)
    for (const link of this.#idle.splice(0)) link.end()
    this.#links.clear()
  }

  #end(link: Link): void {
    this.#links.delete(link)
    link.end()
  }

  #check(link: Link): void {
    this.#checking++
    link.heldSince = this.#settings.options.clock.now()
    link.leakReported = true
    this.#within(link, link.ping())
      .then(
        () => this.put(link, this.#settings.options.clock.now()),
        () => link.destroy(),
      )
      .finally(() => {
        this.#checking--
        this.#hooks.maintain()
      })
  }

  /** A connection that does not answer is cut. */
  async #within<T>(link: Link, work: Promise<T>): Promise<T> {
    const { deadlines, options } = this.#settings
    const limit = after(deadlines, options.clock.now() + Math.max(100, options.killGrace), () =>
      link.destroy(),
    )
    try {
      return await work
    } finally {
      deadlines.remove(limit)
    }
  }

  #maintain(): void {
    const { options } = this.#settings
    const now = options.clock.now()
    const idleTimeout = options.idleTimeout === false ? Number.POSITIVE_INFINITY : options.idleTimeout
    if (!this.#hooks.waiting()) {
      // The coldest stand first.
      for (const link of [...this.#idle]) {
        const quiet = now - link.idleSince
        const spare = this.#links.size > options.minIdle
        if (now >= link.expiresAt || (spare && (quiet > idleTimeout || quiet > this.waitTimeout * 0.8))) {
          this.#idle.splice(this.#idle.indexOf(link), 1)
          this.#end(link)
        } else if (quiet > this.waitTimeout / 3) {
          this.#idle.splice(this.#idle.indexOf(link), 1)
          this.#check(link)
        }
      }
    }
    if (options.leakAfter !== false) this.#reportLeaks(now, options.leakAfter)
    this.#hooks.maintain()
  }

  #reportLeaks(now: number, leakAfter: number): void {
    for (const link of this.busy()) {
      if (link.leakReported || now - link.heldSince < leakAfter) continue
      link.leakReported = true
      this.#hooks.leak(holderOf(link, now))
    }
  }
}

function holderOf({ heldSince, sql, stack, inTransaction }: Link, now: number): Holder {
  return { heldMs: now - heldSince, sql, stack: stack?.(), inTransaction }
}
