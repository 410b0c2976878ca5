import { offAbort, onAbort } from '@spillway/kit'
import type { FieldPacket, QueryError, QueryResult } from 'mysql2'
import { killChannel, retryChannel, traced } from '../channels.js'
import type { Link } from '../connection/driver-connection.js'
import type { RowShape } from '../connection/row-reading.js'
import { Waiter } from '../connection/pending-acquire.js'
import { isConnectionFailure, isInterrupted, isStopped, notBegun, presentable } from '../errno.js'
import { MysqlConnectionLostError, MysqlTimeoutError, MysqlUnavailableError } from '../errors.js'
import { needsMode, textFor } from '../statement/literals.js'
import type { Statement } from '../statement/statement.js'
import type { Scalar } from '../statement/values.js'
import type { MysqlNode } from './server-pool.js'

/** Who asked: hears what came of it. */
export interface CallOwner {
  /** A write was committed at this position, or at one the server did not tell (`undefined`). */
  wrote(position: string | undefined): void
  /** Another node for a read whose node failed. */
  another(failed: MysqlNode): MysqlNode | undefined
  /** Counts the time. */
  ran(call: Call, now: number, rows: number, error: unknown): void
  /** Hears what a call is refused with, or fails with. */
  failed(error: unknown): void
}

export interface CallInit {
  readonly owner: CallOwner
  readonly node: MysqlNode
  readonly statement: Statement
  /** With list placeholders expanded, when it is prepared. */
  readonly sql: string
  readonly values: readonly Scalar[] | undefined
  readonly prepared: boolean
  /** As the user gave them, for the text protocol. */
  readonly given: readonly unknown[] | undefined
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly shape: RowShape | undefined
  /** Runs on a connection that its user keeps. */
  readonly held: boolean
}

export type Rows = [QueryResult, FieldPacket[]]

// The statement could not be run in prepared form, and so has not been run: too many, not supported, to be prepared again.
const NOT_PREPARED = new Set([1461, 1295, 1615])
const READ_ONLY = new Set([1290, 1792, 1836, 3100])

/** One statement on its way: waits for a connection, runs, and is stopped when it is over time. */
export class Call extends Waiter {
  readonly init: CallInit
  node: MysqlNode
  startedAt = 0
  readonly #resolve: (rows: Rows) => void
  readonly #reject: (error: unknown) => void
  #link: Link | undefined
  #settled = false
  #retried = false
  #prepared: boolean
  #stopping: 'timeout' | 'abort' | undefined
  #killDone = false
  #replied = false
  #absorb = false
  /** Only where there is a signal: a closure costs as much as the rest of a call's fields. */
  #onAbort: (() => void) | undefined

