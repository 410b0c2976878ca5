import { RejectedError } from '@spillway/kit'
import type { QueryError } from 'mysql2'

/**
 * What went wrong, by `errno`: mysql2's names come from MySQL's table and are missing for MariaDB's own errors
 * (1969 has no `code` at all), so nothing here looks at `code` except for errors of the socket.
 */
export type FailureKind =
  | 'deadlock'
  | 'lock-wait'
  | 'interrupted'
  | 'statement-timeout'
  | 'read-only'
  | 'too-many-connections'
  | 'too-many-statements'
  | 'connection'
  | 'shutdown'
  | 'duplicate'
  | 'access'
  | 'statement'

export interface Failure {
  readonly kind: FailureKind
  /** Doing the same again, from the start of its transaction, may succeed. */
  readonly retryable: boolean
  /** `none`: the statement has changed nothing. `unknown`: nobody can tell. */
  readonly outcome: 'none' | 'unknown'
}

const none = (kind: FailureKind, retryable = false): Failure => ({ kind, retryable, outcome: 'none' })
const STATEMENT = none('statement')
const CONNECTION: Failure = { kind: 'connection', retryable: true, outcome: 'unknown' }
const SHUTDOWN: Failure = { kind: 'shutdown', retryable: true, outcome: 'unknown' }

const BY_ERRNO: ReadonlyMap<number, Failure> = new Map([
  [1040, none('too-many-connections', true)],
  [1203, none('too-many-connections', true)],
  [1226, none('too-many-connections', true)],
  [1044, none('access')],
  [1045, none('access')],
  [1049, none('access')],
  [1095, none('access')],
  [1142, none('access')],
  [1143, none('access')],
  [1227, none('access')],
  [1370, none('access')],
  [1820, none('access')],
  [1053, SHUTDOWN],
  [1927, CONNECTION],
  [4031, CONNECTION],
  [1062, none('duplicate')],
  [1586, none('duplicate')],
  [1205, none('lock-wait', true)],
  [1213, none('deadlock', true)],
  [1020, none('deadlock', true)],
  [3101, none('deadlock', true)],
  [3572, none('lock-wait', true)],
  [1317, none('interrupted', true)],
  [1028, none('interrupted', true)],
  [1969, none('statement-timeout')],
  [3024, none('statement-timeout')],
  [1290, none('read-only', true)],
  [1792, none('read-only', true)],
  [1836, none('read-only', true)],
  [3100, none('read-only', true)],
  [1461, none('too-many-statements', true)],
])

// Too many, not supported, to be prepared again.
const NOT_PREPARED: ReadonlySet<number> = new Set([1461, 1295, 1615])

/** The statement could not be run in prepared form, and so has not been run. */
export function isNotPrepared(error: QueryError): boolean {
  return NOT_PREPARED.has(error.errno ?? 0)
}

const STOPPED: ReadonlySet<number> = new Set([1317, 1969, 3024, 1028])

// Named here because the driver has no name for them.
const NAMES: ReadonlyMap<number, string> = new Map([
  [1927, 'ER_CONNECTION_KILLED'],
  [1969, 'ER_STATEMENT_TIMEOUT'],
])

/** Classifies an error that the server or the socket reported. */
export function classify(error: unknown): Failure {
  if (!(error instanceof Error)) return STATEMENT
  const { errno } = error as Partial<QueryError>
  if (typeof errno === 'number' && errno > 0) return BY_ERRNO.get(errno) ?? STATEMENT
  return isConnectionFailure(error) ? CONNECTION : STATEMENT
}

/** The connection is of no more use. mysql2 marks such errors `fatal`; those of the socket have a system code. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { errno, fatal, code } = error as Partial<QueryError>
  if (typeof errno === 'number' && errno >= 1000)
    return errno === 1053 || errno === 1927 || errno === 4031 || errno === 1152 || errno === 1158
  return (
    fatal === true ||
    (typeof code === 'string' && (code.startsWith('PROTOCOL_') || /^E[A-Z]{1,40}$/.test(code)))
  )
}

/**
 * A server's error as the user gets it: the driver's own object, with the statement as the user wrote it instead of
 * the one with the values in it, and with a name where the driver knows none. Its message may quote a value or a part of the
 * statement, so it is marked as one that no framework may send.
 */
export function presentable(error: unknown, sql: string): unknown {
  if (!(error instanceof Error) || error instanceof RejectedError) return error
  const own = error as Partial<QueryError> & { sql?: string; code?: string }
  if ('sql' in own || own.errno !== undefined) own.sql = sql
  if (own.errno !== undefined && own.errno > 0)
    Object.defineProperty(error, 'expose', { value: false, writable: true, configurable: true })
  if (classify(error).kind === 'access') hideNames(error)
  if (own.code === undefined && own.errno !== undefined) {
    const name = NAMES.get(own.errno)
    if (name !== undefined) own.code = name
  }
  return error
}

/** A refused access names users, hosts and tables, and a framework may send a message to a stranger. */
function hideNames(error: Error): void {
  const { message, stack } = error
  Object.defineProperties(error, {
    message: { value: ACCESS_DENIED, writable: true, configurable: true },
    stack: { value: stack?.replace(message, ACCESS_DENIED), writable: true, configurable: true },
    sqlMessage: { value: message, writable: true, configurable: true, enumerable: false },
  })
}

const ACCESS_DENIED = 'The database refused the access; what it said is in sqlMessage'

const BEGUN = Symbol('begun')

/** What the server says of a statement that was interrupted, said by us of one that we did not begin. */
export function notBegun(): QueryError {
  const error = new Error('Query execution was interrupted')
  return Object.assign(error, { errno: 1317, code: 'ER_QUERY_INTERRUPTED', fatal: false, [BEGUN]: false })
}

/** What the driver would say of a connection that was lost, said of a socket that was closed. */
export function connectionClosed(): Error {
  return Object.assign(new Error('Connection lost: the socket was closed'), {
    code: 'PROTOCOL_CONNECTION_LOST',
  })
}

/** It ended before its time, having done nothing. */
export function isInterrupted(error: QueryError): boolean {
  return STOPPED.has(error.errno ?? 0)
}

/** Whether the server has stopped it, and so has done with the kill. */
export function isStopped(error: QueryError): boolean {
  return isInterrupted(error) && !(BEGUN in error)
}
