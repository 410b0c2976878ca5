/** A row of EXPLAIN, as far as it is looked at. */
export interface PlanRow {
  readonly table: string | null
  /** The kind of access; `ALL`: every row of the table. */
  readonly type: string | null
  readonly possible_keys: string | null
  readonly key: string | null
  readonly rows: number | string | null
  readonly Extra: string | null
}

/** What to look at first in a plan: a table that is read in full, and how many rows that is about. */
export function indexHint(plan: readonly PlanRow[]): string | undefined {
  const scans = plan.filter(({ type, key, table }) => type === 'ALL' && key === null && table !== null)
  const [worst] = scans.sort((a, b) => Number(b.rows) - Number(a.rows))
  if (worst === undefined) return undefined
  const { table, rows, possible_keys: candidates } = worst
  const advice =
    candidates === null ? 'no index fits the condition' : `the server chose none of ${candidates}`
  return `${table} is read in full, about ${rows} rows: ${advice}`
}
