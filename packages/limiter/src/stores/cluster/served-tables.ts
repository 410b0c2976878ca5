import type { Clock } from '@spillway/kit'
import { microseconds } from '../../bucket/bucket.js'
import type { MemoryStoreOptions } from '../memory/memory-store.js'
import { MemoryTable } from '../memory/memory-table.js'
import { answerFrom, isSound } from '../shared/protocol.js'

/** Limits that one primary keeps; an app has some dozens. */
const MOST_LIMITS = 1_024
const LONGEST_NAME = 128

/** Buckets by limit, for requests as they come over a wire. Bucket names are `<limit> <key>`. */
export class ServedTables {
  readonly #tables = new Map<string, MemoryTable>()
  readonly #maxKeys: number
  readonly #clock: Clock

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

  /** `undefined`, and nothing is done, for keys and numbers that do not fit together. */
  answer(keys: readonly string[], numbers: readonly number[]): number[] | undefined {
    if (!isSound(keys.length, numbers) || !keys.every(namesBucket)) return undefined
    return answerFrom(this.#tableOf, keys, numbers, microseconds(this.#clock.now()))
  }

  readonly #tableOf = (bucket: string): MemoryTable => {
    const limit = bucket.slice(0, bucket.indexOf(' '))
    return this.#tables.get(limit) ?? this.#create(limit)
  }

  #create(limit: string): MemoryTable {
    if (this.#tables.size >= MOST_LIMITS) this.#dropSmallest()
    const table = new MemoryTable(this.#maxKeys)
    // A copy: the slice would keep the text of its first bucket.
    this.#tables.set(Buffer.from(limit).toString(), table)
    return table
  }

  /** Something makes up limits: those with few clients are most likely its own. */
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

function namesBucket(key: string): boolean {
  const end = key.indexOf(' ')
  return end > 0 && end <= LONGEST_NAME && end < key.length - 1
}
