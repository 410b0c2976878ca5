import { defineOptions, integer, list, optional, string } from '@spillway/kit'
import { escapeId, type FieldPacket, type RowDataPacket } from 'mysql2'
import { OBJECTS } from '../connection/row-reading.js'
import { identityOf, isWhole, type Kind, kindOf, type LoaderKey, sizeOf } from './loader-key.js'
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

interface Wait<Row> {
  readonly promise: Promise<Row | undefined>
  resolve(row: Row | undefined): void
  reject(error: unknown): void
}

/** Lookups of one turn whose keys are compared in one way. */
interface Batch<Row> {
  readonly waits: Map<string, Wait<Row>>
  readonly keys: LoaderKey[]
  bytes: number
}

/** Bytes of keys in one query, about: far below what any server accepts as one packet. */
const MOST_BYTES = 1_048_576
/** Keys in one question about which of them is equal to which row. */
const MATCHED_AT_ONCE = 64

/** MySQL's types of columns with whole numbers: TINYINT, SMALLINT, INT, BIGINT, MEDIUMINT. */
const WHOLE: ReadonlySet<number | undefined> = new Set([1, 2, 3, 8, 9])

/**
 * Looks rows up by a unique key. All lookups of one turn of the event loop become one `IN` query, each key once: what
 * DataLoader does (Facebook, 2015), on a padded and prepared statement. Nothing is remembered beyond the turn.
 *
 * A row belongs to a key when the server says that they are equal. What is identical is equal; about the other keys, where
 * there are any and rows have come, the server is asked: only it knows its collations and conversions.
 */
export class Loader<Row extends object = RowDataPacket, Key extends LoaderKey = LoaderKey> {
  readonly #database: Queryable
  readonly #sql: string
  readonly #matchSql: string
  readonly #key: string
  readonly #maxBatch: number
  readonly #batches = new Map<Kind, Batch<Row>>()
  #scheduled = false

  /** @throws TypeError | RangeError `ERR_MYSQL_OPTION` */
  constructor(database: Queryable, options: LoaderOptions) {
    const { table, key, columns, maxBatch } = resolve(options)
    const wanted =
      columns === undefined ? '*' : [...new Set([key, ...columns])].map((name) => escapeId(name)).join(', ')
    this.#database = database
    this.#key = key
    this.#maxBatch = maxBatch
    const column = escapeId(key, true)
    this.#sql = `SELECT ${wanted} FROM ${escapeId(table)} WHERE ${column} IN (?)`
    this.#matchSql = `(SELECT ? AS place, ${column} AS value FROM ${escapeId(table)} WHERE ${column} = ? LIMIT 1)`
  }

  /**
   * The row, or `undefined` when there is none.
   *
   * @throws TypeError (the promise) `ERR_MYSQL_PARAMETER` when the key is none
   */
  load(key: Key): Promise<Row | undefined> {
    let kind: Kind
    try {
      kind = kindOf(key)
    } catch (error) {
      return Promise.reject(error)
    }
    const batch = this.#batchFor(kind)
    const id = identityOf(key)
    const known = batch.waits.get(id)
    if (known !== undefined) return known.promise
    const wait = waiting<Row>()
    batch.waits.set(id, wait)
    batch.keys.push(key)
    batch.bytes += sizeOf(key)
    if (batch.keys.length >= this.#maxBatch || batch.bytes >= MOST_BYTES) this.#send(kind)
    return wait.promise
  }

  /** The rows in the order of the keys, `undefined` where there is none. */
  loadMany(keys: readonly Key[]): Promise<(Row | undefined)[]> {
    return Promise.all(keys.map((key) => this.load(key)))
  }

  #batchFor(kind: Kind): Batch<Row> {
    let batch = this.#batches.get(kind)
    if (batch === undefined) {
      batch = { waits: new Map(), keys: [], bytes: 0 }
      this.#batches.set(kind, batch)
      this.#schedule()
    }
    return batch
  }

  /** Promises that resolve in this turn may still ask for more: hence after them, not at once. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      for (const kind of this.#batches.keys()) this.#send(kind)
    })
  }

  #send(kind: Kind): void {
    const batch = this.#batches.get(kind)!
    this.#batches.delete(kind)
    const fail = (error: unknown): void => {
      for (const wait of batch.waits.values()) wait.reject(error)
    }
    const answer = ([rows, fields]: [RowDataPacket[], FieldPacket[]]): void => {
      try {
        this.#answer(batch, rows, fields)?.catch(fail)
      } catch (error) {
        fail(error)
      }
    }
    this.#database.execute<RowDataPacket[]>(this.#sql, [batch.keys], OBJECTS).then(answer, fail)
  }

  /** A promise only where the server has to be asked once more. */
  #answer(
    { waits, keys }: Batch<Row>,
    rows: readonly RowDataPacket[],
    fields: readonly FieldPacket[],
  ): Promise<void> | undefined {
    const column = this.#columnIn(fields)
    const name = column?.name ?? this.#key
    for (const row of rows) {
      const id = identityOf(row[name])
      waits.get(id)?.resolve(row as Row)
      waits.delete(id)
    }
    if (waits.size > 0 && rows.length > 0) {
      const hasWhole = WHOLE.has(column?.columnType)
      const open = keys.filter((key) => waits.has(identityOf(key)) && !(hasWhole && isWhole(key)))
      const byValue = new Map(rows.map((row) => [identityOf(row[name]), row]))
      return this.#match(open, waits, byValue).then(() => resolveRest(waits))
    }
    resolveRest(waits)
    return undefined
  }

  /** A server finds the column in any spelling, and answers with the table's or the statement's. */
  #columnIn(fields: readonly FieldPacket[]): FieldPacket | undefined {
    const same = fields.find(({ name }) => name === this.#key)
    if (same !== undefined) return same
    const lower = this.#key.toLowerCase()
    return fields.find(({ name }) => name.toLowerCase() === lower)
  }

  /** Asks the server which of these keys is equal to which row. */
  async #match(
    keys: readonly LoaderKey[],
    waits: Map<string, Wait<Row>>,
    byValue: ReadonlyMap<string, RowDataPacket>,
  ): Promise<void> {
    for (let from = 0; from < keys.length; from += MATCHED_AT_ONCE) {
      const some = keys.slice(from, from + MATCHED_AT_ONCE)
      const sql = some.map(() => this.#matchSql).join(' UNION ALL ')
      const values = some.flatMap((key, place) => [place, key])
      const [pairs] = await this.#database.query<RowDataPacket[]>(sql, values, OBJECTS)
      for (const { place, value } of pairs) {
        const id = identityOf(some[Number(place)])
        const row = byValue.get(identityOf(value))
        if (row === undefined) continue
        waits.get(id)?.resolve(row as Row)
        waits.delete(id)
      }
    }
  }
}

/** There is no row for these keys. */
function resolveRest<Row>(waits: ReadonlyMap<string, Wait<Row>>): void {
  for (const wait of waits.values()) wait.resolve(undefined)
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
