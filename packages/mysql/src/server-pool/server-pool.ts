import { type Caller, LinkedList, type RejectedError, shareOf } from '@spillway/kit'
import type { Deadlines } from '../connection/deadlines.js'
import type { Link, LinkSettings } from '../connection/driver-connection.js'
import type { Server } from '../connection/servers.js'
import type { Waiter } from '../connection/pending-acquire.js'
import { MysqlAcquireTimeoutError, MysqlClosedError, MysqlTimeoutError } from '../errors.js'
import type { PoolOptions } from '../options.js'
import { Admission } from './admission.js'
import { Dialler } from './connector.js'
import { type NodeHooks, once } from './warn-once.js'
import { NodeMeter, type NodeStats } from './node-stats.js'
import { Shelf } from './connection-bag.js'
import { SideLink } from './control-connection.js'

/** The connections to one server, those who wait for them, and the rules between both. */
export class MysqlNode {
  readonly name: string
  readonly pool: string
  readonly limit: number
  readonly #hooks: NodeHooks
  readonly #settings: LinkSettings
  /** Those who wait, first come first served. */
  readonly #queue = new LinkedList<Waiter>()
  readonly #shelf: Shelf
  readonly #dialler: Dialler
  readonly #control: SideLink
  readonly #admission: Admission
  #isReachable = true
  #draining = false
  #drained: (() => void) | undefined
  readonly #meter: NodeMeter

