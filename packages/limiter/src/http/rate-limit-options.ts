import type { Duration } from '@spillway/kit'
import type { Limit, LimitOptions } from '../bucket/limit.js'
import type { Answer } from '../bucket/store.js'
import type { RateLimiter } from '../limiter.js'
import type { RateLimiterOptions } from '../options.js'
import type { Trust } from './address.js'
import type { HeaderStyle } from './rate-limit-headers.js'

export type MaybePromise<T> = T | Promise<T>

/** Options of the adapters beside the limit. `Args` are the arguments of a middleware. */
export interface GateOptions<Args extends unknown[]> {
  /** A limiter made elsewhere. Default: one made of the limit in these same options. */
  readonly limiter?: RateLimiter<Answer>
  /**
   * The key of a request: an identity that the app has verified, such as the user of a session, or `clientAddress(req)`. A
   * header that the app has not checked is no key, since a client may invent another one for each request. Default: the
   * address of the client, see `trust`.
   */
  readonly key?: (...args: Args) => MaybePromise<string | undefined>
  /** Tokens this request costs. Default: 1. */
  readonly cost?: number | ((...args: Args) => MaybePromise<number>)
  /** The limit for this request (the plan of its user); with several limits, a record by name. */
  readonly limitFor?: (...args: Args) => MaybePromise<PerCall>
  /** Requests that are not counted. Default: none. */
  readonly skip?: (...args: Args) => MaybePromise<boolean>
  /** Proxies in front of the app: their number, or their subnets. Default: `0`, the address of the socket counts. */
  readonly trust?: Trust
  /** Bits of an IPv6 address that make the key, 32 to 128. Default: 64. */
  readonly ipv6Prefix?: number
  /** Policy for a request without a key: `'error'` (500), `'allow'`, or `'deny'` (429). Default: `'error'`. */
  readonly onMissingKey?: 'error' | 'allow' | 'deny'
  /** Header fields that show the limits. Default: `'draft-8'`. */
  readonly headers?: HeaderStyle | readonly HeaderStyle[] | false
  /** Status of a refusal. Default: 429. */
  readonly statusCode?: number
  /** Answer refusals with an RFC 9457 problem document instead of the app's error handler. Default: `false`. */
  readonly problem?: boolean
  /** Give the cost back when the response ended like this. `aborted`: the client went away first. Then come the arguments of a middleware. */
  readonly refundOn?: (status: number, aborted: boolean, ...args: Args) => MaybePromise<boolean>
}

/** A limit for one request; for several limits, a record by name. `undefined`: the limit of the limiter. */
export type PerCall = Limit | LimitOptions | Readonly<Record<string, Limit | LimitOptions>> | undefined

/** Options of `rateLimit`: the limit itself, or a `limiter`, and how requests are measured by it. */
export type RateLimitOptions<Args extends unknown[]> = GateOptions<Args> &
  CompatOptions<Args> &
  Partial<Omit<RateLimiterOptions, 'limit'>> & {
    readonly capacity?: number
    readonly refill?: { readonly tokens: number; readonly per: Duration }
    /** Requests per window; a function tells it for each request, such as by the plan of its user. */
    readonly limit?: number | ((...args: Args) => MaybePromise<number>)
    readonly window?: Duration
  }

export type StandardHeaders = boolean | 'draft-6' | 'draft-7' | 'draft-8'

/** Last argument of a `handler`: the options as given, and the members that handlers for express-rate-limit read. */
export interface OptionsUsed {
  readonly statusCode: number
  /** As given; else the text that express-rate-limit would send. */
  readonly message: unknown
  readonly windowMs: number
  readonly limit: unknown
  readonly [name: string]: unknown
}

/** The value of the request property that the option `requestPropertyName` names. */
export interface RateLimitInfo {
  /** Requests, or tokens, of a full bucket. */
  readonly limit: number
  /** Tokens in use. */
  readonly used: number
  /** Tokens left. */
  readonly remaining: number
  /** When the bucket is full again, if no call takes tokens. */
  readonly resetTime: Date | undefined
  readonly key: string
}

/** Options by the names of express-rate-limit, so that an app moves over by changing its import. */
export interface CompatOptions<Args extends unknown[]> {
  /** Same as `window`. */
  readonly windowMs?: Duration
  /** Same as `limit`. */
  readonly max?: number | ((...args: Args) => MaybePromise<number>)
  /** Same as `key`. */
  readonly keyGenerator?: (...args: Args) => MaybePromise<string | undefined>
  /** `true` and `'draft-6'` are `headers: 'triple'`; the others are called the same here. */
  readonly standardHeaders?: StandardHeaders
  /** `true` adds `headers: 'legacy'`. Here the default is `false`. */
  readonly legacyHeaders?: boolean
  /** A text that names the limit; same as `name`. */
  readonly identifier?: string
  /**
   * Answer refusals with this body instead of the app's error handler. A function gets the arguments of a
   * middleware and returns the body, or sends the response itself.
   */
  readonly message?: unknown
  /** Answer refusals by this function; it gets the arguments of a middleware, then the options in effect. */
  readonly handler?: (...args: [...args: Args, options: OptionsUsed]) => unknown
  /** The request has a {@link RateLimitInfo} by this name. Default: `'rateLimit'` with `windowMs`, else none. */
  readonly requestPropertyName?: string
  /** Give the cost back for requests that were successful. */
  readonly skipSuccessfulRequests?: boolean
  /** Give the cost back for requests that were not successful, and when the client went away. */
  readonly skipFailedRequests?: boolean
  /** Whether a request was successful, for these two; gets the arguments of a middleware. Default: a status below 400. */
  readonly requestWasSuccessful?: (...args: Args) => MaybePromise<boolean>
  /** Same as `ipv6Prefix`; `false` is 128. Here the default is 64. */
  readonly ipv6Subnet?: number | false
  /** `true` is `onStoreFailure: 'allow'`, `false` is `'deny'`. */
  readonly passOnStoreError?: boolean
  /**
   * `false` for no warnings; `{ xForwardedForHeader: false }` for none about an `X-Forwarded-For` that does not count,
   * `{ keyGeneratorIpFallback: false }` for none about a `key` that returns IPv6 addresses.
   */
  readonly validate?:
    | boolean
    | {
        readonly default?: boolean
        readonly xForwardedForHeader?: boolean
        readonly keyGeneratorIpFallback?: boolean
      }
}
