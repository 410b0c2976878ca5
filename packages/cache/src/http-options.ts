import {
  boolean,
  type Duration,
  defineOptions,
  duration,
  func,
  integer,
  list,
  optional,
  orFalse,
  type Size,
  size,
  string,
} from '@spillway/kit'
import type { KeyPart } from './key.js'

/** `Args` is what each framework hands to its handlers: `[req, res]`, `[request, reply]`, `[ctx]`. */
export interface CacheResponseOptions<Args extends unknown[]> {
  /**
   * How long a response is fresh that does not say so itself by `Cache-Control` or `Expires`. Default: false, such a
   * response is not stored.
   */
  readonly ttl?: Duration | false
  /** How long a response may be served stale while it is fetched anew, when it does not say. Default: false. */
  readonly swr?: Duration | false
  /** How long a stale response may be served instead of a 5xx, when it does not say. Default: false. */
  readonly staleIfError?: Duration | false
  /**
   * Who the response is for, as a part of the key: a user, a tenant. Given, requests with `Authorization` or `Cookie` are
   * cached like others. `undefined` for a request: do not cache it.
   */
  readonly key?: (...args: Args) => KeyPart | undefined
  /** Tags of the response, for `cache.deleteByTag`. */
  readonly tags?: (...args: Args) => readonly string[]
  /** True: leave this request alone. */
  readonly skip?: (...args: Args) => boolean
  /** Larger bodies are not stored. Default: `'1mb'`. */
  readonly maxBodyBytes?: Size
  /** Stored variants of one URL (by `Vary`) at most. Default: 50. */
  readonly maxVariants?: number
  /** How long requests for something that cannot be stored do not wait for each other. Default: `'10s'`. */
  readonly hitForMiss?: Duration
  /** How long requests wait for another one's response; then each runs the handler itself. Default: `'10s'`. */
  readonly wait?: Duration
  /** Obey `no-cache`, `max-age` and `only-if-cached` of clients. Default: true. */
  readonly clientDirectives?: boolean
  /** Request headers that count in any case, as if each response had them in `Vary`. Default: none. */
  readonly vary?: readonly string[]
  /** The name in the `Cache-Status` header; `false`: no such header. Default: `'spillway'`. */
  readonly statusName?: string | false
}

export const HTTP_DEFAULTS = Object.freeze({
  ttl: false,
  swr: false,
  staleIfError: false,
  maxBodyBytes: '1mb',
  maxVariants: 50,
  hitForMiss: '10s',
  wait: '10s',
  clientDirectives: true,
  vary: Object.freeze([]),
  statusName: 'spillway',
})

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

export const resolveHttpOptions = defineOptions(
  'cache',
  'cacheResponse',
  {
    ttl: orFalse(duration()),
    swr: orFalse(duration()),
    staleIfError: orFalse(duration()),
    key: optional(func()),
    tags: optional(func()),
    skip: optional(func()),
    maxBodyBytes: size(),
    maxVariants: integer({ min: 1 }),
    hitForMiss: duration(),
    wait: duration({ min: 1 }),
    clientDirectives: boolean,
    vary: list(string({ pattern: TOKEN, like: 'a header name' })),
    statusName: orFalse(string({ pattern: TOKEN, like: 'a token' })),
  },
  HTTP_DEFAULTS,
)

export type ResolvedHttpOptions = ReturnType<typeof resolveHttpOptions>
