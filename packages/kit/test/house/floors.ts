import type { PUBLISHED } from './files.js'

/**
 * The floors of each package, from the top. A room is a folder (`http/`) or, at the top level of `src/`, a file. An import
 * goes to the same room or to a lower floor. Folders of one floor do not import each other; files of the top level may.
 */
export const FLOORS: Readonly<Record<(typeof PUBLISHED)[number], readonly string[]>> = {
  cache: [
    'index express fastify koa',
    'http/',
    'cache stats',
    'load/',
    'tiers/',
    'stores/redis/ stores/memcached/ stores/memory/',
    'stores/',
    'coherence/ entry/',
    'options errors channels key short-name store',
  ],
  cluster: [
    'index express fastify koa cli agent watchdog',
    'cli/',
    'supervisor stats autoscaler signals systemd port templates/',
    'fleet/',
    'control/ logs/ fork/ worker/',
    'ipc/',
    'connections/',
    'options errors events',
  ],
  limiter: [
    'index express fastify koa',
    'http/',
    'all limiter waiting concurrency/',
    'stores/redis/ stores/cluster/',
    'stores/shared/',
    'stores/memory/',
    'bucket/',
    'options errors',
  ],
  memory: [
    'index express fastify koa',
    'http/',
    'monitor report replacement',
    'leak/ shedding/',
    'heap/',
    'sampling/',
    'diff-worker options errors level advice',
  ],
  metrics: [
    'index express fastify koa',
    'cluster-metrics collected-by dashboard drops endpoint errors events exposition grafana member merge messages metrics mounts node-http options process-gauges process-window recent requests schema schemas series source worker-link',
  ],
  mysql: [
    'index express fastify koa',
    'http/',
    'sharding/',
    'pool',
    'session/ plan',
    'events core',
    'topology/',
    'server-pool/',
    'connection/',
    'statement/',
    'options errors errno channels uri',
  ],
  offload: [
    'index express fastify koa',
    'http/ tasks',
    'offloader map stats',
    'ready/',
    'scheduling/',
    'threads/',
    'jobs/',
    'worker',
    'worker/',
    'wire/',
    'task sizing options errors',
  ],
}
