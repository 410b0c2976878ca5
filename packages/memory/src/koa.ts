import { applyVerdict } from '@spillway/kit/koa'
import type { Context, Middleware } from 'koa'
import { gate, isFresh, type ShedLoadOptions } from './http/gate.js'
import {
  type Answer,
  guard,
  liveness,
  type MemoryReportOptions,
  memoryReportAnswer,
  readiness as readinessAnswer,
} from './http/probes.js'
import type { MemoryMonitor } from './monitor.js'

/**
 * Load shedding: refuses requests while the process is overloaded: `app.use(shedLoad(monitor))`, before everything that costs something. It
 * throws an {@link OverloadedError} (503, `Retry-After`), for the app's error handling.
 *
 * @throws TypeError `ERR_MEMORY_OPTION`
 */
export function shedLoad(monitor: MemoryMonitor, options?: ShedLoadOptions<Context>): Middleware {
  const { isExempt, skip, priority } = gate(options)
  return (ctx, next) => {
    if (!monitor.calm && !isExempt(ctx.originalUrl) && !skip(ctx)) {
      applyVerdict(monitor.verdict(priority(ctx), monitor.measuring && isFresh(ctx.socket)), ctx)
    }
    return next()
  }
}

export interface PathOptions {
  /** The path that is answered; everything else goes on. */
  readonly path?: string
}

/** Liveness on `/healthz`, or another path: 200 as long as the process answers, whatever the level. */
export function health(monitor: MemoryMonitor, { path = '/healthz' }: PathOptions = {}): Middleware {
  return (ctx, next) => (ctx.path === path ? send(ctx, liveness(monitor)) : next())
}

/** Readiness on `/readyz`, or another path: 503 while the monitor is critical. */
export function readiness(monitor: MemoryMonitor, { path = '/readyz' }: PathOptions = {}): Middleware {
  return (ctx, next) => (ctx.path === path ? send(ctx, readinessAnswer(monitor)) : next())
}

/**
 * The memory report on `/memory`, or another path, for requests from this machine or with the token. `POST` takes a heap
 * snapshot.
 *
 * @throws TypeError | RangeError `ERR_MEMORY_OPTION`
 */
export function memoryReport(
  monitor: MemoryMonitor,
  { path = '/memory', ...options }: MemoryReportOptions<Context> & PathOptions = {},
): Middleware {
  const admit = guard(options)
  return async (ctx, next) => {
    if (ctx.path !== path) return next()
    await admit(ctx, ctx.req)
    const { method, originalUrl: target } = ctx
    send(ctx, await memoryReportAnswer(monitor, { method, target, accept: ctx.get('accept') }))
  }
}

function send(ctx: Context, { status, headers, body }: Answer): void {
  ctx.status = status
  ctx.set(headers)
  ctx.body = body
}

export { OverloadedError } from './errors.js'
export type { ShedLoadOptions } from './http/gate.js'
export type { MemoryReportOptions } from './http/probes.js'
