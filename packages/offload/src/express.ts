import { responseSignal } from '@spillway/kit'
import { refuse } from '@spillway/kit/express'
import type { Request, RequestHandler, Response } from 'express'

import { bodyOf, type RouteOptions, routeCall } from './http/route.js'
import { eventStream, SSE_HEADERS } from './http/sse.js'
import type { Task } from './task.js'

export { closeWith } from './http/close-with.js'

export interface OffloadOptions<Input, Output, Req extends Request = Request> extends RouteOptions {
  /** The task's input, from the request. */
  readonly input: (req: Req) => Input | Promise<Input>
  /** Answers with the task's output. Default: `res.send` for binary results and strings, `res.json` for the rest. */
  readonly reply?: (output: Output, req: Req, res: Response) => void | Promise<void>
}

/**
 * A route that is answered by a task. A client that goes away stops the task; a refusal (503), a timeout (504) and the
 * task's own errors go to the app's error handler. A refusal or a timeout that no handler of the app answers is answered here.
 *
 * ```ts
 * app.post('/thumbnails', express.raw({ type: 'image/*' }), offload(resize, { input: (req) => req.body }))
 * ```
 */
export function offload<Input, Output, Req extends Request = Request>(
  task: Task<Input, Output>,
  options: OffloadOptions<Input, Output, Req>,
): RequestHandler {
  const { input, reply = send } = options
  const call = routeCall(options)
  return (req, res, next) => {
    const signal = responseSignal(res)
    const run = async (onProgress?: (progress: unknown) => void) =>
      task(await input(req as Req), { ...call, signal, onProgress })
    const answered =
      options.progress === 'sse'
        ? eventStream(run).then((events) => {
            res.writeHead(200, SSE_HEADERS)
            events.pipe(res)
            signal.addEventListener('abort', () => events.destroy(), { once: true })
          })
        : run().then((output) => reply(output, req as Req, res))
    answered.catch((error) => {
      // The client has left: no answer is needed, and no log line.
      if (!signal.aborted) refuse(error, res, next)
    })
  }
}

function send(output: unknown, _req: Request, res: Response): void {
  if (typeof output === 'string' || output instanceof Uint8Array) res.send(bodyOf(output))
  else res.json(output)
}
