import { responseSignal } from '@spillway/kit'
import { refuse } from '@spillway/kit/koa'
import type { Context, Middleware } from 'koa'

import { bodyOf, type RouteOptions, routeCall } from './http/route.js'
import { eventStream, SSE_HEADERS } from './http/sse.js'
import type { Task } from './task.js'

export { closeWith } from './http/close-with.js'

export interface OffloadOptions<Input, Output> extends RouteOptions {
  /** The task's input, from the request. */
  readonly input: (ctx: Context) => Input | Promise<Input>
  /** Answers with the task's output. Default: it becomes `ctx.body`. */
  readonly reply?: (output: Output, ctx: Context) => void | Promise<void>
}

/**
 * A middleware that answers with a task. A client that goes away stops the task; a refusal (503), a timeout (504) and
 * the task's own errors are thrown.
 *
 * ```ts
 * router.post('/thumbnails', offload(resize, { input: (ctx) => ctx.request.body }))
 * ```
 */
export function offload<Input, Output>(
  task: Task<Input, Output>,
  options: OffloadOptions<Input, Output>,
): Middleware {
  const { input, reply = send } = options
  const call = routeCall(options)
  return async (ctx) => {
    const signal = responseSignal(ctx.res)
    const run = async (onProgress?: (progress: unknown) => void) =>
      task(await input(ctx), { ...call, signal, onProgress })
    try {
      if (options.progress === 'sse') {
        const events = await eventStream(run)
        ctx.set(SSE_HEADERS)
        ctx.body = events
      } else await reply(await run(), ctx)
    } catch (error) {
      // The client has left: no answer is needed, and no log line.
      if (!signal.aborted) refuse(error, ctx)
    }
  }
}

function send(output: unknown, ctx: Context): void {
  ctx.body = bodyOf(output)
}
