import type { IncomingMessage, ServerResponse } from 'node:http'
import { plugin } from '@spillway/kit/fastify'
import type { Mounts } from '@spillway/kit/testing'
import type { FastifyInstance } from 'fastify'

/** A middleware that knows nothing of frameworks: it takes hold of the request and the response themselves. */
export type Raw = (req: IncomingMessage, res: ServerResponse) => void

/** Mounts it on all frameworks, in the place where it is mounted. */
export function raw(work: Raw): Mounts {
  return {
    express: (app) =>
      app.use((req, res, next) => {
        work(req, res)
        next()
      }),
    fastify: (app) =>
      app.register(
        plugin('raw', async (scope: FastifyInstance) => {
          scope.addHook('preHandler', async (request, reply) => {
            work(request.raw, reply.raw)
          })
        }),
      ),
    koa: (app) =>
      app.use(async (ctx, next) => {
        work(ctx.req, ctx.res)
        await next()
      }),
  }
}

/** Does something just before the head is written, as `on-headers` does. */
export function late(change: Raw): Raw {
  return (req, res) => {
    const { writeHead } = res
    let done = false
    res.writeHead = ((...args: unknown[]) => {
      if (!done) {
        done = true
        change(req, res)
      }
      return Reflect.apply(writeHead, res, args)
    }) as typeof writeHead
  }
}

/** Gives `writeHead` more headers than it was called with: in an object, or in a flat list. */
export function given(headers: Readonly<Record<string, string>>, form: 'object' | 'list'): Raw {
  return (_req, res) => {
    const { writeHead } = res
    res.writeHead = ((status: number, ...rest: unknown[]) => {
      const more = typeof rest[0] === 'string' ? rest[1] : rest[0]
      const flat = Array.isArray(more) ? more : Object.entries((more ?? {}) as object).flat()
      const names = Object.keys(headers).map((name) => name.toLowerCase())
      const kept = flat.filter((_, i) => !names.includes(String(flat[i - (i % 2)]).toLowerCase()))
      const all = [...kept, ...Object.entries(headers).flat()]
      return Reflect.apply(writeHead, res, [
        status,
        form === 'list'
          ? all
          : Object.fromEntries(all.flatMap((each, i) => (i % 2 ? [] : [[each, all[i + 1]]]))),
      ])
    }) as typeof writeHead
  }
}
