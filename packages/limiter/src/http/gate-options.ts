import {
  anything,
  boolean,
  type Check,
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
import { type Limit, limitOf } from '../bucket/limit.js'
import type { Answer } from '../bucket/store.js'
import { RateLimiter } from '../limiter.js'
import { RATE_LIMITER_CHECKS, type RateLimiterOptions } from '../options.js'
import { CLIENT_ADDRESS_CHECKS, CLIENT_ADDRESS_DEFAULTS } from './client-address.js'
import { COMPAT_CHECKS } from './compat-options.js'
import type { MaybePromise, PerCall, RateLimitOptions } from './rate-limit-options.js'

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

/** The function that tells the limit of a request, if the options have one; `placeholder` is the limit of the limiter. */
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

/** The options of a route: its own, completed by those of the app. A limit comes from one of the two, never from both. */
export function overriding<Args extends unknown[]>(
  options: RateLimitOptions<Args>,
  own: RateLimitOptions<Args>,
): RateLimitOptions<Args> {
  const kept = Object.entries(options).filter(
    ([name]) => !(LIMIT_NAMES.includes(name) && LIMIT_NAMES.some((each) => each in own)),
  )
  return { ...Object.fromEntries(kept), ...own }
}

/** The options that describe a limiter, beside those of `RateLimiter`. */
const OTHER_NAMES = [...LIMIT_NAMES.filter((name) => name !== 'limitFor'), 'passOnStoreError']

/** Most limits that are kept resolved; an app has a few plans. */
const MOST_PLANS = 100
