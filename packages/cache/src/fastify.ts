import { plugin } from '@spillway/kit/fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Cache } from './cache.js'
import type { Answer } from './http/capture.js'
import type { CacheResponseOptions } from './http/http-options.js'
import { ResponseCache } from './http/response-cache.js'

/** Of one route, by its `config.cacheResponse`. */
export type FastifyRouteCacheOptions = CacheResponseOptions<[request: FastifyRequest, reply: FastifyReply]>

export interface FastifyCacheResponseOptions extends FastifyRouteCacheOptions {
  readonly cache: Cache
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Other options for the responses of this route, or `false`: they are not cached. */
    cacheResponse?: FastifyRouteCacheOptions | false
  }
}

type Responses = ResponseCache<[FastifyRequest, FastifyReply]>

/**
 * Stores the responses of every route of the scope it is registered in and answers from the store, by the rules of
 * RFC 9111. It decides in `preHandler`, after authentication in `onRequest` and the parsing of the body.
 *
 * ```ts
 * await app.register(cacheResponse, { cache, ttl: '30s' })
 * app.get('/me', { config: { cacheResponse: false } }, handler)
 * ```
 *
 * @throws TypeError | RangeError `ERR_CACHE_OPTION`
 */
export const cacheResponse: FastifyPluginAsync<FastifyCacheResponseOptions> = plugin(
  '@spillway/cache',
  async (app: FastifyInstance, { cache, ...options }: FastifyCacheResponseOptions) => {
    const own: Responses = new ResponseCache(cache, options)
    const ofRoutes = new WeakMap<object, Responses>()
    const responsesOf = (config: FastifyRouteCacheOptions | undefined): Responses => {
      if (config === undefined) return own
      let responses = ofRoutes.get(config)
      if (responses === undefined) ofRoutes.set(config, (responses = new ResponseCache(cache, config)))
      return responses
    }
    app.addHook('preHandler', (request, reply, done) => {
      const config = request.routeOptions.config.cacheResponse
      if (config === false) return done()
      const give = (answer: Answer | undefined) => {
        if (answer === undefined) done()
        else send(answer, reply)
      }
      const exchange = {
        req: request.raw,
        res: reply.raw,
        url: request.originalUrl,
        target: request.url,
        scheme: request.protocol,
        before: () => reply.getHeaders(),
      }
      try {
        const answer = responsesOf(config).answer(exchange, [request, reply])
        if (answer instanceof Promise) answer.then(give).catch(done)
        else give(answer)
      } catch (error) {
        done(asError(error))
      }
    })
  },
)

export default cacheResponse

/** A callback of the user's may throw anything. */
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown })
}

function send({ status, headers, told, body }: Answer, reply: FastifyReply): FastifyReply {
  reply.code(status).headers(headers).headers(told)
  return status === 304 || status === 204 ? reply.send() : reply.send(body)
}
