import type { QueryResult } from 'mysql2'
import type { SessionState } from '../connection/session-state.js'
import type { ExecutionInit } from './execution-init.js'

/**
 * Takes over what a reply says about the session, and tells the owner of a commit. One whose position the server did not
 * tell counts as one at an unknown position.
 */
export function reportCommit(
  { owner, statement }: Pick<ExecutionInit, 'owner' | 'statement'>,
  session: SessionState,
  result: QueryResult,
): void {
  const status = session.note(result)
  if (session.inTransaction) {
    if (status?.wrote === true || statement.returning) session.noteWrite()
    return
  }
  const committed = session.endTransaction() && !statement.fingerprint.startsWith('ROLLBACK')
  if (status?.position !== undefined) owner.wrote(status.position)
  // A reply with rows tells no position; a server without tracking tells none at all.
  else if (committed || status?.wrote || statement.returning || statement.control === 'commits')
    owner.wrote(undefined)
}
