import { offAbort, onAbort } from '@spillway/kit'
import type { FieldPacket, QueryError, QueryResult } from 'mysql2'
import { killChannel, retryChannel, traced } from '../channels.js'
import type { Queued } from '../connection/connection-use.js'
import type { DriverConnection } from '../connection/driver-connection.js'
import { PendingAcquire } from '../connection/pending-acquire.js'
import { classify, isConnectionFailure, isNotPrepared, isStopped, notBegun } from '../errno.js'
import { MysqlTimeoutError, MysqlUnavailableError } from '../errors.js'
import { needsMode, textFor } from '../statement/values.js'
import { reportCommit } from './commit-report.js'
import { cutWhileRunning, failureOf, neverSent } from './execution-failure.js'
import type { ExecutionInit, Rows } from './execution-init.js'
import {
  awaitsReply,
  type ExecutionEvent,
  type ExecutionState,
  nextExecutionState,
} from './execution-state.js'
import type { ServerPool } from './server-pool.js'

/**
 * Execution of one statement: waits for a connection, runs, and is stopped when its time is over. {@link ExecutionState} is
 * where the statement is; its promise may be settled earlier, since an abort rejects at once.
 */
export class StatementExecution extends PendingAcquire implements Queued {
  readonly kind = 'statement'
  readonly init: ExecutionInit
  node: ServerPool
  startedAt = 0
  readonly #resolve: (rows: Rows) => void
  readonly #reject: (error: unknown) => void
  #state: ExecutionState = 'waiting'
  #connection: DriverConnection | undefined
  #stopReason: 'timeout' | 'abort' | undefined
  #isPrepared: boolean
  #isSettled = false
  #hasMoved = false
  /** Only where there is a signal: a closure costs as much as all the fields. */
  #onAbort: (() => void) | undefined

