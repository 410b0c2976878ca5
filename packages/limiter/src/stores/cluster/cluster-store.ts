import cluster from 'node:cluster'
import { type Duration, defineOptions, duration } from '@spillway/kit'
import { BucketNames } from '../../bucket/bucket-names.js'
import { MEMORY_STORE_DEFAULTS } from '../memory/memory-store.js'
import { SharedStore } from '../remote/shared-store.js'
import { IpcTransport } from './ipc-transport.js'
import { LocalTransport } from './local-transport.js'
import { ServedTables } from './served-tables.js'

/** Options of `clusterStore`. */
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
 * Buckets in the primary of `node:cluster`, shared by all its workers; the primary must call `serveClusterStore()`. A
 * process that is no cluster worker keeps the buckets itself.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function clusterStore(options?: ClusterStoreOptions): ClusterStore {
  const { deadline } = resolveOptions(options)
  return cluster.isWorker
    ? new SharedStore(new IpcTransport(), new BucketNames('cluster'), deadline)
    : new SharedStore(
        new LocalTransport(new ServedTables(MEMORY_STORE_DEFAULTS)),
        new BucketNames(),
        deadline,
      )
}

/** A store over the primary of a cluster, with the events `down` and `up`. */
export type ClusterStore = SharedStore
