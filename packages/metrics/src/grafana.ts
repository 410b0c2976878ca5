import { defineOptions, optional, string } from '@spillway/kit'

export interface GrafanaBoardOptions {
  /** Default `'Spillway'`. */
  readonly title?: string
  /** The uid of a Prometheus data source. Default: the viewer picks one, by a variable of the board. */
  readonly datasource?: string
}

const resolve = defineOptions(
  'metrics',
  'grafanaBoard',
  { title: string(), datasource: optional(string()) },
  { title: 'Spillway' },
)

interface Panel {
  readonly title: string
  readonly unit: string
  /** PromQL by its legend. */
  readonly queries: Readonly<Record<string, string>>
}

const RATE = '[$__rate_interval]'
const quantile = (q: number, by = '') =>
  `histogram_quantile(${q}, sum by (le${by}) (rate(http_request_duration_seconds_bucket${RATE})))`

const ROWS: Readonly<Record<string, readonly Panel[]>> = {
  Requests: [
    {
      title: 'Requests per second, by status',
      unit: 'reqps',
      queries: { '{{status}}': `sum by (status) (rate(http_request_duration_seconds_count${RATE}))` },
    },
    {
      title: 'Response time',
      unit: 's',
      queries: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
    },
    { title: 'p99 by route', unit: 's', queries: { '{{route}}': quantile(0.99, ', route') } },
    {
      title: 'Share of 5xx',
      unit: 'percentunit',
      queries: {
        errors: `sum(rate(http_request_duration_seconds_count{status=~"5.."}${RATE})) / sum(rate(http_request_duration_seconds_count${RATE}))`,
        'client gone': `sum(rate(http_request_duration_seconds_count{status="499"}${RATE})) / sum(rate(http_request_duration_seconds_count${RATE}))`,
      },
    },
    { title: 'In flight', unit: 'short', queries: { requests: 'sum(http_requests_in_flight)' } },
  ],
  Workers: [
    {
      title: 'Resident memory',
      unit: 'bytes',
      queries: { 'worker {{worker}}': 'spillway_process_resident_memory_bytes' },
    },
    {
      title: 'Used heap',
      unit: 'bytes',
      queries: { 'worker {{worker}}': 'spillway_process_heap_used_bytes' },
    },
    {
      title: 'Longest event-loop delay',
      unit: 's',
      queries: { 'worker {{worker}}': 'spillway_process_event_loop_delay_seconds' },
    },
    {
      title: 'Event-loop utilisation',
      unit: 'percentunit',
      queries: { 'worker {{worker}}': 'spillway_process_event_loop_utilization_ratio' },
    },
    { title: 'Cores used', unit: 'short', queries: { 'worker {{worker}}': 'spillway_process_cpu_ratio' } },
    { title: 'Age', unit: 's', queries: { 'worker {{worker}}': 'spillway_process_uptime_seconds' } },
  ],
  Packages: [
    {
      title: 'Cache: look-ups per second',
      unit: 'ops',
      queries: {
        'memory hits {{name}}': `sum by (name) (rate(spillway_cache_l1_hits_total${RATE}))`,
        'misses {{name}}': `sum by (name) (rate(spillway_cache_misses_total${RATE}))`,
      },
    },
    {
      title: 'Rate limit: decisions per second',
      unit: 'ops',
      queries: {
        'allowed {{name}}': `sum by (name) (rate(spillway_limiter_allowed_total${RATE}))`,
        'denied {{name}}': `sum by (name) (rate(spillway_limiter_denied_total${RATE}))`,
      },
    },
    {
      title: 'MySQL: connections',
      unit: 'short',
      queries: {
        'in use {{name}}': 'spillway_mysql_active',
        'calls waiting {{name}}': 'spillway_mysql_waiting',
        'limit {{name}}': 'spillway_mysql_limit',
      },
    },
    {
      title: 'MySQL: wait for a connection, p99',
      unit: 's',
      queries: { '{{name}} {{node}}': 'spillway_mysql_nodes_wait_p99_seconds' },
    },
    {
      title: 'Threads: calls per second, by outcome',
      unit: 'ops',
      queries: { '{{outcome}}': `sum by (outcome) (rate(spillway_offload_calls_total${RATE}))` },
    },
    {
      title: 'Memory: live heap and its limit',
      unit: 'bytes',
      queries: { live: 'spillway_memory_sample_heap_live', limit: 'spillway_memory_sample_heap_limit' },
    },
    {
      title: 'Supervisor: workers',
      unit: 'short',
      queries: {
        ready: 'spillway_cluster_ready',
        wanted: 'spillway_cluster_target',
        'forks so far': 'spillway_cluster_forks_total',
      },
    },
  ],
}

const COLUMNS = 3
const WIDTH = 24 / COLUMNS
const HEIGHT = 8

/**
 * A Grafana dashboard over the metrics of this package, ready to be imported (Dashboards, New, Import) or provisioned
 * from a file: `JSON.stringify(grafanaBoard())`.
 *
 * @throws TypeError `ERR_METRICS_OPTION`
 */
export function grafanaBoard(options: GrafanaBoardOptions = {}): Record<string, unknown> {
  const { title, datasource } = resolve(options)
  const source = { type: 'prometheus', uid: datasource ?? '$datasource' }
  const panels: Record<string, unknown>[] = []
  let y = 0
  for (const [row, members] of Object.entries(ROWS)) {
    panels.push({ type: 'row', title: row, collapsed: false, gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] })
    y++
    members.forEach((panel, i) => {
      const place = { x: (i % COLUMNS) * WIDTH, y: y + Math.floor(i / COLUMNS) * HEIGHT, w: WIDTH, h: HEIGHT }
      panels.push(timeSeries(panel, place, source))
    })
    y += Math.ceil(members.length / COLUMNS) * HEIGHT
  }
  return {
    title,
    tags: ['nodejs', 'spillway'],
    schemaVersion: 39,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: datasource === undefined ? [CHOICE] : [] },
    panels: panels.map((panel, i) => ({ id: i + 1, ...panel })),
  }
}

const CHOICE = { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' }

function timeSeries(
  { title, unit, queries }: Panel,
  gridPos: object,
  datasource: object,
): Record<string, unknown> {
  return {
    type: 'timeseries',
    title,
    gridPos,
    datasource,
    fieldConfig: { defaults: { unit, custom: { fillOpacity: 8, lineWidth: 1 } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
    targets: Object.entries(queries).map(([legendFormat, expr], i) => ({
      refId: String.fromCharCode(65 + i),
      datasource,
      expr,
      legendFormat,
    })),
  }
}
