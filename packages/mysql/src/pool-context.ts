import type { EventEmitter } from 'node:events'
import { notify } from '@spillway/kit'
import type { RowDataPacket } from 'mysql2'
import { queryChannel, slowChannel } from './channels.js'
import { Deadlines } from './connection/deadlines.js'
import { OURS } from './connection/row-reading.js'
import type { ResolvedOptions } from './connection/servers.js'
import { crossShard, outside } from './errors.js'
import type { MysqlPoolEvents } from './events.js'
import type { PoolOptions } from './options.js'
import { hintOf, type PlanRow } from './statement/explain.js'
import type { Call } from './server-pool/statement-execution.js'
import { Callers } from './server-pool/acquire-traces.js'
import { MysqlNode } from './server-pool/server-pool.js'
import { run } from './session/connection.js'
import { MysqlSession } from './session/session.js'
import { currentTransaction, type Transaction } from './session/transaction.js'
import { Insight, type StatementStats } from './statement/stats-table.js'
import { Statements } from './statement/statement.js'
import { Position } from './topology/position.js'
import { Topology } from './topology/topology.js'

/** The pools of one sharded database know each other by this. */
export interface PoolIdentity {
  readonly name: string
  readonly group: object | undefined
}

/** How long one form of statement is not explained again, in milliseconds. */
const EXPLAIN_PAUSE = 60_000

/** What the sessions of a pool share. */
export class Core {
  readonly options: PoolOptions
  readonly identity: PoolIdentity
  readonly statements = new Statements()
  readonly callers = new Callers()
  readonly insight: Insight
  readonly nodes: readonly MysqlNode[]
  readonly topology: Topology
  readonly deadlines: Deadlines
  readonly timeout: number
  readonly sessionReads: boolean
  /** The session of calls on the pool itself. It has written whatever this process has. */
  readonly own: MysqlSession
  readonly count = { queries: 0, errors: 0, retries: 0, slow: 0, leaks: 0 }
  readonly #events: EventEmitter<MysqlPoolEvents>

  constructor(
    { options, primary, replicas }: ResolvedOptions,
    events: EventEmitter<MysqlPoolEvents>,
    group: object | undefined,
  ) {
    this.options = options
    this.#events = events
    this.identity = { name: options.name, group }
    this.insight = new Insight(options.statementStats)
    this.timeout = options.timeout === false ? Number.POSITIVE_INFINITY : options.timeout
    this.sessionReads = options.reads !== false && options.reads.consistency === 'session'
    this.deadlines = new Deadlines(options.clock)
    const hooks = {
      leak: (node: MysqlNode, holder: MysqlPoolEvents['leak'][0]) => {
        this.count.leaks++
        notify(events, 'leak', { ...holder, node: node.name })
      },
      warning: (node: MysqlNode, message: string) => notify(events, 'warning', { node: node.name, message }),
      readOnly: (node: MysqlNode) => void this.topology.readOnly(node),
      lost: (node: MysqlNode) => this.topology.lost(node),
      reachable: (node: MysqlNode, yes: boolean) => this.topology.reachable(node, yes),
    }
    this.nodes = [primary, ...replicas].map((server) => new MysqlNode(server, options, this.deadlines, hooks))
    this.topology = new Topology(this.nodes, options, (event) => notify(events, 'node', event))
    this.own = new MysqlSession(this)
  }

  /**
   * The transaction a call must join because it is made within; `undefined` when there is none, or it may run outside.
   *
   * @throws TypeError `ERR_MYSQL_OUTSIDE_TRANSACTION` | `ERR_MYSQL_CROSS_SHARD`
   */
  inside(): Transaction | undefined {
    const current = currentTransaction()
    if (current === undefined) return undefined
    const { name, group } = this.identity
    const pool = current.pool as PoolIdentity
    if (pool !== this.identity) {
      if (group !== undefined && group === pool.group) throw crossShard(pool.name, name)
      return undefined
    }
    if (this.options.insideTransaction === 'join') return current.transaction
    if (this.options.insideTransaction === 'allow') return undefined
    throw outside(
      'The pool was used inside a transaction of it: the statement would not be part of the transaction, and waits for a connection while holding one. Use the transaction, or the option insideTransaction',
    )
  }

  retried(_attempt: number): void {
    this.count.retries++
  }

  /** A write of any session counts for the pool's own. */
  wrote(session: MysqlSession, position: Position | undefined): void {
    if (session !== this.own) this.own.note(position)
  }

  ran(call: Call, now: number, rows: number, error: unknown): void {
    const { statement } = call.init
    const stats = this.insight.of(statement)
    const runMs = now - call.startedAt
    const waitedMs = call.startedAt - call.askedAt
    this.count.queries++
    stats.run.record(runMs)
    stats.rows += rows
    stats.waited += waitedMs
    if (error !== undefined) {
      this.count.errors++
      stats.errors++
    }
    if (queryChannel.active) {
      const { fingerprint } = statement
      const code = error === undefined ? undefined : String((error as { code?: unknown }).code ?? 'UNKNOWN')
      const { name: node } = call.node
      queryChannel.publish(
        () => ({
          pool: this.identity.name,
          node,
          statement: fingerprint,
          runMs,
          waitedMs,
          rows,
          error: code,
        }),
        call.caller,
      )
    }
    const { slowQuery } = this.options
    if (slowQuery !== false && runMs >= slowQuery) void this.#slow(call, stats, runMs, rows, now)
  }

  async #slow(call: Call, stats: StatementStats, runMs: number, rows: number, now: number): Promise<void> {
    this.count.slow++
    const { name: pool } = this.identity
    const node = call.node.name
    const { fingerprint } = call.init.statement
    slowChannel.publish(() => ({ pool, node, statement: fingerprint, runMs, rows }), call.caller)
    const plan =
      call.init.statement.isRead && this.#mayExplain(stats, now) ? await this.#explain(call) : undefined
    notify(this.#events, 'slow', {
      node,
      statement: fingerprint,
      runMs,
      rows,
      plan,
      hint: plan && hintOf(plan),
    })
  }

  #mayExplain(stats: StatementStats, now: number): boolean {
    if (!this.options.explain || now - stats.explainedAt < EXPLAIN_PAUSE) return false
    stats.explainedAt = now
    return true
  }

  /** Asked of a replica where there is one; what comes of it is never the caller's trouble. */
  async #explain({ init }: Call): Promise<readonly PlanRow[] | undefined> {
    try {
      const node = await this.topology.reader(Position.START)
      const explain = this.statements.of(`EXPLAIN ${init.statement.sql}`)
      const owner = { wrote() {}, another: () => undefined, ran() {}, failed() {} }
      const context = { statements: this.statements, owner, timeout: 2_000 }
      // A statement whose lists were expanded has more values than the user gave.
      const values = init.prepared ? init.values : init.given
      const [rows] = await run<RowDataPacket[]>(context, { node }, explain, false, values, OURS)
      return rows as unknown[] as PlanRow[]
    } catch {
      return undefined
    }
  }
}
