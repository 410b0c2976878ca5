import cluster from 'node:cluster'
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client'

/**
 * Node's own figures: prom-client's defaults, which merge over workers, and beside them a few gauges that keep the
 * worker apart, since the one that is ill is what one looks for. Returns what stops the measuring.
 */
export function processGauges(registry: Registry): () => void {
  if (registry.getSingleMetric('process_cpu_seconds_total') === undefined) {
    collectDefaultMetrics({ register: registry })
  }
  const worker = String(cluster.worker?.id ?? 0)
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  let loop: EventLoopUtilization = performance.eventLoopUtilization()
  let cpu = process.cpuUsage()
  let at = performance.now()

  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `spillway_process_${name}`,
      help,
      labelNames: ['worker'],
      registers: [registry],
      collect() {
        this.set({ worker }, read())
      },
    })
  }

  gauge('resident_memory_bytes', 'Resident memory of one process', () => process.memoryUsage.rss())
  gauge('heap_used_bytes', 'Used heap of one process', () => process.memoryUsage().heapUsed)
  gauge('event_loop_delay_seconds', 'Longest event-loop delay since the last scrape', () => {
    const longest = delay.max / 1e9
    delay.reset()
    return longest
  })
  gauge('event_loop_utilization_ratio', 'Share of time the event loop was busy since the last scrape', () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, loop)
    loop = now
    return utilization
  })
  gauge('cpu_ratio', 'Cores used since the last scrape: 1 is one whole core', () => {
    const used = process.cpuUsage(cpu)
    const elapsed = performance.now() - at
    cpu = process.cpuUsage()
    at = performance.now()
    return elapsed > 0 ? (used.user + used.system) / 1_000 / elapsed : 0
  })
  gauge('uptime_seconds', 'Age of one process', () => process.uptime())

  return () => delay.disable()
}
