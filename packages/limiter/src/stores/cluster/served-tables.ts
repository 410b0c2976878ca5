import type { Clock } from '@spillway/kit'
import { microseconds } from '../../bucket/bucket.js'
import type { MemoryStoreOptions } from '../memory/memory-store.js'
import { MemoryTable } from '../memory/memory-table.js'
import { answerFrom, isSound } from '../remote/protocol.js'

/** Limits that one primary keeps; an app has some dozens. */
const MOST_LIMITS = 1_024
const LONGEST_NAME = 128

/** The memory tables that a primary serves to its workers, one for each limit. Bucket names are `<limit> <key>`. */
export class ServedTables {
  readonly #tables = new Map<string, MemoryTable>()
  readonly #maxKeys: number
  readonly #clock: Clock

  constructor({ maxKeys, clock }: Required<MemoryStoreOptions>) {
    this.#maxKeys = maxKeys
    this.#clock = clock
  }

  /** Limits that have a table. */
  get size(): number {
    return this.#tables.size
  }

  get tables(): Iterable<MemoryTable> {
    return this.#tables.values()
  }

  /** Decides a request. Returns `undefined`, and changes nothing, for keys and numbers that do not fit together. */
  answer(keys: readonly string[], numbers: readonly number[]): number[] | undefined {
    if (!isSound(keys.length, numbers)) return undefined
    const limits = limitsOf(keys)
    if (limits === undefined) return undefined
    // Most buckets of a request are of one limit, so its table is looked up once.
    let limit: string | undefined
    let table: MemoryTable | undefined
    const tableAt = (index: number): MemoryTable => {
      const wanted = limits[index]!
      if (wanted !== limit || table === undefined) {
        limit = wanted
        table = this.#tables.get(limit) ?? this.#create(limit)
      }
      return table
    }
    return answerFrom(tableAt, keys, numbers, microseconds(this.#clock.now()))
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
  }
}

/** The limit of each bucket; `undefined` if one of them has no name of the form `<limit> <key>`. */
function limitsOf(keys: readonly string[]): string[] | undefined {
  const limits: string[] = []
  let last = ''
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    const end = key.indexOf(' ')
    if (end <= 0 || end > LONGEST_NAME || end === key.length - 1) return undefined
    const limit = key.slice(0, end)
    // The same text once: comparing it with itself costs nothing.
    if (limit !== last) last = limit
    limits.push(last)
  }
  return limits
}
