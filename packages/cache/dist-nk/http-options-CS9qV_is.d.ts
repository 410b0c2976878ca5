import { k as Duration, K as KeyPart, l as Size } from './cache-BUtfsv7u.js';

/** `Args` is what each framework hands to its handlers: `[req, res]`, `[request, reply]`, `[ctx]`. */
interface CacheResponseOptions<Args extends unknown[]> {
    /**
     * How long a response is fresh that does not say so itself by `Cache-Control` or `Expires`. Default: false, such a
     * response is not stored.
     */
    readonly ttl?: Duration | false;
    /** How long a response may be served stale while it is fetched anew, when it does not say. Default: false. */
    readonly swr?: Duration | false;
    /** How long a stale response may be served instead of a 5xx, when it does not say. Default: false. */
    readonly staleIfError?: Duration | false;
    /**
     * Request headers by which clients say who they are. A response to a request with one of them is not shared, unless it says
     * that it is for everybody (`public`, `s-maxage`). Name every header that your app knows its users by, such as `X-API-Key`:
     * **a response that depends on one that is not named here is given to everybody.** Replaces the default,
     * `['authorization', 'cookie']`. A verified TLS client certificate always counts as one.
     */
    readonly credentialHeaders?: readonly string[];
    /**
     * Who the response is for, as a part of the key: a user, a tenant. Given, requests with credentials are cached like
     * others. `undefined` for a request: do not cache it.
     */
    readonly key?: (...args: Args) => KeyPart | undefined;
    /** Tags of the response, for `cache.deleteByTag`. */
    readonly tags?: (...args: Args) => readonly string[];
    /** True: leave this request alone. */
    readonly skip?: (...args: Args) => boolean;
    /** Larger bodies are not stored. Default: `'1mb'`. */
    readonly maxBodyBytes?: Size;
    /** Stored variants of one URL (by `Vary`) at most. Default: 50. */
    readonly maxVariants?: number;
    /** How long requests for something that cannot be stored do not wait for each other. Default: `'10s'`. */
    readonly hitForMiss?: Duration;
    /** How long requests wait for another one's response; then each runs the handler itself. Default: `'10s'`. */
    readonly wait?: Duration;
    /**
     * How long requests wait for the rest of a response whose head is there; then each runs the handler itself, and it is not
     * stored. Bodies that come piece by piece, without a `Content-Length`, are not waited for at all. Default: `'500ms'`.
     */
    readonly bodyWait?: Duration;
    /**
     * Obey the `Cache-Control` (`no-cache`, `no-store`, `max-age`, `only-if-cached`) and `Pragma` of clients, as RFC 9111
     * wants. Any client can then run the handler each time; `false` shields the app from that. Default: true.
     */
    readonly clientDirectives?: boolean;
    /** Request headers that count in any case, as if each response had them in `Vary`. Default: none. */
    readonly vary?: readonly string[];
    /** The name in the `Cache-Status` header; `false`: no such header. Default: `'spillway'`. */
    readonly statusName?: string | false;
}

export type { CacheResponseOptions as C };
