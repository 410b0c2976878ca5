import type { Holder } from './errors.js'
import type { PlanRow } from './statement/explain.js'
import type { FailoverEvent } from './topology/topology.js'

export interface SlowEvent {
  readonly node: string
  /** The statement without values. */
  readonly statement: string
  readonly runMs: number
  readonly rows: number
  /** With the option `explain`: how the server runs it. */
  readonly plan: readonly PlanRow[] | undefined
  /** What the plan suggests, such as a missing index. */
  readonly hint: string | undefined
}

/** What a pool tells those who listen. */
export interface MysqlPoolEvents {
  /** A connection is held for longer than `leakAfter`. Once per holder. */
  leak: [holder: Holder & { readonly node: string }]
  /** A server went down or came back, or changed its role. */
  node: [event: FailoverEvent]
  /** A statement took longer than `slowQuery`. */
  slow: [event: SlowEvent]
  /** Something works less well than it could: a full server, a transaction left open, tracking refused. */
  warning: [event: { readonly node: string; readonly message: string }]
}
