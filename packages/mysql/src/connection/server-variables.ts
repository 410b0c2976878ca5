import { workerCount } from '@spillway/kit'
import type { RowDataPacket } from 'mysql2'
import type { DriverConnection } from './driver-connection.js'

/** What a server allows, and how it is set. */
export interface ServerVariables {
  /** Prepared statements that one process may have on it: a quarter of its limit, shared by our workers. */
  readonly statements: number
  /** It closes connections that are quiet for longer, in milliseconds. */
  readonly waitTimeout: number
  /** A lock timeout undoes the transaction, and not only the statement. */
  readonly rollsBackOnLockTimeout: boolean
}

/** What holds until the server has been asked. */
export const UNKNOWN: ServerVariables = Object.freeze({
  statements: 1_000,
  waitTimeout: Number.POSITIVE_INFINITY,
  rollsBackOnLockTimeout: false,
})

const QUESTION = `SELECT @@max_prepared_stmt_count AS statements, @@wait_timeout AS quiet,
  @@innodb_rollback_on_timeout AS undoes`

/** Asks the server. One that does not answer such questions is taken for an ordinary one. */
export async function serverVariablesOf(
  connection: DriverConnection,
  degraded: (message: string) => void,
): Promise<ServerVariables> {
  try {
    const [row] = (await connection.command(QUESTION)) as RowDataPacket[]
    if (row === undefined) return UNKNOWN
    return {
      statements: Math.max(1, Math.min(4_000, Math.floor(Number(row.statements) / 4 / workerCount()))),
      waitTimeout: Number(row.quiet) * 1_000,
      rollsBackOnLockTimeout: Number(row.undoes) === 1,
    }
  } catch (error) {
    if (connection.isBroken) throw error
    degraded(`its limits are unknown: ${(error as Error).message}`)
    return UNKNOWN
  }
}
