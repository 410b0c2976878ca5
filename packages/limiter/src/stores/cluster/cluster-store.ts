import cluster from 'node:cluster'
import { type Duration, defineOptions, duration } from '@spillway/kit'
import { BucketNames } from '../../bucket/bucket-names.js'
import { MEMORY_STORE_DEFAULTS } from '../memory/memory-store.js'
import { type Request, SharedStore } from '../shared/shared-store.js'
import { type ClusterMessage, machineTime, PROTOCOL, parseMessage } from './cluster-message.js'
import { ServedTables } from './served-tables.js'

export interface ClusterStoreOptions {
  /** How long a decision may take before the policy for failures decides instead. Default: `'250ms'`. */
  readonly deadline?: Duration
}

export const CLUSTER_STORE_DEFAULTS = Object.freeze({ deadline: 250 })

const resolveOptions = defineOptions(
  'limiter',
  'clusterStore',
  { deadline: duration({ min: 1, max: 60_000 }) },
  CLUSTER_STORE_DEFAULTS,
)

/**
 * Buckets in the primary of `node:cluster`, shared by all its workers; the primary must call `serveClusterStore()`. In a
 * process that is no cluster worker there is nobody to share with, and the buckets are in the process itself.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function clusterStore(options?: ClusterStoreOptions): ClusterStore {
  return new ClusterStore(options)
}

const IDS = Symbol.for('spillway.limiter.ids')
/** The stores of this process: one listener for all, since Node warns of a leak from the eleventh on. */
const listeners = new Set<(message: unknown) => void>()

function listen(listener: (message: unknown) => void): void {
  if (listeners.size === 0) cluster.worker?.on('message', relay)
  listeners.add(listener)
}

function relay(message: unknown): void {
  for (const listener of listeners) listener(message)
}

interface Pending {
  resolve(numbers: readonly number[]): void
  reject(reason: Error): void
}

export class ClusterStore extends SharedStore {
  readonly source = 'cluster'
  protected readonly names = new BucketNames(cluster.isWorker ? 'cluster' : undefined)
  readonly #pending = new Map<number, Pending>()
  readonly #own = cluster.isWorker ? undefined : new ServedTables(MEMORY_STORE_DEFAULTS)
  /** The primary speaks another version of the protocol; asking it would be wrong. */
  #foreign: Error | undefined

  constructor(options?: ClusterStoreOptions) {
    super(resolveOptions(options).deadline)
    if (this.#own !== undefined) return
    listen(this.#onMessage)
    this.#post({ spillway: 'limiter', type: 'hello', version: PROTOCOL }, () => {})
  }

  bucketOf(key: string, limit: string): string {
    return `${limit} ${key}`
  }

  protected slotOf(): number {
    return 0
  }

  protected nodeOf(): string {
    return ''
  }

  protected send({ id, keys, numbers, deadline }: Request): Promise<readonly number[]> {
    if (this.#own !== undefined) return Promise.resolve(this.#own.answer(keys, numbers) ?? [])
    if (this.#foreign !== undefined) return Promise.reject(this.#foreign)
    const latest = machineTime() + deadline - performance.now()
    return new Promise<readonly number[]>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#post({ spillway: 'limiter', type: 'ask', id, keys, numbers, latest }, reject)
    })
  }

  /** All stores of the process, also those of another copy of this package, use one channel. */
  protected override nextId(): number {
    const world = globalThis as { [IDS]?: number }
    world[IDS] = (world[IDS] ?? 0) + 1
    return world[IDS]
  }

  protected override forget(id: number): void {
    this.#pending.delete(id)
  }

  protected release(): void {
    listeners.delete(this.#onMessage)
    if (listeners.size === 0) cluster.worker?.off('message', relay)
  }

  readonly #onMessage = (raw: unknown): void => {
    const message = parseMessage(raw)
    if (message?.type === 'welcome') {
      this.#foreign =
        message.version === PROTOCOL
          ? undefined
          : new Error(`The primary speaks version ${message.version} of the protocol, not ${PROTOCOL}`)
      this.retryNow('')
    } else if (message?.type === 'answer') {
      const pending = this.#pending.get(message.id)
      if (message.numbers.length > 0) pending?.resolve(message.numbers)
      else pending?.reject(new Error('The call reached the primary too late'))
    }
  }

  #post(message: ClusterMessage, failed: (reason: Error) => void): void {
    if (!process.connected || process.send === undefined) {
      failed(new Error('The primary is gone'))
      return
    }
    process.send(message, undefined, undefined, (error: Error | null) => error && failed(error))
  }
}