  constructor(init: CallInit, resolve: (rows: Rows) => void, reject: (error: unknown) => void) {
    super()
    this.init = init
    this.node = init.node
    this.#prepared = init.prepared
    this.#resolve = resolve
    this.#reject = reject
    if (init.signal !== undefined) {
      this.#onAbort = () => this.#aborted()
      onAbort(init.signal, this.#onAbort)
    }
  }

  /** Its time is over, or nobody wants it any more. */
  get stopping(): boolean {
    return this.#stopping !== undefined
  }

  /** Waits for a connection of its node. */
  submit(): void {
    const now = this.node.now()
    this.askedAt = now
    this.deadlineAt = now + this.init.timeout
    this.node.submit(this, now)
  }

  /** Runs on a connection that is held, after what runs there. */
  submitTo(link: Link): void {
    const now = this.node.now()
    this.askedAt = now
    this.deadlineAt = now + this.init.timeout
    this.#link = link
    if (link.broken) this.#lost(new Error('the connection was closed'), 'none')
    else if (link.call === undefined) this.#run(link, now)
    else {
      link.pending.push(this)
      this.node.deadlines.add(this, this.deadlineAt)
    }
  }

  grant(link: Link, now: number): void {
    this.#run(link, now)
  }

  refuse(error: unknown): void {
    if (error instanceof MysqlUnavailableError && this.#again(error.details.reason ?? error.code)) return
    this.init.owner.failed(error)
    this.#settle()
    this.#reject(error)
  }

  move(): void {
    const other = this.#elsewhere()
    if (other === undefined) return
    const link = this.#link
    if (link === undefined) {
      this.node.forget(this)
      this.#goTo(other, 'down')
    } else if (link.call === this) link.destroy()
  }

  expire(): void {
    const link = this.#link
    if (link === undefined) this.node.expired(this)
    else if (link.call !== this) {
      // It waits behind another statement on a held connection.
      link.pending.splice(link.pending.indexOf(this), 1)
      this.#fail(new MysqlTimeoutError(this.init.timeout, 'queue', 'none', this.init.statement.sql))
    } else if (this.#stopping !== undefined) this.#cut()
    // It was set for the wait, and got its connection before: now it runs for its own time.
    else if (this.node.now() < this.deadlineAt) this.node.deadlines.add(this, this.deadlineAt)
    else this.#stop('timeout')
  }

  #run(link: Link, now: number): void {
    const { node, init } = this
    this.#link = link
    this.startedAt = now
    link.call = this
    link.sql = init.statement.sql
    if (this.slot === -1) node.deadlines.add(this, this.deadlineAt)
    if (init.statement.dirties) link.dirty = true
    // Who waited is granted a connection in the context of the one who gave it back.
    if (this.caller !== undefined && traced.active) this.caller.runInAsyncScope(this.#ask, this, link)
    else this.#ask(link)
  }

  #ask(link: Link): void {
    const { node, init } = this
    try {
      if (this.#prepared) link.execute(init.sql, init.values, node, init.shape, this.#reply)
      else if (link.mayAsk && needsMode(link, init.statement, init.given)) this.#askMode(link)
      else this.#sendText(link)
    } catch (error) {
      this.#reply(error as QueryError, [], [])
    }
  }

  #sendText(link: Link): void {
    const { node, init } = this
    const text = textFor(link, init.statement, init.given, node.options.timezone)
    link.query(text, init.shape, this.#reply)
  }

  /** How strings are written depends on the session's mode, which is not sure. */
  async #askMode(link: Link): Promise<void> {
    try {
      await link.askMode()
      if (this.stopping) throw notBegun()
      this.#sendText(link)
    } catch (error) {
      this.#reply(error as QueryError, [], [])
    }
  }

  readonly #reply = (error: QueryError | null, result: QueryResult, fields: FieldPacket[]): void => {
    const link = this.#link!
    if (this.#replied) return
    if (error && this.#prepared && NOT_PREPARED.has(error.errno ?? 0) && this.#stopping === undefined) {
      this.#prepared = false
      link.forget(this.init.sql)
      if (error.errno === 1461) link.unprepareHalf()
      this.#run(link, this.startedAt)
      return
    }
    this.#replied = true
    const { node, init } = this
    node.deadlines.remove(this)
    const now = node.now()
    if (error) this.#failed(error, link, now)
    else {
      if (!init.statement.isRead) this.#notePosition(link, result)
      init.owner.ran(this, now, Array.isArray(result) ? result.length : 0, undefined)
      if (!this.#settled) {
        this.#settle()
        this.#resolve([result, fields])
      }
    }
    this.#absorb = this.#stopping !== undefined && !isStopped(error)
    if (this.#stopping !== undefined && this.#killDone) this.#stopped(link, now)
    else if (this.#stopping === undefined || link.broken) this.#leave(link, now)
  }

  /** Tells the owner of a commit. One whose position the server did not tell counts as one at an unknown position. */
  #notePosition(link: Link, result: QueryResult): void {
    const { owner, statement } = this.init
    const news = link.note(result)
    if (link.inTransaction) {
      link.wrote ||= news?.wrote === true || statement.returning
      return
    }
    const committed = link.wrote && !statement.fingerprint.startsWith('ROLLBACK')
    link.wrote = false
    if (news?.position !== undefined) owner.wrote(news.position)
    // A reply with rows tells no position; a server without tracking tells none at all.
    else if (committed || news?.wrote || statement.returning || statement.control === 'commits')
      owner.wrote(undefined)
  }

  #failed(error: QueryError, link: Link, now: number): void {
    const { node, init } = this
    const { statement } = init
    init.owner.ran(this, now, 0, error)
    if (READ_ONLY.has(error.errno ?? 0)) node.refusedWrite()
    if (isConnectionFailure(error)) {
      link.destroy()
      if (this.#stopping === 'timeout') {
        const outcome = statement.isRead || link.inTransaction ? 'none' : 'unknown'
        this.#fail(new MysqlTimeoutError(init.timeout, 'run', outcome, statement.sql))
      } else if (!this.#again(error.message)) {
        this.#lost(error, statement.isRead || link.inTransaction ? 'none' : 'unknown')
      }
    } else if (this.#stopping === 'timeout' && isInterrupted(error)) {
      this.#fail(new MysqlTimeoutError(init.timeout, 'run', 'none', statement.sql))
    } else this.#fail(presentable(error, statement.sql))
  }

  #lost(cause: unknown, outcome: 'none' | 'unknown'): void {
    const { node, init } = this
    const inTransaction = this.#link?.inTransaction === true
    const sql = init.statement.sql
    this.#fail(new MysqlConnectionLostError(node.name, { cause, sql, inTransaction, outcome }))
  }

  /** A read that got nothing is asked once more, of another node if there is one. */
  #again(reason: string): boolean {
    const other = this.#elsewhere()
    if (other === undefined) return false
    this.#retried = true
    this.#link = undefined
    // After the failed connection is out of its pool.
    queueMicrotask(() => {
      this.#replied = false
      if (!this.#settled) this.#goTo(other, reason)
    })
    return true
  }

  /** Another server for what may be asked twice. */
  #elsewhere(): MysqlNode | undefined {
    const { init } = this
    const mayMove = init.statement.isRead && !init.held && !this.#retried && !this.#settled && !this.#stopping
    return mayMove ? init.owner.another(this.node) : undefined
  }

