import type { EventEmitter } from 'node:events'
import { notify } from '@spillway/kit'
import { queryChannel, slowChannel } from './channels.js'
import { Deadlines } from './connection/deadlines.js'
import type { ResolvedOptions } from './connection/servers.js'
import type { MysqlPoolEvents } from './events.js'
import type { PoolOptions } from './options.js'
import { AcquireTraces } from './server-pool/acquire-traces.js'
import type { EndedExecution } from './server-pool/execution-init.js'
import { ServerPool } from './server-pool/server-pool.js'
import { indexHint, type PlanRow } from './statement/explain.js'
import { Statements } from './statement/statement.js'
import type { StatementStats } from './statement/statement-stats.js'
import { StatementStatsTable } from './statement/stats-table.js'
import type { Position } from './topology/position.js'
import { SessionPosition } from './topology/session-position.js'
import { Topology } from './topology/topology.js'

/** The pools of one sharded database know each other by this. */
export interface PoolIdentity {
  readonly name: string
  readonly group: object | undefined
}

/** Asks a server how it runs a statement; `undefined` when that cannot be found out. */
export type Explain = (
  context: PoolContext,
  execution: EndedExecution,
) => Promise<readonly PlanRow[] | undefined>

/** How long one form of statement is not explained again, in milliseconds. */
const EXPLAIN_PAUSE = 60_000

/** Context that the sessions of one pool share: its servers, statements, statistics and events. */
export class PoolContext {
  readonly options: PoolOptions
  readonly identity: PoolIdentity
  readonly statements = new Statements()
  readonly traces = new AcquireTraces()
  readonly statementStats: StatementStatsTable
  readonly nodes: readonly ServerPool[]
  readonly topology: Topology
  readonly deadlines: Deadlines
  readonly timeout: number
  readonly sessionReads: boolean
  /** What the pool's own session must see: whatever this process has written. */
  readonly written = new SessionPosition()
  readonly count = { queries: 0, errors: 0, retries: 0, slow: 0, leaks: 0 }
  readonly #events: EventEmitter<MysqlPoolEvents>
  readonly #explain: Explain

  constructor(
    { options, primary, replicas }: ResolvedOptions,
    events: EventEmitter<MysqlPoolEvents>,
    group: object | undefined,
    explain: Explain,
  ) {
    this.#explain = explain
    this.options = options
    this.#events = events
    this.identity = { name: options.name, group }
    this.statementStats = new StatementStatsTable(options.statementStats)
    this.timeout = options.timeout === false ? Number.POSITIVE_INFINITY : options.timeout
    this.sessionReads = options.reads !== false && options.reads.consistency === 'session'
    this.deadlines = new Deadlines(options.clock)
    const hooks = {
      leak: (node: ServerPool, holder: MysqlPoolEvents['leak'][0]) => {
        this.count.leaks++
        notify(events, 'leak', { ...holder, node: node.name })
      },
      warning: (node: ServerPool, message: string) => notify(events, 'warning', { node: node.name, message }),
      readOnly: (node: ServerPool) => void this.topology.readOnly(node),
      lost: (node: ServerPool) => this.topology.lost(node),
      reachable: (node: ServerPool, yes: boolean) => this.topology.reachable(node, yes),
    }
    this.nodes = [primary, ...replicas].map(
      (server) => new ServerPool(server, options, this.deadlines, hooks),
    )
    this.topology = new Topology(this.nodes, options, (event) => notify(events, 'node', event))
  }

  retried(_attempt: number): void {
    this.count.retries++
  }

  /** A write of any session counts for the pool's own session. */
  wrote(session: SessionPosition, position: Position | undefined): void {
    if (session !== this.written) this.written.note(position)
  }

  ran(execution: EndedExecution, now: number, rows: number, error: unknown): void {
    const { statement } = execution.init
    const stats = (statement.stats ??= this.statementStats.of(statement.fingerprint))
    const runMs = now - execution.startedAt
    const waitedMs = execution.startedAt - execution.askedAt
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
      const { name: node } = execution.node
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
        execution.caller,
      )
    }
    const { slowQuery } = this.options
    if (slowQuery !== false && runMs >= slowQuery) void this.#slow(execution, stats, runMs, rows, now)
  }

  async #slow(
    execution: EndedExecution,
    stats: StatementStats,
    runMs: number,
    rows: number,
    now: number,
  ): Promise<void> {
    this.count.slow++
    const { name: pool } = this.identity
    const node = execution.node.name
    const { fingerprint } = execution.init.statement
    slowChannel.publish(() => ({ pool, node, statement: fingerprint, runMs, rows }), execution.caller)
    const plan =
      execution.init.statement.isRead && this.#mayExplain(stats, now)
        ? await this.#explain(this, execution)
        : undefined
    notify(this.#events, 'slow', {
      node,
      statement: fingerprint,
      runMs,
      rows,
      plan,
      hint: plan && indexHint(plan),
    })
  }

  #mayExplain(stats: StatementStats, now: number): boolean {
    if (!this.options.explain || now - stats.explainedAt < EXPLAIN_PAUSE) return false
    stats.explainedAt = now
    return true
  }
}
