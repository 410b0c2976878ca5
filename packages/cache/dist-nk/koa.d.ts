import { Context, Middleware } from 'koa';
import { C as Cache } from './cache-BUtfsv7u.js';
import { C as CacheResponseOptions } from './http-options-CS9qV_is.js';

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
