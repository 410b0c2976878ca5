import type { RowDataPacket } from 'mysql2'
import { INTERNAL_ROWS } from '../connection/row-reading.js'
import type { PoolContext } from '../pool-context.js'
import type { EndedExecution } from '../server-pool/execution-init.js'
import type { PlanRow } from '../statement/explain.js'
import { Position } from '../topology/position.js'
import { run } from './connection.js'

/** Milliseconds that an EXPLAIN may take. */
const TIMEOUT = 2_000
/** Nothing of it is counted or reported. */
const NO_OWNER = { wrote() {}, another: () => undefined, ran() {}, failed() {} }

/** Asks the server, a replica where there is one, how it runs a statement. Never rejects. */
export async function explainExecution(
  { topology, statements }: PoolContext,
  { init }: EndedExecution,
): Promise<readonly PlanRow[] | undefined> {
  try {
    const node = await topology.reader(Position.START)
    const explain = statements.of(`EXPLAIN ${init.statement.sql}`)
    const context = { statements, owner: NO_OWNER, timeout: TIMEOUT }
    // A statement whose lists were expanded has more values than the user gave.
    const values = init.prepared ? init.values : init.given
    const [rows] = await run<RowDataPacket[]>(context, { node }, explain, false, values, INTERNAL_ROWS)
    return rows as unknown[] as PlanRow[]
  } catch {
    return undefined
  }
}
