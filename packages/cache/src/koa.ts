import type { Context, Middleware } from 'koa'
import type { Cache } from './cache.js'
import type { CacheResponseOptions } from './http-options.js'
import { ResponseCache } from './response-cache.js'

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
  return async (ctx, next) => {
    const { req, res, originalUrl } = ctx
    const exchange = { req, res, url: originalUrl, before: () => res.getHeaders() }
    const found = responses.answer(exchange, [ctx])
    const answer = found instanceof Promise ? await found : found
    if (answer === undefined) return next()
    ctx.status = answer.status
    // Before the headers, so that Koa's own guess at the type and length does not replace them.
    if (answer.status !== 304 && answer.status !== 204) ctx.body = answer.body
    ctx.remove('content-type')
    for (const name in answer.headers) ctx.set(name, answer.headers[name]!)
  }
}
