import { brand, misuse, RejectedError, retryAfterSeconds } from '@spillway/kit'

/** Who holds a connection, for the error of somebody who waited for one in vain. */
export interface Holder {
  /** Milliseconds since it was taken. */
  readonly heldMs: number
  /** The last statement on it, without values. */
  readonly sql: string | undefined
  /** Where it was taken; only for `withConnection` and `transaction`, and for a sample of them beyond 1,000 a second. */
  readonly stack: string | undefined
  readonly inTransaction: boolean
}

export interface PoolState {
  readonly active: number
  readonly idle: number
  readonly waiting: number
  readonly limit: number
}

/** No connection became free within `acquireTimeout`: 503. Names who holds them, longest first. */
export class MysqlAcquireTimeoutError extends RejectedError {
  readonly active: number
  readonly idle: number
  readonly waiting: number
  readonly holders: readonly Holder[]
  readonly outcome = 'none'
  readonly retryable = true

  constructor(node: string, waitedMs: number, state: PoolState, holders: readonly Holder[]) {
    super(
      `No connection to ${node} within ${Math.round(waitedMs)} ms: ${state.active} of ${state.limit} in use, ${state.waiting} waiting${longest(holders)}`,
      { code: 'ERR_MYSQL_ACQUIRE_TIMEOUT', status: 503, headers: retryAfter(1_000), expose: false },
    )
    this.active = state.active
    this.idle = state.idle
    this.waiting = state.waiting
    this.holders = holders
  }
}
brand(MysqlAcquireTimeoutError, 'MysqlAcquireTimeoutError')

function longest([holder]: readonly Holder[]): string {
  if (holder === undefined) return ''
  const what = holder.sql === undefined ? '' : `, last statement: ${holder.sql.slice(0, 200)}`
  const where = holder.stack === undefined ? '' : `, taken ${holder.stack.split('\n')[1]?.trim() ?? ''}`
  return `. The longest is held for ${Math.round(holder.heldMs)} ms${holder.inTransaction ? ' by a transaction' : ''}${what}${where}`
}

/** Refused before waiting: the queue is full, or would take longer than the caller can wait: 503. */
export class MysqlOverloadedError extends RejectedError {
  readonly waiting: number
  readonly outcome = 'none'
  readonly retryable = true

  constructor(
    message: string,
    code: 'ERR_MYSQL_QUEUE_FULL' | 'ERR_MYSQL_OVERLOADED',
    waiting: number,
    expectedMs: number,
  ) {
    super(message, { code, status: 503, headers: retryAfter(expectedMs), expose: false })
    this.waiting = waiting
  }
}
brand(MysqlOverloadedError, 'MysqlOverloadedError')

export function queueFull(node: string, waiting: number, expectedMs: number): MysqlOverloadedError {
  return new MysqlOverloadedError(
    `The queue for ${node} is full: ${waiting} are waiting`,
    'ERR_MYSQL_QUEUE_FULL',
    waiting,
    expectedMs,
  )
}

export function overloaded(node: string, waiting: number, expectedMs: number): MysqlOverloadedError {
  return new MysqlOverloadedError(
    `A connection to ${node} would be free in about ${Math.round(expectedMs)} ms, which is later than this call can wait: ${waiting} are waiting`,
    'ERR_MYSQL_OVERLOADED',
    waiting,
    expectedMs,
  )
}

export type Phase = 'queue' | 'connect' | 'run' | 'stream'

/** The deadline passed while the statement ran, or before it could start: 504. */
export class MysqlTimeoutError extends RejectedError {
  /** Where the time went. */
  readonly phase: Phase
  /** `none`: the server has stopped the statement, or never got it. `unknown`: the connection had to be cut. */
  readonly outcome: 'none' | 'unknown'
  readonly sql: string | undefined
  readonly retryable: boolean

  constructor(timeoutMs: number, phase: Phase, outcome: 'none' | 'unknown', sql?: string) {
    super(
      `The statement did not finish within ${Math.round(timeoutMs)} ms (${PHASES[phase]}${ENDS[outcome]})`,
      {
        code: 'ERR_MYSQL_TIMEOUT',
        status: 504,
        expose: false,
      },
    )
    this.phase = phase
    this.outcome = outcome
    this.sql = sql
    this.retryable = outcome === 'none'
  }
}
brand(MysqlTimeoutError, 'MysqlTimeoutError')

