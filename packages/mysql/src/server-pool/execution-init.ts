import type { Caller } from '@spillway/kit'
import type { FieldPacket, QueryResult } from 'mysql2'
import type { RowShape } from '../connection/row-reading.js'
import type { Statement } from '../statement/statement.js'
import type { Scalar } from '../statement/values.js'
import type { ServerPool } from './server-pool.js'

/** An execution that has ended, as far as its session counts it. */
export interface EndedExecution {
  readonly init: ExecutionInit
  readonly node: ServerPool
  /** Milliseconds of the pool's clock: when it was asked for, and when it got its connection. */
  readonly askedAt: number
  readonly startedAt: number
  readonly caller: Caller | undefined
}

/** What an execution reports to: the session that it belongs to. */
export interface ExecutionOwner {
  /** A write was committed at this position, or at one the server did not tell (`undefined`). */
  wrote(position: string | undefined): void
  /** Another server for a read whose server failed. */
  another(failed: ServerPool): ServerPool | undefined
  /** It has ended, after this number of rows. */
  ran(execution: EndedExecution, now: number, rows: number, error: unknown): void
  /** It is refused, or fails, with this error. */
  failed(error: unknown): void
}

export interface ExecutionInit {
  readonly owner: ExecutionOwner
  readonly node: ServerPool
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
