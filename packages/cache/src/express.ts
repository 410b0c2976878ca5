import type { Request, RequestHandler, Response } from 'express'
import type { Cache } from './cache.js'
import type { Answer } from './http/capture.js'
import type { CacheResponseOptions } from './http/http-options.js'
import { ResponseCache } from './http/response-cache.js'

export type ExpressCacheResponseOptions = CacheResponseOptions<[req: Request, res: Response]>

/**
 * Stores the responses of the handlers behind it and answers from the store, by the rules of RFC 9111.
 *
 * ```ts
 * app.use('/products', cacheResponse(cache, { ttl: '30s' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_CACHE_OPTION`
 */
export function cacheResponse(cache: Cache, options?: ExpressCacheResponseOptions): RequestHandler {
  const responses = new ResponseCache<[Request, Response]>(cache, options)
  return (req, res, next) => {
    const give = (answer: Answer | undefined) => (answer === undefined ? next() : send(answer, req, res))
    const exchange = {
      req,
      res,
      url: req.originalUrl,
      target: targetOf(req),
      scheme: req.protocol,
      before: () => res.getHeaders(),
    }
    const answer = responses.answer(exchange, [req, res])
    if (answer instanceof Promise) answer.then(give).catch(next)
    else give(answer)
  }
}

/** With what the routers have taken off, for which they may have put a slash. */
function targetOf({ baseUrl, url, originalUrl }: Request): string {
  const target = baseUrl + url
  return url.startsWith('/') && originalUrl === baseUrl + url.slice(1) ? originalUrl : target
}

function send({ status, headers, told, body }: Answer, req: Request, res: Response): void {
  res.status(status)
  for (const name in headers) res.setHeader(name, headers[name]!)
  for (const name in told) res.setHeader(name, told[name]!)
  if (req.method === 'HEAD') res.end()
  else res.end(body)
}
