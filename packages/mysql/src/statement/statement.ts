import { misplaced } from '../errors.js'
import { type Scan, scan } from './scanner.js'
import type { StatementStats } from './statement-stats.js'

/** What can be known about a statement from its text, worked out once per text. */
export interface Statement {
  readonly sql: string
  /** As it reads where a backslash escapes. */
  readonly scan: Scan
  /** As it reads where a backslash means itself, when that makes a difference: its text is made for each connection. */
  readonly otherwise: Scan | undefined
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
  /\bFOR (UPDATE|SHARE)\b|\bLOCK IN SHARE\b|\bINTO\b|@|:=|\b(GET_LOCK|IS_USED_LOCK|IS_FREE_LOCK|RELEASE_LOCK|RELEASE_ALL_LOCKS|LAST_INSERT_ID|FOUND_ROWS|ROW_COUNT|CONNECTION_ID|SQL_CALC_FOUND_ROWS|NEXTVAL|LASTVAL|SETVAL|MASTER_GTID_WAIT|MASTER_POS_WAIT)\b|\b(NEXT|PREVIOUS) VALUE\b/
const DIRTIES =
  /^(SET(?! STATEMENT\b)|USE|PREPARE|EXECUTE|DEALLOCATE|HANDLER|XA|BEGIN|START|SAVEPOINT|CALL|LOCK|UNLOCK|FLUSH)\b|^CREATE (OR REPLACE )?TEMPORARY\b|\bGET_LOCK\b|:=|\bINTO @/
const BEGINS = /^(BEGIN(?! NOT\b)|START TRANSACTION|XA (START|BEGIN))\b/
const ENDS = /^(COMMIT|ROLLBACK(?! (WORK )?TO\b))\b/
// https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/
const COMMITS =
  /^(ALTER|ANALYZE|CACHE|CHANGE|CHECK|CREATE(?! (OR REPLACE )?TEMPORARY)|DROP(?! TEMPORARY)|FLUSH|GRANT|LOAD INDEX|LOCK|OPTIMIZE|RENAME|REPAIR|RESET|REVOKE|SET PASSWORD|TRUNCATE|UNLOCK)\b|^SET (SESSION |@@SESSION\.|@@)?AUTOCOMMIT\b/

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

/** @throws TypeError `ERR_MYSQL_STATEMENT` when it is no text */
function describe(sql: string): Statement {
  checkIsText(sql)
  const scanned = scan(sql)
  const otherwise = scanned.doubtful ? scan(sql, true) : undefined
  const { bare } = scanned
  return {
    sql,
    scan: scanned,
    otherwise,
    fingerprint: fingerprint(bare),
    isRead: isRead(scanned) && (otherwise === undefined || isRead(otherwise)),
    dirties: dirties(scanned) || (otherwise !== undefined && dirties(otherwise)),
    control: BEGINS.test(bare)
      ? 'begin'
      : ENDS.test(bare)
        ? 'end'
        : COMMITS.test(bare)
          ? 'commits'
          : undefined,
    returning: /^(INSERT|REPLACE|DELETE|UPDATE)\b/.test(bare) && /\bRETURNING\b/.test(bare),
    stats: undefined,
  }
}

function checkIsText(sql: unknown): void {
  if (typeof sql === 'string') return
  const isObject = typeof sql === 'object' && sql !== null && 'sql' in sql
  throw misplaced(
    isObject
      ? 'A statement must be a text: say query(sql, values, options) instead of query({ sql, values })'
      : `A statement must be a text, not ${sql === null ? 'null' : typeof sql}`,
  )
}

function isRead({ bare, hidden, several }: Scan): boolean {
  return !hidden && !several && isSelect(bare) && !NOT_PLAIN.test(bare)
}

/** SELECT, or SELECT in brackets. */
function isSelect(bare: string): boolean {
  let at = 0
  while (bare[at] === '(' || bare[at] === ' ') at++
  return /^SELECT\b/.test(bare.slice(at, at + 7))
}

function dirties({ bare, hidden, several }: Scan): boolean {
  return hidden || several || DIRTIES.test(bare)
}

/** Literals and numbers become `?`, and lists of them one `?`; at most 500 characters. */
function fingerprint(bare: string): string {
  return bare
    .slice(0, 4_000)
    .replace(/\b(0X[0-9A-F]{1,64}|\d{1,64}(\.\d{1,64})?(E[+-]?\d{1,5})?)\b/g, '?')
    .replace(/\( ?\?( ?, ?\?){1,2000} ?\)/g, '(?, ...)')
    .replace(/\(\?, \.\.\.\)( ?, ?\(\?, \.\.\.\)){1,2000}/g, '(?, ...), ...')
    .slice(0, 500)
}
