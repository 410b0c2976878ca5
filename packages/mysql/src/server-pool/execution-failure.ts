import type { QueryError } from 'mysql2'
import type { SessionState } from '../connection/session-state.js'
import { isConnectionFailure, isInterrupted, presentable } from '../errno.js'
import { MysqlConnectionLostError, MysqlTimeoutError } from '../errors.js'
import type { EndedExecution } from './execution-init.js'

type Failing = Pick<EndedExecution, 'init' | 'node'>

/** What a caller gets for an error of the driver. */
export function failureOf(
  error: QueryError,
  execution: Failing,
  session: SessionState,
  stopReason: 'timeout' | 'abort' | undefined,
): unknown {
  const { statement, timeout } = execution.init
  if (isConnectionFailure(error)) {
    return stopReason === 'timeout'
      ? cutWhileRunning(execution, session)
      : lost(execution, session, error, outcomeOf(execution, session))
  }
  if (stopReason === 'timeout' && isInterrupted(error)) {
    return new MysqlTimeoutError(timeout, 'run', 'none', statement.sql)
  }
  return presentable(error, statement.sql)
}

/** Its time was over, and its connection had to be destroyed. */
export function cutWhileRunning(execution: Failing, session: SessionState): MysqlTimeoutError {
  const { statement, timeout } = execution.init
  return new MysqlTimeoutError(timeout, 'run', outcomeOf(execution, session), statement.sql)
}

/** The connection that its user holds broke before its turn came. */
export function neverSent(execution: Failing, session: SessionState): MysqlConnectionLostError {
  return lost(execution, session, new Error('the connection was closed'), 'none')
}

function lost(
  { init, node }: Failing,
  { inTransaction }: SessionState,
  cause: unknown,
  outcome: 'none' | 'unknown',
): MysqlConnectionLostError {
  return new MysqlConnectionLostError(node.name, { cause, sql: init.statement.sql, inTransaction, outcome })
}

/** A read changes nothing, and the server rolls back what is not committed. */
function outcomeOf({ init }: Failing, { inTransaction }: SessionState): 'none' | 'unknown' {
  return init.statement.isRead || inTransaction ? 'none' : 'unknown'
}