  constructor(init: ExecutionInit, resolve: (rows: Rows) => void, reject: (error: unknown) => void) {
    super()
    this.init = init
    this.node = init.node
    this.#isPrepared = init.prepared
    this.#resolve = resolve
    this.#reject = reject
    if (init.signal !== undefined) {
      this.#onAbort = () => this.#aborted()
      onAbort(init.signal, this.#onAbort)
    }
  }

  get isStopping(): boolean {
    return this.#stopReason !== undefined
  }

  /** Waits for a connection of its server's pool. */
  submit(): void {
    this.node.submit(this, this.#begin())
  }

  /** Runs on a connection that its user holds, after what runs there. */
  submitTo(connection: DriverConnection): void {
    const now = this.#begin()
    this.#connection = connection
    if (connection.isBroken || connection.use.occupant === undefined) this.resume(now)
    else {
      this.#state = 'queued'
      connection.use.enqueue(this)
      this.node.deadlines.set(this, this.deadlineAt)
    }
  }

  #begin(): number {
    const now = this.node.clock.now()
    this.askedAt = now
    this.deadlineAt = now + this.init.timeout
    return now
  }

  resume(now: number): boolean {
    const connection = this.#connection!
    if (connection.isBroken) {
      this.#enter('leave')
      this.node.deadlines.remove(this)
      this.#fail(neverSent(this, connection.session))
      return false
    }
    this.grant(connection, now)
    return true
  }

  refuse(error: unknown): void {
    if (error instanceof MysqlUnavailableError && this.#again(error.details.reason ?? error.code)) return
    this.#enter('leave')
    this.#fail(error)
  }

  move(): void {
    const other = this.#elsewhere()
    if (other === undefined) return
    if (this.#state === 'waiting') {
      this.node.forget(this)
      this.#goTo(other, 'down')
    } else this.#connection?.destroy()
  }

  onDue(): void {
    if (this.#state === 'waiting') this.node.expired(this)
    else if (this.#state === 'queued') {
      this.#withdraw()
      this.#fail(new MysqlTimeoutError(this.init.timeout, 'queue', 'none', this.init.statement.sql))
    } else if (this.#state !== 'running') this.#cut()
    // It was set for the wait, and got its connection before: now it runs for its own time.
    else if (this.node.clock.now() < this.deadlineAt) this.node.deadlines.set(this, this.deadlineAt)
    else this.#stop('timeout')
  }

  /** Takes an event; tells whether it meant something. */
  #enter(event: ExecutionEvent): boolean {
    const next = nextExecutionState(this.#state, event)
    if (next === undefined) return false
    this.#state = next
    return true
  }

  /** Runs on the connection. */
  grant(connection: DriverConnection, now: number): void {
    const { node, init } = this
    const { statement } = init
    this.#enter('grant')
    this.#connection = connection
    this.startedAt = now
    connection.use.occupy(this, statement.sql)
    if (this.slot === -1) node.deadlines.set(this, this.deadlineAt)
    if (statement.dirties) connection.session.soil()
    // An execution that waited is granted its connection in the context of the one before.
    if (this.caller !== undefined && traced.active) this.caller.runInAsyncScope(this.#send, this, connection)
    else this.#send(connection)
  }

  #send(connection: DriverConnection): void {
    const { node, init } = this
    try {
      if (this.#isPrepared) connection.execute(init.sql, init.values, node, init.shape, this.#reply)
      else if (this.#mustAskMode(connection)) void this.#askMode(connection)
      else this.#sendText(connection)
    } catch (error) {
      this.#reply(error as QueryError, [], [])
    }
  }

  #sendText(connection: DriverConnection): void {
    const { node, init } = this
    const text = textFor(connection.session, init.statement, init.given, node.options.timezone)
    connection.query(text, init.shape, this.#reply)
  }

  /** An endpoint that is told nothing about the session is asked nothing. */
  #mustAskMode({ session }: DriverConnection): boolean {
    if (!this.node.options.session || session.literalStyle !== 'neutral') return false
    return needsMode(this.init.statement, this.init.given)
  }

  /** How strings are written depends on the session's mode, which is not sure. */
  async #askMode(connection: DriverConnection): Promise<void> {
    try {
      await connection.askMode()
      if (this.isStopping) throw notBegun()
      this.#sendText(connection)
    } catch (error) {
      this.#reply(error as QueryError, [], [])
    }
  }

  readonly #reply = (error: QueryError | null, result: QueryResult, fields: FieldPacket[]): void => {
    const connection = this.#connection!
    if (error && this.#isPrepared && this.#state === 'running' && isNotPrepared(error)) {
      this.#unprepare(connection, error)
      return
    }
    if (!this.#enter(error && isStopped(error) ? 'stopped' : 'reply')) return
    const { node } = this
    node.deadlines.remove(this)
    const now = node.clock.now()
    if (error) this.#failed(error, connection, now)
    else this.#succeeded(connection, now, result, fields)
    // A broken connection takes no KILL.
    if (this.#state !== 'done' && connection.isBroken) this.#enter('cut')
    this.#proceed(connection, now)
  }

  /** Once more as text. */
  #unprepare(connection: DriverConnection, error: QueryError): void {
    this.#isPrepared = false
    connection.forget(this.init.sql)
    if (error.errno === 1461) connection.unprepareHalf()
    this.#send(connection)
  }

  #succeeded(connection: DriverConnection, now: number, result: QueryResult, fields: FieldPacket[]): void {
    const { init } = this
    if (!init.statement.isRead) reportCommit(init, connection.session, result)
    init.owner.ran(this, now, Array.isArray(result) ? result.length : 0, undefined)
    if (this.#isSettled) return
    this.#settle()
    this.#resolve([result, fields])
  }

  #failed(error: QueryError, connection: DriverConnection, now: number): void {
    this.init.owner.ran(this, now, 0, error)
    if (classify(error).kind === 'read-only') this.node.refusedWrite()
    if (isConnectionFailure(error)) {
      connection.destroy()
      if (this.#stopReason !== 'timeout' && this.#again(error.message)) return
    }
    this.#fail(failureOf(error, this, connection.session, this.#stopReason))
  }

  /** A read that got nothing is asked once more, of another server if there is one. */
  #again(reason: string): boolean {
    const other = this.#elsewhere()
    if (other === undefined) return false
    this.#hasMoved = true
    // After the failed connection is out of its pool.
    queueMicrotask(() => {
      if (this.#isSettled) return
      this.#enter('move')
      this.#connection = undefined
      this.#goTo(other, reason)
    })
    return true
  }

  /** Another server for what may be asked twice. */
  #elsewhere(): ServerPool | undefined {
    const { init } = this
    const mayMove =
      init.statement.isRead && !init.held && !this.#hasMoved && !this.#isSettled && !this.isStopping
    return mayMove ? init.owner.another(this.node) : undefined
  }

  #goTo(other: ServerPool, reason: string): void {
    const { pool, name } = this.node
    retryChannel.publish(() => ({ pool, node: name, what: 'read', attempt: 1, reason }), this.caller)
    this.node = other
    other.submit(this, other.clock.now())
  }

  /** KILL QUERY; the connection stays reserved until that is answered, so that it can hit no other statement. */
  #stop(reason: 'timeout' | 'abort'): void {
    if (!this.#enter('stop')) return
    const { node } = this
    const connection = this.#connection!
    this.#stopReason = reason
    const killed = node.kill(connection)
    if (killed === undefined) {
      this.#cut()
      return
    }
    node.deadlines.set(this, node.clock.now() + node.options.killGrace)
    killed.then(
      () => {
        if (this.#enter('killed')) this.#proceed(connection, node.clock.now())
      },
      () => this.#cut(),
    )
  }

  /** Destroys the connection: the server answers neither the statement nor the KILL. */
  #cut(): void {
    const wasAnswered = !awaitsReply(this.#state)
    if (!this.#enter('cut')) return
    const { node } = this
    const connection = this.#connection!
    node.deadlines.remove(this)
    this.#publishKill('cut')
    if (!wasAnswered) this.#fail(cutWhileRunning(this, connection.session))
    connection.destroy()
    if (wasAnswered) this.#proceed(connection, node.clock.now())
  }

  #publishKill(how: 'stopped' | 'cut'): void {
    const { pool, name } = this.node
    const reason = this.#stopReason ?? 'timeout'
    killChannel.publish(() => ({ pool, node: name, reason, how }), this.caller)
  }

  /** Does what the state asks for, once the reply is there. */
  #proceed(connection: DriverConnection, now: number): void {
    if (this.#state === 'absorbing') {
      this.#publishKill('stopped')
      this.#absorb(connection)
    } else if (this.#state === 'done') {
      if (this.isStopping && !connection.isBroken) this.#publishKill('stopped')
      this.#leave(connection, now)
    }
  }

  /** A KILL that came after the end of the statement may still be noticed by the next one: a throw-away statement. */
  #absorb(connection: DriverConnection): void {
    const next = (): void => {
      if (this.#enter('absorbed')) this.#leave(connection, this.node.clock.now())
    }
    connection.command('DO 0').then(next, next)
  }

  /** Gives the connection to what is next. */
  #leave(connection: DriverConnection, now: number): void {
    if (!this.init.held) {
      this.node.release(connection, now)
      return
    }
    connection.use.vacate()
    let next = connection.use.nextInLine()
    while (next !== undefined && !next.resume(now)) next = connection.use.nextInLine()
  }

  #fail(error: unknown): void {
    if (this.#isSettled) return
    this.init.owner.failed(error)
    this.#settle()
    this.#reject(error)
  }

  #settle(): void {
    this.#isSettled = true
    if (this.#onAbort !== undefined) offAbort(this.init.signal!, this.#onAbort)
  }

  #aborted(): void {
    if (this.#isSettled) return
    this.#fail(this.init.signal?.reason)
    if (this.#state === 'waiting') {
      this.#enter('leave')
      this.node.forget(this)
    } else if (this.#state === 'queued') this.#withdraw()
    else this.#stop('abort')
  }

  /** Leaves the line of a held connection. */
  #withdraw(): void {
    this.#enter('leave')
    this.#connection?.use.withdraw(this)
    this.node.deadlines.remove(this)
  }
}
