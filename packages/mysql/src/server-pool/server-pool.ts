import { type Caller, type Clock, LinkedList, type RejectedError, shareOf } from '@spillway/kit'
import type { Deadlines } from '../connection/deadlines.js'
import type { ConnectionSettings, DriverConnection } from '../connection/driver-connection.js'
import type { PendingAcquire } from '../connection/pending-acquire.js'
import type { Server } from '../connection/servers.js'
import { MysqlAcquireTimeoutError, MysqlClosedError, MysqlTimeoutError } from '../errors.js'
import type { PoolOptions } from '../options.js'
import { Admission } from './admission.js'
import { ConnectionBag } from './connection-bag.js'
import { Connector } from './connector.js'
import { ControlConnection } from './control-connection.js'
import { type NodeStats, ServerPoolMeter } from './node-stats.js'
import type { ServerPoolHooks } from './server-pool-hooks.js'
import { warnOnce } from './warn-once.js'

/** Pool of one server: its connections, the queue of acquires (first in, first out), acquire, release and drain. */
export class ServerPool {
  readonly name: string
  readonly pool: string
  readonly limit: number
  readonly clock: Clock
  readonly #hooks: ServerPoolHooks<ServerPool>
  readonly #settings: ConnectionSettings
  /** Acquires in the order of their arrival. */
  readonly #queue = new LinkedList<PendingAcquire>()
  readonly #bag: ConnectionBag
  readonly #connector: Connector
  readonly #control: ControlConnection
  readonly #admission: Admission
  #isReachable = true
  #draining = false
  #drained: (() => void) | undefined
  readonly #meter: ServerPoolMeter

