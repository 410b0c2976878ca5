import type { StatsSchema } from './snapshot-reader.js'

const cache: StatsSchema = {
  counters: [
    'l1.hits',
    'l2.hits',
    'l2.timeouts',
    'misses',
    'stale',
    'loads',
    'loadErrors',
    'joins',
    'leaseWaits',
    'invalidations',
  ],
  sums: ['l1.entries', 'l1.bytes', 'l2.serversAway', 'l2.pending', 'l2.queuedInvalidations', 'inFlight'],
  ratios: {
    'l1.hitRatio': { of: ['l1.hits'], to: ['l1.hits', 'l2.hits', 'misses', 'joins'] },
    'l2.hitRatio': { of: ['l2.hits'], to: ['l2.hits', 'misses', 'joins'] },
  },
  greatest: ['l2.breakerOpen'],
  least: ['l2.ready', 'l2.busHealthy'],
  omit: ['name'],
}

const mysql: StatsSchema = {
  counters: [
    ...['queries', 'errors', 'retries', 'slow', 'leaks'],
    ...['opened', 'lost', 'resets', 'rollbacks', 'acquired', 'refused', 'acquireTimeouts', 'kills'].map(
      ofNode,
    ),
    ...['count', 'errors', 'rows', 'totalMs', 'waitedMs'].map(ofStatement),
  ],
  milliseconds: [
    ...['lagMs', 'waitP50Ms', 'waitP99Ms'].map(ofNode),
    ...['totalMs', 'waitedMs', 'p50Ms', 'p99Ms', 'maxMs'].map(ofStatement),
  ],
  greatest: [
    ...['lagMs', 'waitP50Ms', 'waitP99Ms'].map(ofNode),
    ...['p50Ms', 'p99Ms', 'maxMs'].map(ofStatement),
  ],
  sums: [
    ...['active', 'idle', 'waiting', 'limit'],
    ...['limit', 'effectiveLimit', 'active', 'idle', 'connecting', 'waiting'].map(ofNode),
  ],
  states: ['state', 'role'].map(ofNode),
  records: { nodes: 'node', statements: 'statement' },
  omit: [...['node', 'position'].map(ofNode), ofStatement('statement')],
}

function ofNode(name: string): string {
  return `nodes.*.${name}`
}

function ofStatement(name: string): string {
  return `statements.*.${name}`
}

const limiter: StatsSchema = {
  counters: [
    ...['allowed', 'denied', 'shadowed', 'fallbacks'],
    ...['store.evictions', 'store.forgivenTokens', 'store.calls', 'store.failures'],
  ],
  // A store that several workers share reports the keys of this process only.
  sums: ['waiting', 'remembered.keys', 'remembered.bytes', 'store.keys', 'store.bytes'],
  least: ['store.up'],
  omit: ['limits', 'store.store'],
}

const concurrency: StatsSchema = {
  counters: ['admitted', 'refused'],
  sums: ['limit', 'inFlight', 'waiting', 'keys'],
}

const DURATIONS = ['mean', 'p50', 'p90', 'p99', 'max']
const durationsOf = (path: string): string[] => DURATIONS.map((name) => `${path}.${name}`)

const offload: StatsSchema = {
  counters: [
    ...['threads.started', 'threads.recycled', 'calls.*', 'wait.count', 'run.count'],
    ...['tasks.*.completed', 'tasks.*.failed', 'tasks.*.run.count'],
  ],
  milliseconds: ['queue.expectedWait', ...['wait', 'run', 'tasks.*.run'].flatMap(durationsOf)],
  greatest: ['queue.expectedWait', ...['wait', 'run', 'tasks.*.run'].flatMap(durationsOf)],
  sums: [
    ...['max', 'alive', 'idle', 'booting', 'stuck'].map((name) => `threads.${name}`),
    ...['queue.size', 'queue.max', 'tasks.*.running'],
  ],
  averages: ['utilisation'],
  records: { calls: 'outcome', tasks: 'task' },
}

const memory: StatsSchema = {
  counters: [
    ...['samples', 'requests', 'refused', 'replacementsAsked', 'forcedCollections', 'snapshots'],
    ...['collections.*.count', 'collections.*.pause'],
  ],
  milliseconds: [
    ...['sample.loop.p50', 'sample.loop.p99', 'sample.loop.max'],
    ...['collections.*.pause', 'collections.*.longest'],
  ],
  greatest: [
    ...['overloaded', 'sample.loop.p50', 'sample.loop.p99', 'sample.loop.max', 'sample.heapLimit'],
    ...['used', 'limit'].map((name) => `sample.memory.${name}`),
    ...['full', 'limitHits', 'killed'].map((name) => `sample.pressure.${name}`),
    // The limit is that of one process, so these are not sums, but those of the process nearest to it.
    ...['rss', 'heapTotal', 'heapUsed', 'heapLive', 'heapAhead', 'external', 'arrayBuffers', 'native'].map(
      (name) => `sample.${name}`,
    ),
    'collections.*.longest',
  ],
  sums: ['leaks', 'sample.cpu', 'sample.allocationRate'],
  averages: ['shedShare', 'sample.loop.utilization'],
  states: ['level'],
  records: { collections: 'kind' },
  omit: ['sample.at', 'sample.memory.source', 'reasons'],
}

const cluster: StatsSchema = {
  counters: [
    ...['forks', 'restarts.*', 'reloads.*', 'drains.clean', 'drains.forced', 'drains.lost'],
    ...['durations.*.count', 'durations.*.total', 'logs.dropped'],
  ],
  milliseconds: ['durations.*.total', 'durations.*.longest', 'workers.*.age', 'workers.*.startup'],
  sums: ['target', 'ready'],
  greatest: ['degraded', 'generation', 'durations.*.longest', 'workers.*.age', 'workers.*.startup'],
  states: ['phase', 'workers.*.state'],
  records: { restarts: 'cause', reloads: 'outcome', durations: 'state', workers: 'worker' },
  omit: [
    ...['name', 'listening', 'logs.error', 'workers.*.outdated', 'workers.*.id', 'workers.*.pid'],
    ...['workers.*.slot', 'workers.*.generation', 'workers.*.load'],
  ],
}

/** The schemas of the Spillway packages, by the `kind` that is passed to `watch()`. */
export const SCHEMAS: Readonly<Record<string, StatsSchema>> = Object.freeze({
  cache,
  mysql,
  limiter,
  concurrency,
  offload,
  memory,
  cluster,
})
