import cluster from 'node:cluster'
import { performance } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client'
import { ProcessWindow } from './process-window.js'

/**
 * Registers the figures of the Node process: prom-client's defaults, which merge over workers, and a few with the label
 * `worker`, which show the one worker that is slow or leaks. Returns a function that stops the measuring.
 */
export function processGauges(registry: Registry): () => void {
  const window = new ProcessWindow()
  if (registry.getSingleMetric('process_cpu_seconds_total') === undefined) {
    collectDefaultMetrics({ register: registry })
    replaceLag(registry, window)
  }
  const labelNames = ['worker']
  const worker = String(cluster.worker?.id ?? 0)
  const registers = [registry]

  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `spillway_process_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.set({ worker }, read())
      },
    })
  }
  const counter = (name: string, help: string, read: () => number): void => {
    let counted = 0
    new Counter({
      name: `spillway_process_${name}_total`,
      help,
      labelNames,
      registers,
      collect() {
        const now = Math.max(counted, read())
        this.inc({ worker }, now - counted)
        counted = now
      },
    })
  }

  gauge('resident_memory_bytes', 'Resident memory of one process', () => process.memoryUsage.rss())
  gauge('heap_used_bytes', 'Used heap of one process', () => process.memoryUsage().heapUsed)
  gauge('event_loop_delay_seconds', 'Longest event-loop delay in the last 10 to 20 seconds', () =>
    seconds(window.delay.max),
  )
  gauge(
    'event_loop_utilization_ratio',
    'Share of time the event loop was busy in the last 10 to 20 seconds',
    () => window.utilization,
  )
  gauge('cpu_ratio', 'Cores used in the last 10 to 20 seconds: 1 is one whole core', () => window.cpu)
  gauge('uptime_seconds', 'Age of one process', () => process.uptime())
  counter('event_loop_busy_seconds', 'Time the event loop was busy', () => {
    return performance.eventLoopUtilization().active / 1_000
  })
  counter('cpu_seconds', 'Time of cores used', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })

  return () => window.close()
}

/** Replaces prom-client's event-loop lag, which starts anew at each read: two readers would take it from each other. */
function replaceLag(registry: Registry, window: ProcessWindow): void {
  const lag = (suffix: string, aggregator: 'min' | 'max' | 'average', read: () => number): void => {
    const name = `nodejs_eventloop_lag${suffix}_seconds`
    registry.removeSingleMetric(name)
    new Gauge({
      name,
      help: 'Event-loop delay in the last 10 to 20 seconds',
      registers: [registry],
      aggregator,
      collect() {
        this.set(seconds(read()))
      },
    })
  }
  lag('', 'average', () => window.delay.mean)
  lag('_min', 'min', () => window.delay.min)
  lag('_max', 'max', () => window.delay.max)
  lag('_mean', 'average', () => window.delay.mean)
  lag('_stddev', 'average', () => window.delay.stddev)
  lag('_p50', 'average', () => window.delay.percentile(50))
  lag('_p90', 'average', () => window.delay.percentile(90))
  lag('_p99', 'average', () => window.delay.percentile(99))
}

/** Nanoseconds as seconds. An empty histogram has NaN as its mean and a huge number as its minimum: both become 0. */
function seconds(nanoseconds: number): number {
  return nanoseconds < 2 ** 53 ? nanoseconds / 1e9 : 0
}
