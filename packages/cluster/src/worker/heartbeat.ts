import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Load } from '../ipc/messages.js'
import type { Runtime } from './runtime.js'

/** Reports to the supervisor that the event loop turns, and what it is busy with. Returns the end of it. */
export function startHeartbeat(host: Runtime, interval: number): () => void {
  // Resolution in milliseconds; finer costs more than it tells.
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  let loop = performance.eventLoopUtilization()
  let cpu = process.cpuUsage()
  let at = performance.now()
  let rss = 0
  const timer = setInterval(() => {
    const now = performance.now()
    const nextLoop = performance.eventLoopUtilization()
    const { user, system } = process.cpuUsage(cpu)
    rss = residentMemory() ?? rss
    const load: Load = {
      utilization: performance.eventLoopUtilization(nextLoop, loop).utilization,
      lag: Math.max(0, delay.max / 1e6 - 20),
      cpu: (user + system) / 1000 / Math.max(1, now - at),
      rss,
      heapUsed: getHeapStatistics().used_heap_size,
      ...host.traffic(),
    }
    host.send({ type: 'load', ...load })
    loop = nextLoop
    cpu = process.cpuUsage()
    at = now
    delay.reset()
  }, interval).unref()
  return () => {
    clearInterval(timer)
    delay.disable()
  }
}

/** Read from a file of the kernel: a worker without a free descriptor cannot, and must not end for that. */
function residentMemory(): number | undefined {
  try {
    return process.memoryUsage.rss()
  } catch {
    return undefined
  }
}
