import cluster, { type Worker } from 'node:cluster'
import { type Closable, type CloseOptions, closeOnce, defineOptions, misuse } from '@spillway/kit'
import {
  MEMORY_STORE_CHECKS,
  MEMORY_STORE_DEFAULTS,
  type MemoryStoreOptions,
} from '../memory/memory-store.js'
import { sizesOf } from '../memory/memory-table.js'
import { type ClusterMessage, machineTime, PROTOCOL, parseMessage } from './cluster-message.js'
import { ServedTables } from './served-tables.js'

/** Figures of the primary. */
export interface ClusterStoreServerStats {
  /** Limits that buckets are kept for. */
  readonly limits: number
  /** Buckets in the primary. */
  readonly keys: number
  /** Upper estimate of the bytes that the buckets and their keys take. */
  readonly bytes: number
  readonly evictions: number
  readonly forgivenTokens: number
  /** Messages answered, each for many decisions. */
  readonly calls: number
  /** Messages that came after their deadline. */
  readonly late: number
  /** Messages that looked like a request but were none: nothing was changed, and no answer was sent. */
  readonly refused: number
}

type Ask = Extract<ClusterMessage, { type: 'ask' }>

/** One server per primary, also over copies of this package. */
const SERVED = Symbol.for('spillway.limiter.served')

const resolveOptions = defineOptions(
  'limiter',
  'serveClusterStore',
  MEMORY_STORE_CHECKS,
  MEMORY_STORE_DEFAULTS,
)

/**
 * Serves the buckets of `clusterStore()` in the workers. Call it in the primary, before or after workers are forked, by plain
 * `node:cluster` or by a supervisor.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 * @throws TypeError `ERR_LIMITER_PRIMARY` in a worker, or when this primary serves already
 */
export function serveClusterStore(options?: MemoryStoreOptions): ClusterStoreServer {
  return new ClusterStoreServer(options)
}

/** Server of the buckets in the primary of a cluster. */
export class ClusterStoreServer implements Closable {
  readonly #tables: ServedTables
  #calls = 0
  #late = 0
  #refused = 0

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
    return {
      ...sizesOf(this.#tables.tables),
      limits: this.#tables.size,
      calls: this.#calls,
      late: this.#late,
      refused: this.#refused,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Stops answering; the workers decide by their policy for failures from then on. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(() => {
    cluster.off('message', this.#onMessage)
    Reflect.deleteProperty(cluster, SERVED)
  })

  readonly #onMessage = (worker: Worker, raw: unknown): void => {
    const message = parseMessage(raw)
    if (message?.type === 'hello') welcome(worker)
    else if (message?.type === 'ask') this.#answer(worker, message)
  }

  #answer(worker: Worker, { id, keys, numbers, latest }: Ask): void {
    const late = machineTime() > latest
    const answer = late ? [] : this.#tables.answer(keys, numbers)
    if (answer === undefined) {
      this.#refused++
      return
    }
    if (late) this.#late++
    else this.#calls++
    send(worker, { spillway: 'limiter', type: 'answer', id, numbers: answer })
  }
}

function welcome(worker: Worker): void {
  send(worker, { spillway: 'limiter', type: 'welcome', version: PROTOCOL })
}

/** Sends no answer to a worker that has ended meanwhile. */
function send(worker: Worker, message: ClusterMessage): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
