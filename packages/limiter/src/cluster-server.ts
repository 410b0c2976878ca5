import cluster, { type Worker } from 'node:cluster'
import { type Clock, type Closable, type CloseOptions, closeOnce, defineOptions, misuse } from '@spillway/kit'
import { microseconds } from './bucket.js'
import { type ClusterMessage, isClusterMessage, machineTime, PROTOCOL } from './cluster-message.js'
import { MEMORY_STORE_CHECKS, MEMORY_STORE_DEFAULTS, type MemoryStoreOptions } from './memory-store.js'
import { MemoryTable } from './memory-table.js'
import { answerFrom } from './wire.js'

/** Buckets by limit, for requests as they come over a wire. Bucket names are `<limit> <key>`. */
export class ServedTables {
  readonly #tables = new Map<string, MemoryTable>()
  readonly #maxKeys: number
  readonly #clock: Clock

  constructor({ maxKeys, clock }: Required<MemoryStoreOptions>) {
    this.#maxKeys = maxKeys
    this.#clock = clock
  }

  get tables(): Iterable<MemoryTable> {
    return this.#tables.values()
  }

  answer(keys: readonly string[], numbers: readonly number[]): number[] {
    return answerFrom(this.#tableOf, keys, numbers, microseconds(this.#clock.now()))
  }

  readonly #tableOf = (bucket: string): MemoryTable => {
    const limit = bucket.slice(0, bucket.indexOf(' '))
    let table = this.#tables.get(limit)
    if (table === undefined) this.#tables.set(limit, (table = new MemoryTable(this.#maxKeys)))
    return table
  }
}

export interface ClusterStoreServerStats {
  /** Buckets in the primary. */
  readonly keys: number
  readonly evictions: number
  readonly forgivenTokens: number
  /** Messages answered, each for many decisions. */
  readonly calls: number
  /** Messages that came too late to be of use. */
  readonly late: number
}

/** One server per primary, also over copies of this package. */
const SERVED = Symbol.for('spillway.limiter.served')

const resolveOptions = defineOptions(
  'limiter',
  'serveClusterStore',
  MEMORY_STORE_CHECKS,
  MEMORY_STORE_DEFAULTS,
)

/**
 * Serves the buckets of `clusterStore()` in the workers. Call it in the primary, before or after workers are forked;
 * whoever forks them: plain `node:cluster` or a supervisor.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 * @throws TypeError `ERR_LIMITER_PRIMARY` in a worker, or when this primary serves already
 */
export function serveClusterStore(options?: MemoryStoreOptions): ClusterStoreServer {
  return new ClusterStoreServer(options)
}

export class ClusterStoreServer implements Closable {
  readonly #tables: ServedTables
  #calls = 0
  #late = 0

  constructor(options?: MemoryStoreOptions) {
    this.#tables = new ServedTables(resolveOptions(options))
    if (!cluster.isPrimary || Object.hasOwn(cluster, SERVED)) {
      throw misuse(
        TypeError,
        'ERR_LIMITER_PRIMARY',
        'serveClusterStore() runs once, in the primary; workers use clusterStore()',
      )
    }
    Object.defineProperty(cluster, SERVED, { value: true, configurable: true })
    cluster.on('message', this.#onMessage)
    for (const worker of Object.values(cluster.workers ?? {})) if (worker) welcome(worker)
  }

  stats(): ClusterStoreServerStats {
    const stats = { keys: 0, evictions: 0, forgivenTokens: 0, calls: this.#calls, late: this.#late }
    for (const table of this.#tables.tables) {
      stats.keys += table.size
      stats.evictions += table.evictions
      stats.forgivenTokens += table.forgivenTokens
    }
    return stats
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Stops answering; the workers decide by their policy for failures from then on. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(() => {
    cluster.off('message', this.#onMessage)
    Reflect.deleteProperty(cluster, SERVED)
  })

  readonly #onMessage = (worker: Worker, message: unknown): void => {
    if (!isClusterMessage(message)) return
    if (message.type === 'hello') welcome(worker)
    else if (message.type === 'ask') {
      const late = machineTime() > message.latest
      if (late) this.#late++
      else this.#calls++
      const numbers = late ? [] : this.#tables.answer(message.keys, message.numbers)
      send(worker, { spillway: 'limiter', type: 'answer', id: message.id, numbers })
    }
  }
}

function welcome(worker: Worker): void {
  send(worker, { spillway: 'limiter', type: 'welcome', version: PROTOCOL })
}

/** A worker that goes away meanwhile needs no answer. */
function send(worker: Worker, message: ClusterMessage): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
