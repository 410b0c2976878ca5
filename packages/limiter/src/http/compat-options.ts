import {
  anything,
  boolean,
  type Duration,
  duration,
  either,
  func,
  integer,
  misuse,
  nested,
  oneOf,
  optional,
  string,
} from '@spillway/kit'
import type { HeaderStyle } from './rate-limit-headers.js'
import type { MaybePromise, RateLimitOptions } from './gate-options.js'

type StandardHeaders = boolean | 'draft-6' | 'draft-7' | 'draft-8'

/** What an own `handler` gets as its last argument: the options as given, and what handlers of express-rate-limit read. */
export interface OptionsUsed {
  readonly statusCode: number
  /** As given; else the text that express-rate-limit would send. */
  readonly message: unknown
  readonly windowMs: number
  readonly limit: unknown
  readonly [name: string]: unknown
}

/** What the option `requestPropertyName` puts on a request. */
export interface RateLimitInfo {
  readonly limit: number
  readonly used: number
  readonly remaining: number
  /** When the bucket is full again, if nobody takes tokens. */
  readonly resetTime: Date | undefined
  readonly key: string
}

/** Options in the words of express-rate-limit, so that an app moves over by changing its import. */
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
   * Answer refusals with this body instead of the app's error handler. A function gets what a middleware gets and
   * returns the body, or sends the response itself.
   */
  readonly message?: unknown
  /** Answer refusals by this function; it gets what a middleware gets, then the options in effect. */
  readonly handler?: (...args: [...args: Args, options: OptionsUsed]) => unknown
  /** The request has a {@link RateLimitInfo} by this name. Default: `'rateLimit'` with `windowMs`, else none. */
  readonly requestPropertyName?: string
  /** Give the cost back for requests that were successful. */
  readonly skipSuccessfulRequests?: boolean
  /** Give the cost back for requests that were not successful, and when the client went away. */
  readonly skipFailedRequests?: boolean
  /** What successful means for these two; gets what a middleware gets. Default: a status below 400. */
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

/** All their validations; here a mistake in the options always throws, so only two of them have a meaning. */
const VALIDATIONS = [
  'default',
  'ip',
  'trustProxy',
  'xForwardedForHeader',
  'forwardedHeader',
  'positiveHits',
  'unsharedStore',
  'singleCount',
  'limit',
  'draftPolliHeaders',
  'onLimitReached',
  'headersResetTime',
  'headersDraftVersion',
  'validationsConfig',
  'creationStack',
  'ipv6Subnet',
  'ipv6SubnetOrKeyGenerator',
  'keyGeneratorIpFallback',
  'windowMs',
  'knownOptions',
] as const

export const COMPAT_CHECKS = {
  windowMs: optional(duration({ min: 1 })),
  max: optional(either(func(), integer({ min: 0 }))),
  keyGenerator: optional(func()),
  standardHeaders: optional(oneOf<StandardHeaders>(true, false, 'draft-6', 'draft-7', 'draft-8')),
  legacyHeaders: optional(boolean),
  identifier: optional(string()),
  message: optional(anything),
  handler: optional(func()),
  requestPropertyName: optional(string()),
  skipSuccessfulRequests: optional(boolean),
  skipFailedRequests: optional(boolean),
  requestWasSuccessful: optional(func()),
  ipv6Subnet: optional(either(oneOf<false>(false), integer({ min: 32, max: 128 }))),
  passOnStoreError: optional(boolean),
  validate: optional(
    either(boolean, nested(Object.fromEntries(VALIDATIONS.map((name) => [name, optional(boolean)])))),
  ),
} as const

