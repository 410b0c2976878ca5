import type { Context, Middleware } from 'koa'
import type { Cache } from './cache.js'
import type { Answer } from './http/capture.js'
import type { CacheResponseOptions } from './http/http-options.js'
import { ResponseCache } from './http/response-cache.js'

export type KoaCacheResponseOptions = CacheResponseOptions<[ctx: Context]>

/**
 * Stores the responses of the middleware behind it and answers from the store, by the rules of RFC 9111.
 *
 * ```ts
 * app.use(cacheResponse(cache, { ttl: '30s' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_CACHE_OPTION`
 */
export function cacheResponse(cache: Cache, options?: KoaCacheResponseOptions): Middleware {
  const responses = new ResponseCache<[Context]>(cache, options)
  return (ctx, next) => {
    const { req, res, originalUrl: url, protocol: scheme } = ctx
    // A mount takes the beginning off.
    const target = url.endsWith(ctx.url) ? url : ctx.url
    const give = (answer: Answer | undefined) => (answer === undefined ? next() : send(answer, ctx))
    const exchange = { req, res, url, target, scheme, before: () => res.getHeaders() }
    const answer = responses.answer(exchange, [ctx])
    return answer instanceof Promise ? answer.then(give) : give(answer)
  }
}

function send({ status, headers, told, body }: Answer, ctx: Context): void {
  const { res } = ctx
  ctx.status = status
  for (const name in headers) res.setHeader(name, headers[name]!)
  for (const name in told) res.setHeader(name, told[name]!)
  if (status === 304 || status === 204) return
  ctx.body = body
  // Koa has guessed.
  if (headers['content-type'] === undefined) ctx.remove('content-type')
}
