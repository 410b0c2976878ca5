import type { ConnectionSettings, DriverConnection } from '../connection/driver-connection.js'
import type { Holder } from '../errors.js'

export interface ConnectionBagHooks {
  /** Whether the queue has members: then no connection is closed for being idle. */
  waiting(): boolean
  leak(holder: Holder): void
  /** Called at each period of the bag's timer. */
  maintain(): void
}

/** Connection bag of one server: the open connections, the idle ones among them, their age and their health. */
export class ConnectionBag {
  readonly #settings: ConnectionSettings
  readonly #hooks: ConnectionBagHooks
  readonly #connections = new Set<DriverConnection>()
  /** A stack: the connection used last is taken first, so that surplus ones stay idle and are closed. */
  readonly #idle: DriverConnection[] = []
  readonly #period: number
  #checking = 0
  #timer: NodeJS.Timeout | undefined
  /** The server closes what is quiet for longer, in milliseconds. */
  waitTimeout = Number.POSITIVE_INFINITY

  constructor(settings: ConnectionSettings, hooks: ConnectionBagHooks) {
    this.#settings = settings
    this.#hooks = hooks
    const { leakAfter, idleTimeout } = settings.options
    this.#period = Math.min(1_000, Math.max(20, Math.min(leakAfter || 1_000, idleTimeout || 1_000) / 2))
  }

  get size(): number {
    return this.#connections.size
  }

  get idle(): number {
    return this.#idle.length
  }

  /** Lent out, being checked or being cleaned. */
  get active(): number {
    return this.#connections.size - this.#idle.length
  }

  /** Connections that are being validated; each comes back by itself, or is lost. */
  get checking(): number {
    return this.#checking
  }

  add(connection: DriverConnection, now: number): void {
    const { maxLifetime } = this.#settings.options
    if (maxLifetime !== false) connection.use.expireAt(now + maxLifetime * (0.9 + Math.random() / 10))
    this.#connections.add(connection)
    this.#timer ??= setInterval(() => this.#maintain(), this.#period).unref()
  }

  remove(connection: DriverConnection): void {
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
  }

  /** An idle connection that needs no validation; those that were idle for long are validated instead of handed out. */
  take(now: number): DriverConnection | undefined {
    const { validateAfterIdle } = this.#settings.options
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.use.isExpired(now)) this.#end(connection)
      else if (validateAfterIdle !== false && now - connection.use.since > validateAfterIdle)
        this.#check(connection)
      else return connection
    }
    return undefined
  }

  put(connection: DriverConnection, now: number): void {
    connection.use.putBack(now)
    this.#idle.push(connection)
  }

  /** Closes the connection if it is too old; tells whether it was. */
  retire(connection: DriverConnection, now: number): boolean {
    if (!connection.use.isExpired(now)) return false
    this.#end(connection)
    return true
  }

  retireAll(): void {
    for (const connection of this.#connections) connection.use.expireAt(0)
    for (const connection of this.#idle.splice(0)) this.#end(connection)
  }

  /** Resets the session: rolls back, and undoes what its last user did. */
  async clean(connection: DriverConnection): Promise<void> {
    const { options } = this.#settings
    // After another character set, the driver and the server might not agree about the next one.
    if (!options.session || connection.session.isForeign) throw new Error('the session cannot be reset')
    connection.use.clean()
    await this.#within(connection, connection.reset())
  }

  busy(): DriverConnection[] {
    return [...this.#connections].filter(({ use }) => use.state !== 'idle')
  }

  holders(now: number): Holder[] {
    return this.busy()
      .sort((a, b) => a.use.since - b.use.since)
      .map((connection) => holderOf(connection, now))
  }

  close(): void {
    clearInterval(this.#timer)
    for (const connection of this.#idle.splice(0)) connection.end()
    this.#connections.clear()
  }

  #end(connection: DriverConnection): void {
    this.#connections.delete(connection)
    connection.end()
  }

  #check(connection: DriverConnection): void {
    this.#checking++
    connection.use.check(this.#settings.options.clock.now())
    this.#within(connection, connection.ping())
      .then(
        () => this.put(connection, this.#settings.options.clock.now()),
        () => connection.destroy(),
      )
      .finally(() => {
        this.#checking--
        this.#hooks.maintain()
      })
  }

  /** A connection that does not answer is cut. */
  async #within<T>(connection: DriverConnection, work: Promise<T>): Promise<T> {
    const { deadlines, options } = this.#settings
    const limit = deadlines.after(options.clock.now() + Math.max(100, options.killGrace), () =>
      connection.destroy(),
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
      for (const connection of [...this.#idle]) {
        const quiet = now - connection.use.since
        const spare = this.#connections.size > options.minIdle
        if (
          connection.use.isExpired(now) ||
          (spare && (quiet > idleTimeout || quiet > this.waitTimeout * 0.8))
        ) {
          this.#idle.splice(this.#idle.indexOf(connection), 1)
          this.#end(connection)
        } else if (quiet > this.waitTimeout / 3) {
          this.#idle.splice(this.#idle.indexOf(connection), 1)
          this.#check(connection)
        }
      }
    }
    if (options.leakAfter !== false) this.#reportLeaks(now, options.leakAfter)
    this.#hooks.maintain()
  }

  #reportLeaks(now: number, leakAfter: number): void {
    for (const connection of this.busy()) {
      if (connection.use.isNewLeak(now, leakAfter)) this.#hooks.leak(holderOf(connection, now))
    }
  }
}

function holderOf({ use, session }: DriverConnection, now: number): Holder {
  return { heldMs: now - use.since, sql: use.sql, stack: use.trace, inTransaction: session.inTransaction }
}
