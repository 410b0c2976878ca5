import type { Duration } from '@spillway/kit'
import type { Priority } from '../options.js'

/** Options of a route that is answered by a task, the same on all frameworks. */
export interface RouteOptions {
  /** How long the request may take in all, waiting and running; then the error handler gets a 504. Default: `false`. */
  readonly deadline?: Duration | false
  /** How long the task may run. Default: the task's. */
  readonly timeout?: Duration | false
  /** Default: the task's. */
  readonly priority?: Priority
  /**
   * `'sse'`: the answer is a stream of server-sent events: `progress` for each `report(progress)` of the task, then
   * `result`, or `error` when it fails after the first event. What fails before goes to the error handler. Default:
   * `false`.
   */
  readonly progress?: 'sse' | false
}

/** The part of a {@link RouteOptions} that goes with each call. */
export type RouteCall = Pick<RouteOptions, 'deadline' | 'timeout' | 'priority'>

/** The options of each call of a route, without the absent ones. */
export function routeCall({ deadline, timeout, priority }: RouteOptions): RouteCall {
  return {
    ...(deadline !== undefined && { deadline }),
    ...(timeout !== undefined && { timeout }),
    ...(priority !== undefined && { priority }),
  }
}

/** Binary results are sent as they are, and everything else as the framework sends it. */
export function bodyOf(output: unknown): unknown {
  if (output instanceof Uint8Array) return Buffer.from(output.buffer, output.byteOffset, output.byteLength)
  return output
}
