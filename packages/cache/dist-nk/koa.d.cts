import { Context, Middleware } from 'koa';
import { C as Cache } from './cache-BUtfsv7u.cjs';
import { C as CacheResponseOptions } from './http-options-CdlLsmmZ.cjs';

type KoaCacheResponseOptions = CacheResponseOptions<[ctx: Context]>;
/**
 * Stores the responses of the middleware behind it and answers from the store, by the rules of RFC 9111.
 *
 * ```ts
 * app.use(cacheResponse(cache, { ttl: '30s' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_CACHE_OPTION`
 */
declare function cacheResponse(cache: Cache, options?: KoaCacheResponseOptions): Middleware;

export { type KoaCacheResponseOptions, cacheResponse };
