import type { StatementStats } from './insight.js'
import { type Scan, scan } from './scanner.js'

/** What can be known about a statement from its text, worked out once per text. */
export interface Statement {
  readonly sql: string
  readonly scan: Scan
  /** The text without literals, lists shortened: the same for all statements that differ in values only. */
  readonly fingerprint: string
  /** A plain SELECT: no locks, no session state, nothing that changes anything. Anything unclear is not one. */
  readonly isRead: boolean
  /** It may leave something in the session that the next user must not inherit. */
  readonly dirties: boolean
  /** It would begin or end a transaction, by itself or by an implicit commit. */
  readonly control: 'begin' | 'end' | 'commits' | undefined
  /** A write that answers with rows, and so without the position of its commit. */
  readonly returning: boolean
  /** Where its runs are counted; found at the first one. */
  stats: StatementStats | undefined
}

// What makes a SELECT more than a plain read, or its answer depend on the session it runs in.
const NOT_PLAIN =
  /\bFOR\s+(UPDATE|SHARE)\b|\bLOCK\s+IN\s+SHARE\b|\bINTO\b|@|:=|\b(GET_LOCK|IS_USED_LOCK|IS_FREE_LOCK|RELEASE_LOCK|RELEASE_ALL_LOCKS|LAST_INSERT_ID|FOUND_ROWS|ROW_COUNT|CONNECTION_ID|SQL_CALC_FOUND_ROWS|NEXTVAL|LASTVAL|SETVAL|MASTER_GTID_WAIT|MASTER_POS_WAIT)\b|\b(NEXT|PREVIOUS)\s+VALUE\b/
const DIRTIES =
  /^(SET(?!\s+STATEMENT\b)|USE|PREPARE|DEALLOCATE|HANDLER|XA|BEGIN|START|SAVEPOINT|CALL|LOCK|UNLOCK|FLUSH)\b|^CREATE\s+(OR\s+REPLACE\s+)?TEMPORARY\b|\bGET_LOCK\b|:=|\bINTO\s+@/
const BEGINS = /^(BEGIN(?!\s+NOT\b)|START\s+TRANSACTION|XA\s+(START|BEGIN))\b/
const ENDS = /^(COMMIT|ROLLBACK(?!\s+(WORK\s+)?TO\b))\b/
// https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/
const COMMITS =
  /^(ALTER|ANALYZE|CACHE|CHANGE|CHECK|CREATE(?!\s+(OR\s+REPLACE\s+)?TEMPORARY)|DROP(?!\s+TEMPORARY)|FLUSH|GRANT|LOAD\s+INDEX|LOCK|OPTIMIZE|RENAME|REPAIR|RESET|REVOKE|SET\s+PASSWORD|TRUNCATE|UNLOCK)\b|^SET\s+(SESSION\s+|@@SESSION\.|@@)?AUTOCOMMIT\b/

const KEPT = 2_000
const LONGEST_KEPT = 16_384

/** Reads statements; keeps what it knows of the 2,000 texts used last. */
export class Statements {
  readonly #known = new Map<string, Statement>()

  of(sql: string): Statement {
    const known = this.#known.get(sql)
    if (known !== undefined) return known
    const statement = describe(sql)
    if (sql.length <= LONGEST_KEPT) {
      if (this.#known.size >= KEPT) this.#forgetHalf()
      this.#known.set(sql, statement)
    }
    return statement
  }

  // Cheaper on the hot path than moving each hit to the end; what is in use comes back at once.
  #forgetHalf(): void {
    let left = KEPT / 2
    for (const sql of this.#known.keys()) {
      if (left-- === 0) return
      this.#known.delete(sql)
    }
  }
}

function describe(sql: string): Statement {
  const scanned = scan(sql)
  const { bare, hidden, several } = scanned
  const unclear = hidden || several
  return {
    sql,
    scan: scanned,
    fingerprint: fingerprint(bare),
    isRead: !unclear && /^[(\s]*SELECT\b/.test(bare) && !NOT_PLAIN.test(bare),
    dirties: unclear || DIRTIES.test(bare),
    control: BEGINS.test(bare)
      ? 'begin'
      : ENDS.test(bare)
        ? 'end'
        : COMMITS.test(bare)
          ? 'commits'
          : undefined,
    returning: /^(INSERT|REPLACE|DELETE|UPDATE)\b[\s\S]*\bRETURNING\b/.test(bare),
    stats: undefined,
  }
}

/** Literals and numbers become `?`, lists of them one `?`, and white space one blank; at most 500 characters. */
function fingerprint(bare: string): string {
  return bare
    .slice(0, 4_000)
    .replace(/\b(0X[0-9A-F]+|\d+(\.\d+)?(E[+-]?\d+)?)\b/g, '?')
    .replace(/\s+/g, ' ')
    .replace(/\(\s*\?(\s*,\s*\?)+\s*\)/g, '(?, ...)')
    .replace(/\(\?, \.\.\.\)(\s*,\s*\(\?, \.\.\.\))+/g, '(?, ...), ...')
    .slice(0, 500)
}