  constructor(
    readonly server: Server,
    readonly options: PoolOptions,
    readonly deadlines: Deadlines,
    hooks: ServerPoolHooks<ServerPool>,
  ) {
    this.name = server.name
    this.pool = options.name
    this.clock = options.clock
    this.#meter = new ServerPoolMeter(this.pool, this.name)
    this.limit = options.shareConnections ? shareOf(options.connectionLimit) : options.connectionLimit
    this.#hooks = hooks
    this.#admission = new Admission(server.name, options, this.#meter)
    const side = { server, options, deadlines, degraded: warnOnce((message) => hooks.warning(this, message)) }
    this.#settings = { ...side, lost: (connection) => this.#lost(connection) }
    this.#bag = new ConnectionBag(this.#settings, {
      waiting: () => this.#queue.size > 0,
      leak: (holder) => hooks.leak(this, holder),
      maintain: () => this.#maintain(),
    })
    this.#connector = new Connector(this.#settings, this.limit, {
      opened: (connection) => this.#opened(connection),
      failed: () => this.#dialFailed(),
      retry: () => this.#maintain(),
    })
    this.#control = new ControlConnection(side)
  }

  /** How a side connection to this server is opened. */
  get sideSettings(): Omit<ConnectionSettings, 'lost'> {
    return this.#settings
  }

  /** Prepared statements that one connection may have. */
  get statementBudget(): number {
    const { statements } = this.#connector.variables
    return Math.max(
      1,
      Math.floor(Math.min(this.options.preparedStatements ?? statements, statements) / this.limit),
    )
  }

  get rollsBackOnLockTimeout(): boolean {
    return this.#connector.variables.rollsBackOnLockTimeout
  }

  get waiting(): number {
    return this.#queue.size
  }

  get active(): number {
    return this.#bag.active
  }

  /** Whether it can be expected to answer: it has a connection, or its last failure is some time ago. */
  get reachable(): boolean {
    return this.#bag.size > 0 || !this.#connector.pausing(this.clock.now())
  }

  /** A free connection, unless there is none or the queue has members. */
  take(now: number): DriverConnection | undefined {
    const connection = this.#draining || this.#queue.size > 0 ? undefined : this.#bag.take(now)
    if (connection !== undefined) this.#lent(connection, 0, now)
    return connection
  }

  /** Grants the acquire a connection, now or when one is free, or refuses it. */
  submit(acquire: PendingAcquire, now: number): void {
    acquire.askedAt ||= now
    const connection = this.take(now)
    if (connection !== undefined) {
      acquire.grant(connection, now)
      return
    }
    const refusal = this.#refusal(acquire, now)
    if (refusal !== undefined) {
      this.#meter.count.refused++
      acquire.refuse(refusal)
      return
    }
    this.#queue.add(acquire)
    this.deadlines.set(acquire, Math.min(acquire.deadlineAt, now + this.options.acquireTimeout))
    this.#serve(now)
  }

  /** The deadline of a queued acquire has passed. */
  expired(acquire: PendingAcquire): void {
    this.#queue.delete(acquire)
    const now = this.clock.now()
    const waited = now - acquire.askedAt
    this.#meter.waited(waited, this.waiting, false, acquire.caller)
    this.#meter.count.acquireTimeouts++
    const { waiting, active } = this
    if (active === 0 && this.#connector.connecting > 0) {
      acquire.refuse(new MysqlTimeoutError(waited, 'connect', 'none'))
    } else {
      const state = { active, idle: this.#bag.idle, waiting, limit: this.limit }
      acquire.refuse(new MysqlAcquireTimeoutError(this.name, waited, state, this.#bag.holders(now)))
    }
    this.#settleDrain()
  }

  /** The acquire leaves the queue. */
  forget(acquire: PendingAcquire): void {
    this.#queue.delete(acquire)
    this.deadlines.remove(acquire)
    this.#settleDrain()
  }

  /** Takes a connection back: for the next acquire, or as an idle one. A dirty session is reset before. */
  release(connection: DriverConnection, now: number = this.clock.now()): void {
    this.#meter.returned(connection.use.giveBack(now))
    if (connection.session.mustBeReset && !connection.isBroken) this.#clean(connection)
    else this.#free(connection, now)
  }

  /** Stops what runs on the connection. `undefined`: there is no way to. */
  kill(connection: DriverConnection): Promise<unknown> | undefined {
    this.#meter.count.kills++
    if (!this.options.control || connection.threadId === 0) return undefined
    return this.#control.ask(`KILL QUERY ${connection.threadId}`, Math.max(1, this.options.killGrace))
  }

  refusedWrite(): void {
    this.#hooks.readOnly(this)
  }

  /** Replaces all connections: idle ones are closed now, those in use when they come back. */
  renew(): void {
    this.#bag.retireAll()
    this.#serve(this.clock.now())
  }

  /**
   * The server is down: queued acquires, and running reads without a row, go to another server where they may. All
   * connections are replaced, since they may have lost what was under way.
   */
  leave(): void {
    for (const acquire of [...this.#queue]) acquire.move()
    for (const connection of this.#bag.busy()) connection.use.occupant?.move()
    this.renew()
  }

  /** Admits no more acquires; resolves when the queue is empty and all connections are back. */
  drain(): Promise<void> {
    this.#draining = true
    return new Promise((resolve) => {
      this.#drained = resolve
      this.#settleDrain()
    })
  }

  /** Refuses the queue, stops what runs, closes everything. */
  async close(): Promise<{ readonly killed: number; readonly destroyed: number }> {
    this.#draining = true
    for (const acquire of [...this.#queue]) {
      this.forget(acquire)
      acquire.refuse(new MysqlClosedError())
    }
    const busy = this.#bag.busy()
    const kills = await Promise.all(busy.map((connection) => this.#killed(connection)))
    for (const connection of busy) connection.destroy()
    this.#connector.close()
    this.#bag.close()
    this.#control.close()
    return { killed: kills.filter(Boolean).length, destroyed: busy.length }
  }

  stats(): NodeStats {
    return {
      node: this.name,
      limit: this.limit,
      effectiveLimit: this.#connector.effective,
      active: this.active,
      idle: this.#bag.idle,
      connecting: this.#connector.connecting,
      waiting: this.waiting,
      ...this.#meter.stats(),
    }
  }

  #lend(connection: DriverConnection, acquire: PendingAcquire, now: number): void {
    this.#queue.delete(acquire)
    this.#lent(connection, now - acquire.askedAt, now, acquire.caller)
    acquire.grant(connection, now)
  }

  #lent(connection: DriverConnection, waitedMs: number, now: number, caller?: Caller): void {
    connection.use.lend(now)
    this.#meter.waited(waitedMs, this.waiting, true, caller)
  }

  #refusal(acquire: PendingAcquire, now: number): RejectedError | undefined {
    if (this.#draining) return new MysqlClosedError()
    const { effective, connecting } = this.#connector
    const open = this.#bag.size + connecting
    if (open === 0 && this.#connector.pausing(now) && !this.#connector.crowded)
      return this.#connector.unavailable(now)
    if (open < effective) return undefined
    const patience = Math.min(this.options.acquireTimeout, acquire.deadlineAt - now)
    // Acquires for which a connection is being opened do not count as queued.
    return this.#admission.refusal(this.waiting - connecting, effective, patience)
  }

  /** Hands out idle connections, and opens what is missing. */
  #serve(now: number): void {
    for (let { first } = this.#queue; first !== undefined; first = this.#queue.first) {
      const connection = this.#bag.take(now)
      if (connection === undefined) break
      this.#lend(connection, first, now)
    }
    const spare = this.#draining ? 0 : this.options.minIdle - this.#bag.size
    const needed = Math.max(this.#queue.size - this.#bag.checking, spare)
    this.#connector.dial(needed, this.#bag.size, now)
    if (this.#queue.size > 0 && this.#connector.connecting === 0 && this.#connector.pausing(now))
      this.#connector.later(now)
  }

  #opened(connection: DriverConnection): void {
    const now = this.clock.now()
    this.#meter.count.opened++
    this.#bag.waitTimeout = this.#connector.variables.waitTimeout
    if (this.options.control) this.#control.warm()
    if (!this.#isReachable) {
      this.#isReachable = true
      this.#hooks.reachable(this, true)
    }
    this.#bag.add(connection, now)
    this.#free(connection, now)
    this.#serve(now)
  }

  #dialFailed(): void {
    const now = this.clock.now()
    const { size } = this.#bag
    if (this.#connector.crowded) {
      // The server is well and full: we live with what we have, and try for more later.
      this.#connector.narrow(size)
      this.#hooks.warning(this, `the server takes no more connections: going on with ${size}`)
    } else if (size === 0) {
      this.#isReachable = false
      this.#hooks.reachable(this, false)
      const refusal = this.#connector.unavailable(now)
      for (const acquire of [...this.#queue]) {
        this.forget(acquire)
        acquire.refuse(refusal)
      }
    }
    this.#serve(now)
  }

  #clean(connection: DriverConnection): void {
    if (connection.session.inTransaction) {
      this.#meter.count.rollbacks++
      this.#hooks.warning(
        this,
        `a transaction was left open and is rolled back; the last statement: ${connection.use.sql}`,
      )
    }
    this.#meter.count.resets++
    this.#bag.clean(connection).then(
      () => this.#free(connection, this.clock.now()),
      () => connection.destroy(),
    )
  }

  #free(connection: DriverConnection, now: number): void {
    if (connection.isBroken || this.#bag.retire(connection, now)) {
      this.#serve(now)
      this.#settleDrain()
      return
    }
    const { first } = this.#queue
    if (first !== undefined) this.#lend(connection, first, now)
    else {
      this.#bag.put(connection, now)
      this.#settleDrain()
    }
  }

  #lost(connection: DriverConnection): void {
    this.#meter.count.lost++
    this.#bag.remove(connection)
    if (this.#bag.size === 0) this.#hooks.lost(this)
    this.#serve(this.clock.now())
    this.#settleDrain()
  }

  #maintain(): void {
    const now = this.clock.now()
    this.#connector.widen(this.#bag.size, now)
    this.#serve(now)
  }

  async #killed(connection: DriverConnection): Promise<boolean> {
    if (connection.use.occupant?.kind !== 'statement') return false
    try {
      return (await this.kill(connection)) !== undefined
    } catch {
      return false
    }
  }

  #settleDrain(): void {
    if (this.#drained !== undefined && this.#queue.size === 0 && this.active === 0) this.#drained()
  }
}
