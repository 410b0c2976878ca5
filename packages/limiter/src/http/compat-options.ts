import {
  anything,
  boolean,
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
import type { CompatOptions, RateLimitOptions, StandardHeaders } from './rate-limit-options.js'

/** The validations of express-rate-limit. Here a mistake in the options always throws, so only two of them have a meaning. */
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

/** Options of other limiters that have no meaning here, and what to use instead. */
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
 * Refuses options that only other limiters understand, and says what to use instead.
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

/** The same options by the names of this package. Where an option is given by both names, that of this package counts. */
export function withoutAliases<Args extends unknown[]>(
  options: RateLimitOptions<Args>,
): RateLimitOptions<Args> {
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
