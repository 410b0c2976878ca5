import type { RefusalOptions } from '@spillway/kit/express'
import type { Request, RequestHandler } from 'express'
import type { ShedLoadOptions } from './http/gate.js'
import * as http from './http/http.js'
import type { MemoryReportOptions } from './http/probes.js'
import type { MemoryMonitor } from './monitor.js'

/**
 * Load shedding: refuses requests while the process is overloaded: `app.use(shedLoad(monitor))`, before everything that costs something. The
 * app's error handler gets an {@link OverloadedError} (503, `Retry-After`); when the app has none, it is answered here, see
 * `onRefused`. Express 4 and 5.
 *
 * @throws TypeError `ERR_MEMORY_OPTION`
 */
export function shedLoad(
  monitor: MemoryMonitor,
  options?: ShedLoadOptions<Request> & RefusalOptions,
): RequestHandler {
  return http.shedLoad(monitor, options)
}

/** Liveness: `app.get('/healthz', health(monitor))`. 200 as long as the process answers, whatever the level. */
export function health(monitor: MemoryMonitor): RequestHandler {
  return http.health(monitor)
}

/** Readiness: `app.get('/readyz', readiness(monitor))`. 503 while the monitor is critical. */
export function readiness(monitor: MemoryMonitor): RequestHandler {
  return http.readiness(monitor)
}

/**
 * The memory report: `app.all('/memory', memoryReport(monitor))`, for requests from this machine or with the token. `POST`
 * takes a heap snapshot.
 *
 * @throws TypeError | RangeError `ERR_MEMORY_OPTION`
 */
export function memoryReport(monitor: MemoryMonitor, options?: MemoryReportOptions<Request>): RequestHandler {
  return http.memoryReport(monitor, options)
}

export { OverloadedError } from './errors.js'
export type { ShedLoadOptions } from './http/gate.js'
export type { MemoryReportOptions } from './http/probes.js'