/** Options of other limiters that mean nothing here, and what to use instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  // express-rate-limit
  draft_polli_ratelimit_headers: 'use headers: "triple"',
  onLimitReached: 'use "handler", or subscribe to the channel spillway:limiter:denied',
  retryAfter: 'it is worked out from the bucket',
  logger: 'warnings go through process.emitWarning()',
  // @fastify/rate-limit
  timeWindow: 'use "window"',
  allowList: 'use "skip"',
  redis: 'use store: redisStore(client)',
  nameSpace: 'use store: redisStore(client, { prefix })',
  skipOnError: 'use onStoreFailure: "allow"',
  errorResponseBuilder: 'use "message" or "handler"',
  enableDraftSpec: 'use headers: "triple"',
  addHeaders: 'use "headers"',
  addHeadersOnExceeding: 'use "headers"',
  hook: 'the limit is decided in onRequest',
  global: 'set config.rateLimit to false on the routes that have none',
  cache: 'use store: memoryStore({ maxKeys })',
  ban: 'use a second limit, over a longer window, with limiters.all()',
  continueExceeding: 'a refusal takes no tokens here',
  // rate-limiter-flexible, koa-ratelimit
  points: 'use "limit"',
  duration: 'use "window"',
  driver: 'use "store"',
  db: 'use store: redisStore(client)',
  id: 'use "key"',
  errorMessage: 'use "message"',
  disableHeader: 'use headers: false',
  whitelist: 'use "skip"',
  blacklist: 'refuse such clients before the limiter',
}

/**
 * Refuses what only other limiters understand, and says what to use instead.
 *
 * @throws TypeError `ERR_LIMITER_OPTION`
 */
export function refuseUnsupported(options: object): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(ELSEWHERE, name)) refuse(`has no option "${name}": ${ELSEWHERE[name]}`)
  }
  const { store, identifier } = options as { store?: unknown; identifier?: unknown }
  if (typeof store === 'object' && store !== null && 'increment' in store) {
    refuse(
      'option "store" takes memoryStore(), clusterStore() or redisStore(client), no store of express-rate-limit',
    )
  }
  if (typeof identifier === 'function') {
    refuse('option "identifier" is no function here: use "name", a text, for the limit')
  }
}

/** The same options in the words of this package. What is said in both words stands as said in these. */
export function withoutAliases<Args extends unknown[]>(options: RateLimitOptions<Args>): RateLimitOptions<Args> {
  return { ...options, ...defined(translated(options)) }
}

function translated<Args extends unknown[]>(options: RateLimitOptions<Args>) {
  const { passOnStoreError, ipv6Subnet, identifier, windowMs } = options
  return {
    name: options.name ?? identifier,
    window: options.window ?? windowMs,
    limit: options.limit ?? options.max,
    key: options.key ?? options.keyGenerator,
    headers: stylesOf(options),
    ipv6Prefix: options.ipv6Prefix ?? (ipv6Subnet === false ? 128 : ipv6Subnet),
    onStoreFailure:
      options.onStoreFailure ??
      (passOnStoreError === undefined
        ? undefined
        : passOnStoreError
          ? ('allow' as const)
          : ('deny' as const)),
    refundOn: refundRule(options),
    requestPropertyName: options.requestPropertyName ?? (windowMs === undefined ? undefined : 'rateLimit'),
  }
}

/** The header fields that the options ask for; `undefined` when they say nothing. */
function stylesOf({ headers, standardHeaders, legacyHeaders }: RateLimitOptions<never>) {
  if (headers !== undefined || (standardHeaders === undefined && legacyHeaders === undefined)) return headers
  const styles: HeaderStyle[] = []
  if (standardHeaders === true || standardHeaders === 'draft-6') styles.push('triple')
  else if (standardHeaders !== false) styles.push(standardHeaders ?? 'draft-8')
  if (legacyHeaders === true) styles.push('legacy')
  return styles.length === 0 ? false : styles
}

/** When the cost is given back. */
function refundRule<Args extends unknown[]>(
  options: RateLimitOptions<Args>,
): RateLimitOptions<Args>['refundOn'] {
  const {
    refundOn,
    skipSuccessfulRequests = false,
    skipFailedRequests = false,
    requestWasSuccessful,
  } = options
  if (!skipSuccessfulRequests && !skipFailedRequests) return refundOn
  return async (status, aborted, ...args) => {
    if (await refundOn?.(status, aborted, ...args)) return true
    if (aborted) return skipFailedRequests
    const successful = requestWasSuccessful === undefined ? status < 400 : await requestWasSuccessful(...args)
    return successful ? skipSuccessfulRequests : skipFailedRequests
  }
}

/** Whether to warn about a header with addresses that does not count, or about keys that are IPv6 addresses. */
export function warnsOf(
  { validate = true }: CompatOptions<never>,
  what: 'xForwardedForHeader' | 'keyGeneratorIpFallback',
): boolean {
  if (typeof validate === 'boolean') return validate
  return validate[what] ?? validate.default ?? true
}

function defined<T extends object>(values: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as object
}

function refuse(message: string): never {
  throw misuse(TypeError, 'ERR_LIMITER_OPTION', `rateLimit ${message}`)
}
