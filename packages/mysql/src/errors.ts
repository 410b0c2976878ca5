import { brand, misuse, RejectedError, retryAfterSeconds } from '@spillway/kit'

/**
 * What a stranger may hear. Fastify sends the message of an error to the client whatever its `expose` says, so what helps
 * to find the cause stands elsewhere: one line without statements in `details.reason`, the rest in `report()`.
 */
const BUSY = 'The database is busy; please try again shortly'

/** A holder of a connection, as shown to a caller that got none. */
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
  readonly outcome = 'none'
  readonly retryable = true

  constructor(node: string, waitedMs: number, state: PoolState, holders: readonly Holder[]) {
    const { active, idle, waiting, limit } = state
    const inUse = `${active} of ${limit} in use, ${waiting} waiting`
    super(BUSY, {
      code: 'ERR_MYSQL_ACQUIRE_TIMEOUT',
      status: 503,
      headers: retryAfter(1_000),
      details: {
        reason: `no connection to ${node} within ${Math.round(waitedMs)} ms: ${inUse}${longest(holders)}`,
        node,
        holders,
      },
    })
    this.active = active
    this.idle = idle
    this.waiting = waiting
  }

  /** Who holds the connections, longest first. Not enumerable: no log is to have the statements. */
  get holders(): readonly Holder[] {
    return this.details.holders as readonly Holder[]
  }
}
brand(MysqlAcquireTimeoutError, 'MysqlAcquireTimeoutError')

function longest([holder]: readonly Holder[]): string {
  if (holder === undefined) return ''
  const by = holder.inTransaction ? ' by a transaction' : ''
  return `, the longest held for ${Math.round(holder.heldMs)} ms${by}`
}

/** Refused before waiting: the queue is full, or would take longer than the caller can wait: 503. */
export class MysqlOverloadedError extends RejectedError {
  readonly waiting: number
  readonly outcome = 'none'
  readonly retryable = true

  constructor(
    reason: string,
    code: 'ERR_MYSQL_QUEUE_FULL' | 'ERR_MYSQL_OVERLOADED',
    waiting: number,
    expectedMs: number,
  ) {
    super(BUSY, { code, status: 503, headers: retryAfter(expectedMs), details: { reason } })
    this.waiting = waiting
  }
}
brand(MysqlOverloadedError, 'MysqlOverloadedError')

export function queueFull(node: string, waiting: number, expectedMs: number): MysqlOverloadedError {
  return new MysqlOverloadedError(
    `the queue for ${node} is full: ${waiting} are waiting`,
    'ERR_MYSQL_QUEUE_FULL',
    waiting,
    expectedMs,
  )
}

export function overloaded(node: string, waiting: number, expectedMs: number): MysqlOverloadedError {
  return new MysqlOverloadedError(
    `a connection to ${node} would be free in about ${Math.round(expectedMs)} ms, which is later than this call can wait: ${waiting} are waiting`,
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
  readonly retryable: boolean

  constructor(timeoutMs: number, phase: Phase, outcome: 'none' | 'unknown', sql?: string) {
    super('The database did not answer in time', {
      code: 'ERR_MYSQL_TIMEOUT',
      status: 504,
      details: {
        reason: `the statement did not finish within ${Math.round(timeoutMs)} ms: ${PHASES[phase]}${ENDS[outcome]}`,
        sql,
      },
    })
    this.phase = phase
    this.outcome = outcome
    this.retryable = outcome === 'none'
  }

  /** The statement, without values. Not enumerable: no log is to have it. */
  get sql(): string | undefined {
    return this.details.sql as string | undefined
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

/** The server cannot be reached, or lets us not in: 503. The cause says why. */
export class MysqlUnavailableError extends RejectedError {
  readonly node: string
  /** The number of the server's or the system's own error, such as 1045 for a wrong password. */
  readonly errno: number | undefined
  readonly outcome = 'none'
  readonly retryable = true

  constructor(node: string, cause: unknown, retryMs = 1_000) {
    super('The database cannot be reached; please try again shortly', {
      code: 'ERR_MYSQL_UNAVAILABLE',
      status: 503,
      headers: retryAfter(retryMs),
      cause,
      details: { reason: `no connection to ${node}: ${codeOf(cause)}` },
    })
    this.node = node
    this.errno = (cause as { errno?: number } | undefined)?.errno
  }
}

/** The code of a cause. What a server says in words may name its users and hosts. */
function codeOf(cause: unknown): string {
  const { code, name } = (cause ?? {}) as { code?: unknown; name?: unknown }
  return String(code ?? name ?? 'not tried yet')
}
brand(MysqlUnavailableError, 'MysqlUnavailableError')

/** The pool is closing or closed: 503. */
export class MysqlClosedError extends RejectedError {
  readonly outcome = 'none'
  readonly retryable = false

  constructor() {
    super('The service is about to stop; please try again', {
      code: 'ERR_MYSQL_CLOSED',
      status: 503,
      headers: retryAfter(1_000),
      details: { reason: 'the pool is closed' },
    })
  }
}
brand(MysqlClosedError, 'MysqlClosedError')

/** The connection broke while a statement was on it. */
export class MysqlConnectionLostError extends Error {
  readonly code = 'ERR_MYSQL_CONNECTION_LOST'
  readonly node: string
  /** The statement, without values. Not enumerable: no log is to have it. */
  declare readonly sql: string | undefined
  readonly inTransaction: boolean
  /** `none`: a read, or inside a transaction, which the server has rolled back. `unknown`: a write that may have happened. */
  readonly outcome: 'none' | 'unknown'
  readonly retryable: boolean

  constructor(
    node: string,
    init: { cause: unknown; sql?: string | undefined; inTransaction: boolean; outcome: 'none' | 'unknown' },
  ) {
    const what = init.outcome === 'unknown' ? '; whether the statement took effect is unknown' : ''
    const where = init.inTransaction ? ' in a transaction, which is rolled back' : ''
    super(`The connection to the database was lost${where}${what}`, { cause: init.cause })
    Object.defineProperty(this, 'sql', { value: init.sql, writable: true })
    this.node = node
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
    super('The answer to COMMIT was lost: the transaction may or may not have been committed', { cause })
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
