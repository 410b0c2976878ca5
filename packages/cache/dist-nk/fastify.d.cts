import { FastifyRequest, FastifyReply, FastifyPluginAsync } from 'fastify';
import { C as Cache } from './cache-BUtfsv7u.cjs';
import { C as CacheResponseOptions } from './http-options-CdlLsmmZ.cjs';

/** Of one route, by its `config.cacheResponse`. */
type FastifyRouteCacheOptions = CacheResponseOptions<[request: FastifyRequest, reply: FastifyReply]>;
interface FastifyCacheResponseOptions extends FastifyRouteCacheOptions {
    readonly cache: Cache;
}
declare module 'fastify' {
    interface FastifyContextConfig {
        /** Other options for the responses of this route, or `false`: they are not cached. */
        cacheResponse?: FastifyRouteCacheOptions | false;
    }
}
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
declare const cacheResponse: FastifyPluginAsync<FastifyCacheResponseOptions>;

export { type FastifyCacheResponseOptions, type FastifyRouteCacheOptions, cacheResponse, cacheResponse as default };