  constructor(
    readonly server: Server,
    readonly options: PoolOptions,
    readonly deadlines: Deadlines,
    hooks: NodeHooks,
  ) {
    this.name = server.name
    this.pool = options.name
    this.#meter = new NodeMeter(this.pool, this.name)
    this.limit = options.shareConnections ? shareOf(options.connectionLimit) : options.connectionLimit
    this.#hooks = hooks
    this.#admission = new Admission(server.name, options)
    const side = { server, options, deadlines, degraded: once((message) => hooks.warning(this, message)) }
    this.#settings = { ...side, lost: (link) => this.#lost(link) }
    this.#shelf = new Shelf(this.#settings, {
      waiting: () => this.#queue.size > 0,
      leak: (holder) => hooks.leak(this, holder),
      maintain: () => this.#maintain(),
    })
    this.#dialler = new Dialler(this.#settings, this.limit, {
      opened: (link) => this.#opened(link),
      failed: () => this.#dialFailed(),
      retry: () => this.#maintain(),
    })
    this.#control = new SideLink(side)
  }

  /** How a side connection to this server is opened. */
  get sideSettings(): Omit<LinkSettings, 'lost'> {
    return this.#settings
  }

  /** Prepared statements that one connection may have. */
  get statementBudget(): number {
    const { statements } = this.#dialler.facts
    return Math.max(
      1,
      Math.floor(Math.min(this.options.preparedStatements ?? statements, statements) / this.limit),
    )
  }

  get rollsBackOnLockTimeout(): boolean {
    return this.#dialler.facts.rollsBackOnLockTimeout
  }

  get waiting(): number {
    return this.#queue.size
  }

  get active(): number {
    return this.#shelf.active
  }

  /** Whether it can be expected to answer: it has a connection, or its last failure is some time ago. */
  get reachable(): boolean {
    return this.#shelf.size > 0 || !this.#dialler.pausing(this.now())
  }

  now(): number {
    return this.options.clock.now()
  }

  /** A free connection, if there is one and nobody waits for it. */
  take(now: number): Link | undefined {
    const link = this.#draining || this.#queue.size > 0 ? undefined : this.#shelf.take(now)
    if (link !== undefined) this.#lent(link, 0, now)
    return link
  }

  /** Grants the waiter a connection, now or when one is free, or refuses it. */
  submit(waiter: Waiter, now: number): void {
    waiter.askedAt ||= now
    const link = this.take(now)
    if (link !== undefined) {
      waiter.grant(link, now)
      return
    }
    const refusal = this.#refusal(waiter, now)
    if (refusal !== undefined) {
      this.#meter.count.refused++
      waiter.refuse(refusal)
      return
    }
    this.#queue.add(waiter)
    this.deadlines.add(waiter, Math.min(waiter.deadlineAt, now + this.options.acquireTimeout))
    this.#serve(now)
  }

  /** Somebody has waited too long. */
  expired(waiter: Waiter): void {
    this.#queue.delete(waiter)
    const now = this.now()
    const waited = now - waiter.askedAt
    this.#meter.waited(waited, this.waiting, false, waiter.caller)
    this.#meter.count.acquireTimeouts++
    const { waiting, active } = this
    if (active === 0 && this.#dialler.connecting > 0) {
      waiter.refuse(new MysqlTimeoutError(waited, 'connect', 'none'))
    } else {
      const state = { active, idle: this.#shelf.idle, waiting, limit: this.limit }
      waiter.refuse(new MysqlAcquireTimeoutError(this.name, waited, state, this.#shelf.holders(now)))
    }
    this.#settleDrain()
  }

  /** Somebody waits no longer. */
  forget(waiter: Waiter): void {
    this.#queue.delete(waiter)
    this.deadlines.remove(waiter)
    this.#settleDrain()
  }

  /** Takes a connection back: to the next one, or on the shelf, if it is as good as new. */
  release(link: Link, now: number = this.now()): void {
    this.#admission.returned(now - link.heldSince)
    if (link.broken) {
      this.#serve(now)
      this.#settleDrain()
    } else if (link.dirty || link.inTransaction) this.#clean(link)
    else this.#free(link, now)
  }

  /** Stops what runs on the link. `undefined`: there is no way to. */
  kill(link: Link): Promise<unknown> | undefined {
    this.#meter.count.kills++
    if (!this.options.control || link.threadId === 0) return undefined
    return this.#control.ask(`KILL QUERY ${link.threadId}`, Math.max(1, this.options.killGrace))
  }

  refusedWrite(): void {
    this.#hooks.readOnly(this)
  }

  /** Idle connections are closed, those in use when they come back: the server is not what it was. */
  renew(): void {
    this.#shelf.retireAll()
    this.#serve(this.now())
  }

  /**
   * It is down: those who wait, and reads that have got nothing yet, go to another server where they may. Its connections
   * are not used again: they may have lost what was under way.
   */
  leave(): void {
    for (const waiter of [...this.#queue]) waiter.move()
    for (const link of this.#shelf.busy()) (link.call ?? link.reader)?.move()
    this.renew()
  }

  /** No more waiters; resolves when those who wait and those who hold are done. */
  drain(): Promise<void> {
    this.#draining = true
    return new Promise((resolve) => {
      this.#drained = resolve
      this.#settleDrain()
    })
  }

  /** Refuses who still waits, stops what still runs, closes everything. */
  async close(): Promise<{ readonly killed: number; readonly destroyed: number }> {
    this.#draining = true
    for (const waiter of [...this.#queue]) {
      this.forget(waiter)
      waiter.refuse(new MysqlClosedError())
    }
    const busy = this.#shelf.busy()
    const kills = await Promise.all(busy.map((link) => this.#killed(link)))
    for (const link of busy) link.destroy()
    this.#dialler.close()
    this.#shelf.close()
    this.#control.close()
    return { killed: kills.filter(Boolean).length, destroyed: busy.length }
  }

  stats(): NodeStats {
    return {
      node: this.name,
      limit: this.limit,
      effectiveLimit: this.#dialler.effective,
      active: this.active,
      idle: this.#shelf.idle,
      connecting: this.#dialler.connecting,
      waiting: this.waiting,
      ...this.#meter.stats(),
    }
  }

  #lend(link: Link, waiter: Waiter, now: number): void {
    this.#queue.delete(waiter)
    this.#lent(link, now - waiter.askedAt, now, waiter.caller)
    waiter.grant(link, now)
  }

  #lent(link: Link, waitedMs: number, now: number, caller?: Caller): void {
    link.heldSince = now
    link.leakReported = false
    this.#meter.waited(waitedMs, this.waiting, true, caller)
  }

  #refusal(waiter: Waiter, now: number): RejectedError | undefined {
    if (this.#draining) return new MysqlClosedError()
    const { effective, connecting } = this.#dialler
    const open = this.#shelf.size + connecting
    if (open === 0 && this.#dialler.pausing(now) && !this.#dialler.crowded)
      return this.#dialler.unavailable(now)
    if (open < effective) return undefined
    const patience = Math.min(this.options.acquireTimeout, waiter.deadlineAt - now)
    // Those for whom a connection is being opened do not queue.
    return this.#admission.refusal(this.waiting - connecting, effective, patience)
  }

  /** Hands out what is on the shelf, and opens what is missing. */
  #serve(now: number): void {
    for (let { first } = this.#queue; first !== undefined; first = this.#queue.first) {
      const link = this.#shelf.take(now)
      if (link === undefined) break
      this.#lend(link, first, now)
    }
    const spare = this.#draining ? 0 : this.options.minIdle - this.#shelf.size
    const needed = Math.max(this.#queue.size - this.#shelf.checking, spare)
    this.#dialler.dial(needed, this.#shelf.size, now)
    if (this.#queue.size > 0 && this.#dialler.connecting === 0 && this.#dialler.pausing(now))
      this.#dialler.later(now)
  }

  #opened(link: Link): void {
    const now = this.now()
    this.#meter.count.opened++
    this.#shelf.waitTimeout = this.#dialler.facts.waitTimeout
    if (this.options.control) this.#control.warm()
    if (!this.#isReachable) {
      this.#isReachable = true
      this.#hooks.reachable(this, true)
    }
    this.#shelf.add(link, now)
    this.#free(link, now)
    this.#serve(now)
  }

  #dialFailed(): void {
    const now = this.now()
    const { size } = this.#shelf
    if (this.#dialler.crowded) {
      // The server is well and full: we live with what we have, and try for more later.
      this.#dialler.narrow(size)
      this.#hooks.warning(this, `the server takes no more connections: going on with ${size}`)
    } else if (size === 0) {
      this.#isReachable = false
      this.#hooks.reachable(this, false)
      const refusal = this.#dialler.unavailable(now)
      for (const waiter of [...this.#queue]) {
        this.forget(waiter)
        waiter.refuse(refusal)
      }
    }
    this.#serve(now)
  }

  #clean(link: Link): void {
    if (link.inTransaction) {
      this.#meter.count.rollbacks++
      this.#hooks.warning(
        this,
        `a transaction was left open and is rolled back; the last statement: ${link.sql}`,
      )
    }
    this.#meter.count.resets++
    this.#shelf.clean(link).then(
      () => this.#free(link, this.now()),
      () => link.destroy(),
    )
  }

  #free(link: Link, now: number): void {
    link.sql = undefined
    link.stack = undefined
    if (link.broken || this.#shelf.retire(link, now)) {
      this.#serve(now)
      this.#settleDrain()
      return
    }
    const { first } = this.#queue
    if (first !== undefined) this.#lend(link, first, now)
    else {
      this.#shelf.put(link, now)
      this.#settleDrain()
    }
  }

  #lost(link: Link): void {
    this.#meter.count.lost++
    this.#shelf.remove(link)
    if (this.#shelf.size === 0) this.#hooks.lost(this)
    this.#serve(this.now())
    this.#settleDrain()
  }

  #maintain(): void {
    const now = this.now()
    this.#dialler.widen(this.#shelf.size, now)
    this.#serve(now)
  }

  async #killed(link: Link): Promise<boolean> {
    if (link.call === undefined) return false
    try {
      return (await this.kill(link)) !== undefined
    } catch {
      return false
    }
  }

  #settleDrain(): void {
    if (this.#drained !== undefined && this.#queue.size === 0 && this.active === 0) this.#drained()
  }
}