  #goTo(other: MysqlNode, reason: string): void {
    const { pool, name } = this.node
    retryChannel.publish(() => ({ pool, node: name, what: 'read', attempt: 1, reason }), this.caller)
    this.node = other
    other.submit(this, other.now())
  }

  /** KILL QUERY; the connection stays reserved until that is answered, so that it can hit nobody else. */
  #stop(reason: 'timeout' | 'abort'): void {
    const { node } = this
    const link = this.#link!
    this.#stopping = reason
    const killed = node.kill(link)
    if (killed === undefined) {
      this.#cut()
      return
    }
    node.deadlines.add(this, node.now() + node.options.killGrace)
    killed.then(
      () => {
        this.#killDone = true
        if (this.#replied) this.#stopped(link, node.now())
      },
      () => this.#cut(),
    )
  }

  /** The kill and the statement are both answered. */
  #stopped(link: Link, now: number): void {
    const { pool, name } = this.node
    const reason = this.#stopping!
    killChannel.publish(() => ({ pool, node: name, reason, how: 'stopped' }), this.caller)
    this.#leave(link, now)
  }

  #cut(): void {
    const { node, init } = this
    const link = this.#link!
    node.deadlines.remove(this)
    const reason = this.#stopping ?? 'timeout'
    killChannel.publish(() => ({ pool: node.pool, node: node.name, reason, how: 'cut' }), this.caller)
    if (!this.#replied) {
      const outcome = init.statement.isRead || link.inTransaction ? 'none' : 'unknown'
      this.#fail(new MysqlTimeoutError(init.timeout, 'run', outcome, init.statement.sql))
    }
    link.destroy()
    if (this.#replied) this.#leave(link, node.now())
  }

  /** Gives the connection to whoever is next. */
  #leave(link: Link, now: number): void {
    if (link.call !== this) return
    if (this.#absorb && !link.broken) {
      this.#absorb = false
      // A kill that came after the end of the statement may still be noticed by the next one: this one.
      const next = () => this.#leave(link, this.node.now())
      link.command('DO 0').then(next, next)
      return
    }
    link.call = undefined
    if (!this.init.held) this.node.release(link, now)
    else if (link.broken) for (const call of link.pending.splice(0)) call.submitTo(link)
    else link.pending.shift()?.resume(link, now)
  }

  /** Its turn on a held connection. */
  resume(link: Link, now: number): void {
    this.#run(link, now)
  }

  #fail(error: unknown): void {
    if (this.#settled) return
    this.init.owner.failed(error)
    this.#settle()
    this.#reject(error)
  }

  #settle(): void {
    this.#settled = true
    if (this.#onAbort !== undefined) offAbort(this.init.signal!, this.#onAbort)
  }

  #aborted(): void {
    if (this.#settled) return
    const link = this.#link
    this.#fail(this.init.signal?.reason)
    if (link === undefined) this.node.forget(this)
    else if (link.call !== this) {
      const at = link.pending.indexOf(this)
      if (at !== -1) link.pending.splice(at, 1)
      this.node.deadlines.remove(this)
    } else if (this.#stopping === undefined) this.#stop('abort')
  }
}
