import { defineOptions, integer, list, optional, string } from '@spillway/kit'
import { escapeId, type RowDataPacket } from 'mysql2'
import type { Queryable } from './queryable.js'

export interface LoaderOptions {
  readonly table: string
  /** The column that is looked up; its values are unique. Default: `'id'`. */
  readonly key?: string
  /** Default: all. The key is always among them. */
  readonly columns?: readonly string[]
  /** Keys in one query, at most. Default: 1000. */
  readonly maxBatch?: number
}

export const LOADER_DEFAULTS = Object.freeze({ key: 'id', maxBatch: 1_000 })

const resolve = defineOptions(
  'mysql',
  'loader',
  {
    table: string(),
    key: string(),
    columns: optional(list(string(), { min: 1 })),
    maxBatch: integer({ min: 1 }),
  },
  LOADER_DEFAULTS,
)

export type LoaderKey = string | number | bigint

interface Wait<Row> {
  readonly promise: Promise<Row | undefined>
  resolve(row: Row | undefined): void
  reject(error: unknown): void
}

/**
 * Looks rows up by a unique key. All lookups of one turn of the event loop become one `IN` query, each key once: what
 * DataLoader does (Facebook, 2015), on a padded and prepared statement. Nothing is remembered beyond the turn.
 */
export class Loader<Row extends object = RowDataPacket, Key extends LoaderKey = LoaderKey> {
  readonly #database: Queryable
  readonly #sql: string
  readonly #key: string
  readonly #maxBatch: number
  #batch = new Map<string, Wait<Row>>()
  #keys: Key[] = []

  /** @throws TypeError | RangeError `ERR_MYSQL_OPTION` */
  constructor(database: Queryable, options: LoaderOptions) {
    const { table, key, columns, maxBatch } = resolve(options)
    const wanted =
      columns === undefined ? '*' : [...new Set([key, ...columns])].map((name) => escapeId(name)).join(', ')
    this.#database = database
    this.#key = key
    this.#maxBatch = maxBatch
    this.#sql = `SELECT ${wanted} FROM ${escapeId(table)} WHERE ${escapeId(key, true)} IN (?)`
  }

  /** The row, or `undefined` when there is none. */
  load(key: Key): Promise<Row | undefined> {
    const id = String(key)
    const known = this.#batch.get(id)
    if (known !== undefined) return known.promise
    // Promises that resolve in this turn may still ask for more: hence after them, not at once.
    if (this.#keys.length === 0) setImmediate(() => this.#send())
    const wait = waiting<Row>()
    this.#batch.set(id, wait)
    this.#keys.push(key)
    if (this.#keys.length >= this.#maxBatch) this.#send()
    return wait.promise
  }

  /** The rows in the order of the keys, `undefined` where there is none. */
  loadMany(keys: readonly Key[]): Promise<(Row | undefined)[]> {
    return Promise.all(keys.map((key) => this.load(key)))
  }

  #send(): void {
    const batch = this.#batch
    const keys = this.#keys
    if (keys.length === 0) return
    this.#batch = new Map()
    this.#keys = []
    this.#database.execute<RowDataPacket[]>(this.#sql, [keys]).then(
      ([rows]) => {
        for (const row of rows) {
          const id = String(row[this.#key])
          batch.get(id)?.resolve(row as Row)
          batch.delete(id)
        }
        // A key may be equal to the row's by the column's collation and differ from it here, as in 'ANN' and 'ann'.
        if (batch.size > 0 && rows.length > 0) this.#matchLoosely(batch, rows)
        for (const wait of batch.values()) wait.resolve(undefined)
      },
      (error: unknown) => {
        for (const wait of batch.values()) wait.reject(error)
      },
    )
  }

  #matchLoosely(batch: Map<string, Wait<Row>>, rows: readonly RowDataPacket[]): void {
    const byFold = new Map(rows.map((row) => [fold(row[this.#key]), row]))
    for (const [id, wait] of batch) {
      const row = byFold.get(fold(id))
      if (row === undefined) continue
      wait.resolve(row as Row)
      batch.delete(id)
    }
  }
}

function fold(value: unknown): string {
  return String(value).normalize('NFKD').replace(/\p{M}/gu, '').trimEnd().toLowerCase()
}

function waiting<Row>(): Wait<Row> {
  let resolve!: Wait<Row>['resolve']
  let reject!: Wait<Row>['reject']
  const promise = new Promise<Row | undefined>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