const PHASES: Readonly<Record<Phase, string>> = {
  queue: 'it waited for a connection',
  connect: 'it waited for the server to accept a connection',
  run: 'it ran on the server',
  stream: 'the server sent no further row',
}
const ENDS = { none: '; it has changed nothing', unknown: '; whether it took effect is unknown' }

/** The server cannot be reached: 503. The cause says why. */
export class MysqlUnavailableError extends RejectedError {
  readonly node: string
  readonly outcome = 'none'
  readonly retryable = true

  constructor(node: string, cause: unknown, retryMs = 1_000) {
    const reason = cause instanceof Error ? `: ${cause.message}` : ''
    super(`Cannot connect to ${node}${reason}`, {
      code: 'ERR_MYSQL_UNAVAILABLE',
      status: 503,
      headers: retryAfter(retryMs),
      expose: false,
      cause,
    })
    this.node = node
  }
}
brand(MysqlUnavailableError, 'MysqlUnavailableError')

/** The pool is closing or closed: 503. */
export class MysqlClosedError extends RejectedError {
  readonly outcome = 'none'
  readonly retryable = false

  constructor(message = 'The pool is closed') {
    super(message, { code: 'ERR_MYSQL_CLOSED', status: 503, headers: retryAfter(1_000), expose: false })
  }
}
brand(MysqlClosedError, 'MysqlClosedError')

/** The connection broke while a statement was on it. */
export class MysqlConnectionLostError extends Error {
  readonly code = 'ERR_MYSQL_CONNECTION_LOST'
  readonly node: string
  readonly sql: string | undefined
  readonly inTransaction: boolean
  /** `none`: a read, or inside a transaction, which the server has rolled back. `unknown`: a write that may have happened. */
  readonly outcome: 'none' | 'unknown'
  readonly retryable: boolean

  constructor(
    node: string,
    init: { cause: unknown; sql?: string | undefined; inTransaction: boolean; outcome: 'none' | 'unknown' },
  ) {
    const what = init.outcome === 'unknown' ? '; whether the statement took effect is unknown' : ''
    super(
      `The connection to ${node} was lost${init.inTransaction ? ' in a transaction, which is rolled back' : ''}${what}`,
      {
        cause: init.cause,
      },
    )
    this.node = node
    this.sql = init.sql
    this.inTransaction = init.inTransaction
    this.outcome = init.outcome
    this.retryable = init.outcome === 'none'
  }
}
brand(MysqlConnectionLostError, 'MysqlConnectionLostError')

/** The connection broke during COMMIT: the transaction is there as a whole, or not at all, and nobody can tell. */
export class MysqlCommitUnknownError extends Error {
  readonly code = 'ERR_MYSQL_COMMIT_UNKNOWN'
  readonly node: string
  readonly outcome = 'unknown'
  readonly retryable = false

  constructor(node: string, cause: unknown) {
    super(`The answer to COMMIT on ${node} was lost: the transaction may or may not have been committed`, {
      cause,
    })
    this.node = node
  }
}
brand(MysqlCommitUnknownError, 'MysqlCommitUnknownError')

/** @throws TypeError `ERR_MYSQL_PARAMETER` */
export function refuseParameter(index: number | undefined, reason: string): never {
  const which = index === undefined ? '' : `Parameter ${index} `
  throw misuse(TypeError, 'ERR_MYSQL_PARAMETER', `${which}${reason}`)
}

/** A statement that does not belong here: transaction control inside `transaction()`, several statements in one. */
export function misplaced(message: string): Error & { readonly code: string } {
  return misuse(TypeError, 'ERR_MYSQL_STATEMENT', message)
}

/** A handle that was used after it was given back. */
export function released(what: string): Error & { readonly code: string } {
  return misuse(TypeError, 'ERR_MYSQL_RELEASED', `This ${what} is over: it was used after it ended`)
}

/** The pool itself was used inside a transaction of it. */
export function outside(message: string): Error & { readonly code: string } {
  return misuse(TypeError, 'ERR_MYSQL_OUTSIDE_TRANSACTION', message)
}

/** A transaction on one shard cannot take in another one. */
export function crossShard(one: string, other: string): Error & { readonly code: string } {
  return misuse(
    TypeError,
    'ERR_MYSQL_CROSS_SHARD',
    `A transaction on shard ${one} cannot include shard ${other}: they would not commit together`,
  )
}

function retryAfter(milliseconds: number): Readonly<Record<string, string>> {
  return { 'Retry-After': retryAfterSeconds(milliseconds) }
}
