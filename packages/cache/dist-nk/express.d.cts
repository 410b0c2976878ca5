import { Request, Response, RequestHandler } from 'express';
import { C as Cache } from './cache-BUtfsv7u.cjs';
import { C as CacheResponseOptions } from './http-options-CdlLsmmZ.cjs';

type ExpressCacheResponseOptions = CacheResponseOptions<[req: Request, res: Response]>;
/**
 * Stores the responses of the handlers behind it and answers from the store, by the rules of RFC 9111.
 *
 * ```ts
 * app.use('/products', cacheResponse(cache, { ttl: '30s' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_CACHE_OPTION`
 */
declare function cacheResponse(cache: Cache, options?: ExpressCacheResponseOptions): RequestHandler;

export { type ExpressCacheResponseOptions, cacheResponse };
