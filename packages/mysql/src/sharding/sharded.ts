import {
  type CloseOptions,
  closeOnce,
  defineOptions,
  either,
  func,
  integer,
  misuse,
  oneOf,
} from '@spillway/kit'
import type { MysqlPoolOptions } from '../options.js'
import { MysqlPool, type MysqlPoolStats } from '../pool.js'
import { jump } from './jump-hash.js'
import { rendezvous } from './rendezvous-hash.js'
import { canonicalKey, type ShardKey } from './shard-key.js'

/**
 * How a key finds its shard. `'rendezvous'`: by the names alone, so any shard may come or go. `'jump'`: by the place of
 * the name in the list, perfectly even, and only the last may come or go. Or a look-up of your own.
 */
export type Locate = 'rendezvous' | 'jump' | ((key: ShardKey) => string)

export interface ShardedMysqlOptions {
  /** A pool's options for each shard. The names decide which key lives where, so they never change. */
  readonly shards: Readonly<Record<string, MysqlPoolOptions | string>>
  /** The shard of a key, by name. Default: `'rendezvous'`. */
  readonly locate?: Locate
  /** Shards that `all` asks at the same time, at most. Default: 4. */
  readonly concurrency?: number
}

export const SHARDED_DEFAULTS = Object.freeze({ locate: 'rendezvous', concurrency: 4 })

const resolve = defineOptions(
  'mysql',
  'ShardedMysql',
  {
    shards: (value, place) => {
      const given = value as ShardedMysqlOptions['shards'] | undefined
      if (typeof given !== 'object' || given === null || Object.keys(given).length === 0) {
        throw misuse(
          TypeError,
          place.code,
          'ShardedMysql option "shards" must be an object with at least one shard',
        )
      }
      return given
    },
    locate: either(oneOf('rendezvous', 'jump'), func<(key: ShardKey) => string>()),
    concurrency: integer({ min: 1 }),
  },
  SHARDED_DEFAULTS,
)

export interface AllOptions {
  /** Shards asked at the same time, at most. Default: the constructor's. */
  readonly concurrency?: number
  /** No further shard is asked; the call rejects with its reason. */
  readonly signal?: AbortSignal
}

/** What one key does when the shards change. */
export interface Move {
  readonly key: ShardKey
  readonly from: string
  readonly to: string
}

export interface ReshardingPlan {
  readonly moves: readonly Move[]
  /** Keys that stay where they are. */
  readonly staying: number
  /** For people: how many keys go from where to where. */
  toString(): string
}

/**
 * Several databases as one: each key has its shard, and what has the same key is together. A shard is any MySQL endpoint,
 * so a Vitess, TiDB or ProxySQL can take the place of one, or of all.
 */
export class ShardedMysql implements AsyncDisposable {
  readonly names: readonly string[]
  readonly #pools = new Map<string, MysqlPool>()
  readonly #locate: Locate
  readonly #concurrency: number

  /** @throws TypeError | RangeError `ERR_MYSQL_OPTION` */
  constructor(options: ShardedMysqlOptions) {
    const { shards, locate, concurrency } = resolve(options)
    this.names = Object.freeze(Object.keys(shards))
    this.#locate = locate
    this.#concurrency = concurrency
    for (const name of this.names) {
      const own = shards[name]!
      this.#pools.set(name, new MysqlPool({ name, ...(typeof own === 'string' ? { uri: own } : own) }, this))
    }
  }

