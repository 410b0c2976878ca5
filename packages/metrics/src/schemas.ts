import type { StatsSchema } from './schema.js'

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
  averages: ['l1.hitRatio', 'l2.hitRatio'],
  greatest: ['l2.breakerOpen'],
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
  states: ['state', 'role'].map(ofNode),
  records: { nodes: 'node', statements: 'statement' },
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
  omit: ['limits'],
}

const concurrency: StatsSchema = { counters: ['admitted', 'refused'] }

const DURATIONS = ['mean', 'p50', 'p90', 'p99', 'max']
const durationsOf = (path: string): string[] => DURATIONS.map((name) => `${path}.${name}`)

const offload: StatsSchema = {
  counters: [
    ...['threads.started', 'threads.recycled', 'calls.*', 'wait.count', 'run.count'],
    ...['tasks.*.completed', 'tasks.*.failed', 'tasks.*.run.count'],
  ],
  milliseconds: ['queue.expectedWait', ...['wait', 'run', 'tasks.*.run'].flatMap(durationsOf)],
  greatest: ['queue.expectedWait', ...['wait', 'run', 'tasks.*.run'].flatMap(durationsOf)],
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
    ...['sample.memory.used', 'sample.memory.limit', 'collections.*.longest', 'sample.pressure.full'],
  ],
  averages: ['shedShare', 'sample.loop.utilization'],
  states: ['level'],
  records: { collections: 'kind' },
  omit: ['sample.at'],
}

const cluster: StatsSchema = {
  counters: [
    ...['forks', 'restarts.*', 'reloads.*', 'drains.clean', 'drains.forced', 'drains.lost'],
    ...['durations.*.count', 'durations.*.total'],
  ],
  milliseconds: ['durations.*.total', 'durations.*.longest', 'workers.*.age', 'workers.*.startup'],
  greatest: ['durations.*.longest'],
  states: ['phase', 'workers.*.state'],
  records: { restarts: 'cause', reloads: 'outcome', durations: 'state', workers: 'worker' },
  omit: ['workers.*.id', 'workers.*.pid', 'workers.*.slot', 'workers.*.generation', 'workers.*.load'],
}

/** How the snapshots of the Spillway packages are read, by the kind that `watch()` is told. */
export const SCHEMAS: Readonly<Record<string, StatsSchema>> = Object.freeze({
  cache,
  mysql,
  limiter,
  concurrency,
  offload,
  memory,
  cluster,
})
