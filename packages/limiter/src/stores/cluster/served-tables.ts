import type { Clock } from '@spillway/kit'
import { microseconds } from '../../bucket/bucket.js'
import type { MemoryStoreOptions } from '../memory/memory-store.js'
import { MemoryTable } from '../memory/memory-table.js'
import { answerFrom, isSound } from '../shared/protocol.js'

/** Limits that one primary keeps; an app has some dozens. */
const MOST_LIMITS = 1_024
const LONGEST_NAME = 128

/** The memory tables that a primary serves to its workers, one for each limit. Bucket names are `<limit> <key>`. */
export class ServedTables {
  readonly #tables = new Map<string, MemoryTable>()
  readonly #maxKeys: number
  readonly #clock: Clock
  /** The limit of the last bucket, with the blank, and its table: most buckets of a request are of one limit. */
  #lastLimit = ''
  #lastTable: MemoryTable | undefined

  constructor({ maxKeys, clock }: Required<MemoryStoreOptions>) {
    this.#maxKeys = maxKeys
    this.#clock = clock
  }

  get size(): number {
    return this.#tables.size
  }

  get tables(): Iterable<MemoryTable> {
    return this.#tables.values()
  }

  /** Decides a request. Returns `undefined`, and changes nothing, for keys and numbers that do not fit together. */
  answer(keys: readonly string[], numbers: readonly number[]): number[] | undefined {
    if (!isSound(keys.length, numbers)) return undefined
    for (let i = 0; i < keys.length; i++)
      if (!this.#isOfLastLimit(keys[i]!) && !namesBucket(keys[i]!)) return undefined
    return answerFrom(this.#tableOf, keys, numbers, microseconds(this.#clock.now()))
  }

  readonly #tableOf = (bucket: string): MemoryTable => {
    if (this.#isOfLastLimit(bucket)) return this.#lastTable!
    const limit = bucket.slice(0, bucket.indexOf(' '))
    const table = this.#tables.get(limit) ?? this.#create(limit)
    this.#lastLimit = `${limit} `
    this.#lastTable = table
    return table
  }

  /** Whether this is the name of a bucket of the last limit. */
  #isOfLastLimit(bucket: string): boolean {
    const limit = this.#lastLimit
    return this.#lastTable !== undefined && bucket.length > limit.length && bucket.startsWith(limit)
  }

  #create(limit: string): MemoryTable {
    if (this.#tables.size >= MOST_LIMITS) this.#dropSmallest()
    const table = new MemoryTable(this.#maxKeys)
    // A copy: the slice would keep the text of its first bucket.
    this.#tables.set(Buffer.from(limit).toString(), table)
    return table
  }

  /** So many limits are made up by a worker: those with few clients are most likely not of the app. */
  #dropSmallest(): void {
    let smallest: string | undefined
    let least = Number.POSITIVE_INFINITY
    for (const [limit, { size }] of this.#tables) {
      if (size >= least) continue
      least = size
      smallest = limit
    }
    if (smallest !== undefined) this.#tables.delete(smallest)
    this.#lastTable = undefined
  }
}

function namesBucket(key: string): boolean {
  const end = key.indexOf(' ')
  return end > 0 && end <= LONGEST_NAME && end < key.length - 1
}