  /** The name of the key's shard. The same for all ways to say one value: 7, 7n, '7' and '007'. @throws TypeError `ERR_MYSQL_SHARD` */
  shardOf(key: ShardKey): string {
    return shardOf(key, this.names, this.#locate)
  }

  /** The pool of the key's shard. @throws TypeError | RangeError `ERR_MYSQL_SHARD` */
  forKey(key: ShardKey): MysqlPool {
    return this.shard(this.shardOf(key))
  }

  /** @throws RangeError `ERR_MYSQL_SHARD` when there is no such shard */
  shard(name: string): MysqlPool {
    const pool = this.#pools.get(name)
    if (pool === undefined) {
      throw misuse(
        RangeError,
        'ERR_MYSQL_SHARD',
        `There is no shard "${name}"; there are ${this.names.join(', ')}`,
      )
    }
    return pool
  }

  /**
   * Asks every shard, a few at a time, and gives the answers in the order of `names`. The first error rejects, and no
   * further shard is asked.
   */
  async all<T>(work: (pool: MysqlPool, name: string) => Promise<T>, options: AllOptions = {}): Promise<T[]> {
    const { concurrency = this.#concurrency, signal } = options
    const results: T[] = new Array<T>(this.names.length)
    let next = 0
    let failed = false
    const worker = async () => {
      while (next < this.names.length && !failed) {
        signal?.throwIfAborted()
        const at = next++
        const name = this.names[at]!
        try {
          results[at] = await work(this.shard(name), name)
        } catch (error) {
          failed = true
          throw error
        }
      }
    }
    await Promise.all(Array.from({ length: Math.max(1, Math.min(concurrency, this.names.length)) }, worker))
    return results
  }

  /** The rows of every shard in one list: in the order of the shards, or sorted, and not more than `limit`. */
  async gather<Row>(
    work: (pool: MysqlPool, name: string) => Promise<readonly Row[]>,
    { sort, limit, ...options }: AllOptions & { sort?: (a: Row, b: Row) => number; limit?: number } = {},
  ): Promise<Row[]> {
    const rows = (await this.all(work, options)).flat() as Row[]
    if (sort !== undefined) rows.sort(sort)
    return limit === undefined ? rows : rows.slice(0, limit)
  }

  /** The keys grouped by shard, so that each shard is asked once. */
  groupByShard<Key extends ShardKey>(keys: Iterable<Key>): Map<string, Key[]> {
    const groups = new Map<string, Key[]>()
    for (const key of keys) {
      const name = this.shardOf(key)
      const group = groups.get(name)
      if (group === undefined) groups.set(name, [key])
      else group.push(key)
    }
    return groups
  }

  /**
   * Which of these keys would live elsewhere if the shards were those. Changes nothing.
   *
   * @param locate how they would be found then. Default: as now; a look-up of your own knows the new shards or gives the old.
   */
  plan(keys: Iterable<ShardKey>, names: readonly string[], locate: Locate = this.#locate): ReshardingPlan {
    const moves: Move[] = []
    let staying = 0
    for (const key of keys) {
      const from = this.shardOf(key)
      const to = shardOf(key, names, locate)
      if (from === to) staying++
      else moves.push({ key, from, to })
    }
    return { moves, staying, toString: () => describe(moves, staying) }
  }

  stats(): Readonly<Record<string, MysqlPoolStats>> {
    return Object.fromEntries([...this.#pools].map(([name, pool]) => [name, pool.stats()]))
  }

  /** Closes every shard's pool, all at the same time. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(async (options) => {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close(options)))
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function shardOf(key: ShardKey, names: readonly string[], locate: Locate): string {
  if (typeof locate === 'function') {
    canonicalKey(key)
    return locate(key)
  }
  return locate === 'jump' ? jump(key, names) : rendezvous(key, names)
}

function describe(moves: readonly Move[], staying: number): string {
  const counts = new Map<string, number>()
  for (const { from, to } of moves) counts.set(`${from} -> ${to}`, (counts.get(`${from} -> ${to}`) ?? 0) + 1)
  const total = moves.length + staying
  const share = total === 0 ? 0 : (100 * moves.length) / total
  const lines = [...counts].sort().map(([way, count]) => `  ${way}: ${count}`)
  return [`${moves.length} of ${total} keys move (${share.toFixed(1)} %)`, ...lines].join('\n')
}
