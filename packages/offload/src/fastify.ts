import { RejectedError, responseSignal } from '@spillway/kit'
import { plugin, setHeaders } from '@spillway/kit/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bodyOf, type RouteOptions, routeCall } from './http/route.js'
import { eventStream, SSE_HEADERS } from './http/sse.js'
import type { Offloader } from './offloader.js'
import type { Task } from './task.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Set when {@link offloaderPlugin} is registered. */
    offloader: Offloader
  }
}

export interface OffloadOptions<Input, Output, Req extends FastifyRequest = FastifyRequest>
  extends RouteOptions {
  /** The task's input, from the request. */
  readonly input: (request: Req) => Input | Promise<Input>
  /** Answers with the task's output; what it returns is sent. Default: the output itself. */
  readonly reply?: (output: Output, request: Req, reply: FastifyReply) => unknown
}

/**
 * A route handler that answers with a task. A client that goes away stops the task; a refusal (503), a timeout (504)
 * and the task's own errors go to the app's error handler.
 *
 * ```ts
 * app.post('/thumbnails', offload(resize, { input: (request) => request.body }))
 * ```
 */
export function offload<Input, Output, Req extends FastifyRequest = FastifyRequest>(
  task: Task<Input, Output>,
  options: OffloadOptions<Input, Output, Req>,
): (request: Req, reply: FastifyReply) => Promise<unknown> {
  const { input, reply: answer = bodyOf } = options
  const call = routeCall(options)
  return async (request, reply) => {
    const signal = responseSignal(reply.raw)
    const run = async (onProgress?: (progress: unknown) => void) =>
      task(await input(request), { ...call, signal, onProgress })
    try {
      if (options.progress === 'sse') {
        const events = await eventStream(run)
        return reply.headers(SSE_HEADERS).send(events)
      }
      const body = await answer(await run(), request, reply)
      return reply.sent ? reply : reply.send(body)
    } catch (error) {
      if (!signal.aborted) {
        if (error instanceof RejectedError) setHeaders(reply, error.headers)
        throw error
      }
      // The client has left: no answer is needed, and no log line.
      return reply.hijack()
    }
  }
}

export interface OffloaderPluginOptions {
  readonly offloader: Offloader
  /** Close the offloader with the app. Default: true. */
  readonly close?: boolean
}

/** Puts the offloader on the app as `app.offloader` and closes it with the app. */
export const offloaderPlugin = plugin(
  '@spillway/offload',
  async (app: FastifyInstance, { offloader, close = true }: OffloaderPluginOptions): Promise<void> => {
    app.decorate('offloader', offloader)
    if (close) app.addHook('onClose', () => offloader.close())
  },
)
