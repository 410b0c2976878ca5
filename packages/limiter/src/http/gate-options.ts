import {
  anything,
  boolean,
  type Check,
  type Duration,
  defineOptions,
  either,
  func,
  having,
  integer,
  list,
  oneOf,
  optional,
  orFalse,
} from '@spillway/kit'
import { type Limit, type LimitOptions, limitOf } from '../bucket/limit.js'
import type { Answer } from '../bucket/store.js'
import { RateLimiter } from '../limiter.js'
import { RATE_LIMITER_CHECKS, type RateLimiterOptions } from '../options.js'
import type { Trust } from './address.js'
import { CLIENT_ADDRESS_CHECKS, CLIENT_ADDRESS_DEFAULTS } from './client-address.js'
import type { HeaderStyle } from './rate-limit-headers.js'
import { COMPAT_CHECKS, type CompatOptions } from './compat-options.js'

export type MaybePromise<T> = T | Promise<T>

/** What the adapters take beside the limit. `Args` are what the framework hands to a middleware. */
export interface GateOptions<Args extends unknown[]> {
  /** A limiter made elsewhere. Default: one made of the limit in these same options. */
  readonly limiter?: RateLimiter<Answer>
  /**
   * Who is limited: what the app has verified, such as the user of a session, or `clientAddress(req)`. A header that nobody
   * has checked is no key, since a client may invent another one for each request. Default: the address of the client, see
   * `trust`.
   */
  readonly key?: (...args: Args) => MaybePromise<string | undefined>
  /** Tokens this request costs. Default: 1. */
  readonly cost?: number | ((...args: Args) => MaybePromise<number>)
  /** The limit for this request (the plan of its user); with several limits, a record by name. */
  readonly limitFor?: (...args: Args) => MaybePromise<PerCall>
  /** Requests that are not counted. Default: none. */
  readonly skip?: (...args: Args) => MaybePromise<boolean>
  /** Proxies in front: how many, or in which subnets. Default: `0`, the address of the socket counts. */
  readonly trust?: Trust
  /** Bits of an IPv6 address that make the key, 32 to 128. Default: 64. */
  readonly ipv6Prefix?: number
  /** What to do without a key: `'error'` (500), `'allow'`, or `'deny'` (429). Default: `'error'`. */
  readonly onMissingKey?: 'error' | 'allow' | 'deny'
  /** Header fields that show the limits. Default: `'draft-8'`. */
  readonly headers?: HeaderStyle | readonly HeaderStyle[] | false
  /** Status of a refusal. Default: 429. */
  readonly statusCode?: number
  /** Answer refusals with an RFC 9457 problem document instead of the app's error handler. Default: `false`. */
  readonly problem?: boolean
  /** Give the cost back when the response ended like this. `aborted`: the client went away first. Then what a middleware gets. */
  readonly refundOn?: (status: number, aborted: boolean, ...args: Args) => MaybePromise<boolean>
}

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

export { trustCheck as trust } from './address.js'

const style = oneOf('draft-8', 'draft-7', 'triple', 'legacy')

const GATE_CHECKS = {
  limiter: optional(having<RateLimiter<Answer>>('a RateLimiter', 'consume', 'settle', 'stats')),
  key: optional(func()),
  cost: optional(anything),
  limitFor: optional(func()),
  skip: optional(func()),
  ...CLIENT_ADDRESS_CHECKS,
  onMissingKey: oneOf('error', 'allow', 'deny'),
  headers: orFalse(either(style, list(style, { min: 1 }))),
  statusCode: integer({ min: 400, max: 599 }),
  problem: boolean,
  refundOn: optional(func()),
  ...COMPAT_CHECKS,
} as const

export const RATE_LIMIT_DEFAULTS = Object.freeze({
  ...CLIENT_ADDRESS_DEFAULTS,
  onMissingKey: 'error',
  headers: 'draft-8',
  statusCode: 429,
  problem: false,
})

const limiterNames = Object.keys(RATE_LIMITER_CHECKS)
const optionalLimiterChecks = Object.fromEntries(
  limiterNames.map((name) => [name, optional(anything)]),
) as Record<string, Check<unknown>>
export const resolveGate = defineOptions(
  'limiter',
  'rateLimit',
  { ...optionalLimiterChecks, ...GATE_CHECKS },
  RATE_LIMIT_DEFAULTS,
)

/**
 * The limiter that the options describe. One whose limit is told for each request has a placeholder of its own.
 *
 * @param scope tells it from others with the same numbers and no name
 */
export function limiterFor<Args extends unknown[]>(
  options: RateLimitOptions<Args>,
  scope?: string,
): RateLimiter<Answer> {
  if (options.limiter !== undefined) return options.limiter
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => limiterNames.includes(name)))
  const varies = typeof own.limit === 'function'
  if (varies) own.limit = 1
  return new RateLimiter<Answer>(own as object as RateLimiterOptions, { varies, scope })
}

/** The limit of a request, where the options have a function for that; `placeholder` stands for it in the limiter. */
export function limitRule<Args extends unknown[]>(
  options: RateLimitOptions<Args>,
  placeholder: Limit,
): ((...args: Args) => MaybePromise<PerCall>) | undefined {
  const { limit, window, limitFor } = options
  if (typeof limit !== 'function' || window === undefined) return limitFor
  const known = new Map<number, Limit>()
  const limitOfCount = (count: number) => {
    const made = known.get(count) ?? limitOf({ limit: count, window }, placeholder)
    if (known.size < MOST_PLANS) known.set(count, made)
    return made
  }
  return (...args) => {
    const count = limit(...args)
    return count instanceof Promise ? count.then(limitOfCount) : limitOfCount(count)
  }
}

const LIMIT_NAMES = [
  'name',
  'identifier',
  'capacity',
  'refill',
  'limit',
  'window',
  'max',
  'windowMs',
  'limitFor',
  'limiter',
]

/** Whether the options of a route describe a limiter of its own. */
export function hasOwnLimiter<Args extends unknown[]>(own: RateLimitOptions<Args>): boolean {
  return Object.entries(own).some(
    ([name, value]) => value !== undefined && (limiterNames.includes(name) || OTHER_NAMES.includes(name)),
  )
}

/** The options of a route: its own, and those of the whole app where it says nothing. A limit is never mixed. */
export function overriding<Args extends unknown[]>(
  options: RateLimitOptions<Args>,
  own: RateLimitOptions<Args>,
): RateLimitOptions<Args> {
  const kept = Object.entries(options).filter(
    ([name]) => !(LIMIT_NAMES.includes(name) && LIMIT_NAMES.some((each) => each in own)),
  )
  return { ...Object.fromEntries(kept), ...own }
}

/** What describes a limiter beside the options of `RateLimiter`. */
const OTHER_NAMES = [...LIMIT_NAMES.filter((name) => name !== 'limitFor'), 'passOnStoreError']

/** Limits that are kept ready; an app has a few plans. */
const MOST_PLANS = 100
