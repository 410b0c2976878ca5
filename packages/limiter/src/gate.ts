import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  anything,
  boolean,
  type Check,
  type Duration,
  defineOptions,
  duration,
  either,
  func,
  having,
  integer,
  list,
  misuse,
  oneOf,
  onResponseEnd,
  optional,
  orFalse,
  type Verdict,
} from '@spillway/kit'
import { ClientAddress, type Trust } from './address.js'
import type { Decision } from './decision.js'
import { refusalOf } from './errors.js'
import { type HeaderStyle, headersOf, problemOf } from './fields.js'
import type { Limit, LimitOptions } from './limit.js'
import { type ConsumeOptions, RateLimiter } from './limiter.js'
import { RATE_LIMITER_CHECKS, type RateLimiterOptions } from './options.js'
import type { Answer } from './store.js'

type MaybePromise<T> = T | Promise<T>
type StandardHeaders = boolean | 'draft-6' | 'draft-7' | 'draft-8'

/** What the adapters take beside the limit. `Args` are what the framework hands to a middleware. */
export interface GateOptions<Args extends unknown[]> {
  /** A limiter made elsewhere. Default: one made of the limit in these same options. */
  readonly limiter?: RateLimiter<Answer>
  /** Who is limited. Default: the address of the client, see `trust`. */
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
  /** Give the cost back when the response ended like this. `aborted`: the client went away first. */
  readonly refundOn?: (status: number, aborted: boolean) => boolean
  /** express-rate-limit: the window in milliseconds. Same as `window`. */
  readonly windowMs?: Duration
  /** express-rate-limit: same as `limit`. */
  readonly max?: number
  /** express-rate-limit: same as `key`. */
  readonly keyGenerator?: (...args: Args) => MaybePromise<string | undefined>
  /** express-rate-limit: `true` or `'draft-6'` is the triple, `'draft-7'` and `'draft-8'` are `draft-8`. */
  readonly standardHeaders?: StandardHeaders
  /** express-rate-limit: the `X-RateLimit-*` fields. Here the default is `false`. */
  readonly legacyHeaders?: boolean
  /** express-rate-limit: answer refusals with this body instead of the app's error handler. */
  readonly message?: unknown
  /** express-rate-limit: answer refusals by this function; it gets what a middleware gets. */
  readonly handler?: (...args: Args) => unknown
  /** express-rate-limit: give the cost back for statuses below 400. */
  readonly skipSuccessfulRequests?: boolean
  /** express-rate-limit: give the cost back for statuses from 400, and when the client went away. */
  readonly skipFailedRequests?: boolean
}

export type PerCall = Limit | LimitOptions | Readonly<Record<string, Limit | LimitOptions>> | undefined

/** Options of `rateLimit`: the limit itself, or a `limiter`, and how requests are measured by it. */
export type RateLimitOptions<Args extends unknown[]> = GateOptions<Args> &
  Partial<Omit<RateLimiterOptions, 'limit'>> & {
    readonly capacity?: number
    readonly refill?: { readonly tokens: number; readonly per: Duration }
    readonly limit?: number
    readonly window?: Duration
  }

const style = oneOf('draft-8', 'triple', 'legacy')
const trust: Check<Trust> = either(
  integer({ min: 0, max: 64 }),
  list(having<string & object>('a subnet') as Check<string>),
)

const GATE_CHECKS = {
  limiter: optional(having<RateLimiter<Answer>>('a RateLimiter', 'consume', 'settle', 'stats')),
  key: optional(func()),
  cost: optional(anything),
  limitFor: optional(func()),
  skip: optional(func()),
  trust,
  ipv6Prefix: integer({ min: 32, max: 128 }),
  onMissingKey: oneOf('error', 'allow', 'deny'),
  headers: orFalse(either(style, list(style, { min: 1 }))),
  statusCode: integer({ min: 400, max: 599 }),
  problem: boolean,
  refundOn: optional(func()),
  windowMs: optional(duration({ min: 1 })),
  max: optional(integer({ min: 0 })),
  keyGenerator: optional(func()),
  standardHeaders: optional(oneOf<StandardHeaders>(true, false, 'draft-6', 'draft-7', 'draft-8')),
  legacyHeaders: optional(boolean),
  message: optional(anything),
  handler: optional(func()),
  skipSuccessfulRequests: optional(boolean),
  skipFailedRequests: optional(boolean),
} as const

export const RATE_LIMIT_DEFAULTS = Object.freeze({
  trust: 0,
  ipv6Prefix: 64,
  onMissingKey: 'error',
  headers: 'draft-8',
  statusCode: 429,
  problem: false,
})

const limiterNames = Object.keys(RATE_LIMITER_CHECKS)
const optionalLimiterChecks = Object.fromEntries(
  limiterNames.map((name) => [name, optional(anything)]),
) as Record<string, Check<unknown>>
const resolveGate = defineOptions(
  'limiter',
  'rateLimit',
  { ...optionalLimiterChecks, ...GATE_CHECKS },
  RATE_LIMIT_DEFAULTS,
)

/** A body that the adapter sends itself, because the user asked for it instead of an error. */
export interface Reply {
  readonly type: string | undefined
  readonly body: unknown
}

/** What an adapter does with a request: set headers, then go on, refuse, or answer. */
export interface GateVerdict extends Verdict {
  readonly decision: Decision | undefined
}

const SKIPPED: GateVerdict = Object.freeze({ headers: Object.freeze({}), decision: undefined })

/** The part of `rateLimit` that knows no framework: from a request to a verdict. */
export class RateLimitGate<Args extends unknown[]> {
  readonly limiter: RateLimiter<Answer>
  readonly statusCode: number
  readonly #options: RateLimitOptions<Args>
  readonly #styles: readonly HeaderStyle[]
  readonly #address: ClientAddress
  readonly #refundOn: ((status: number, aborted: boolean) => boolean) | undefined
  readonly #key: ((...args: Args) => MaybePromise<string | undefined>) | undefined
  /** The plain case: nothing to call before the limiter. */
  readonly #direct: boolean

  /** @throws TypeError | RangeError `ERR_LIMITER_OPTION` */
  constructor(options: RateLimitOptions<Args>) {
    const checked = resolveGate(options)
    this.#options = options
    this.#styles = stylesOf(options)
    this.statusCode = checked.statusCode
    this.#address = new ClientAddress(checked.trust, checked.ipv6Prefix)
    this.#refundOn = refundRule(options)
    this.#key = options.key ?? options.keyGenerator
    this.limiter = options.limiter ?? new RateLimiter<Answer>(limiterOptions(options))
    this.#direct = this.#key === undefined && options.cost === undefined && !options.skip && !options.limitFor
  }

  /** Synchronous wherever the user's functions and the store are. */
  check(req: IncomingMessage, res: ServerResponse, ...args: Args): MaybePromise<GateVerdict> {
    if (!this.#direct) return this.#checkSlowly(req, res, args)
    const key = this.#address.of(req)
    if (key === undefined || key === '') return this.#withoutKey(req)
    const answer = this.limiter.consume(key)
    return answer instanceof Promise
      ? answer.then((decision) => this.#verdict(decision, res))
      : this.#verdict(answer, res)
  }

  /** What the adapter should send by itself for a refusal; `undefined`: leave it to the app's error handler. */
  replyTo(decision: Decision, status: number): Reply | undefined {
    const { message, problem } = this.#options
    if (message !== undefined) return { type: undefined, body: message }
    if (problem) return { type: 'application/problem+json', body: problemOf(decision, status) }
    return undefined
  }

  get handler(): ((...args: Args) => unknown) | undefined {
    return this.#options.handler
  }

  async #checkSlowly(req: IncomingMessage, res: ServerResponse, args: Args): Promise<GateVerdict> {
    const { skip, cost, limitFor } = this.#options
    if (skip !== undefined && (await skip(...args))) return SKIPPED
    const key = this.#key === undefined ? this.#address.of(req) : await this.#key(...args)
    if (key === undefined || key === '') return this.#withoutKey(req)
    const options: { -readonly [Name in keyof ConsumeOptions]: ConsumeOptions[Name] } = {}
    if (cost !== undefined) options.cost = typeof cost === 'function' ? await cost(...args) : cost
    const perCall = await limitFor?.(...args)
    if (perCall !== undefined) {
      if (isOneLimit(perCall)) options.limit = perCall
      else options.limits = perCall
    }
    return this.#verdict(await this.limiter.consume(key, options), res)
  }

  #verdict(decision: Decision, res: ServerResponse): GateVerdict {
    const headers = headersOf(decision, this.limiter.limits, this.#styles)
    if (!decision.allowed) return { headers, decision, error: refusalOf(decision, headers, this.statusCode) }
    if (this.#refundOn !== undefined) this.#settleLater(decision, res, this.#refundOn)
    return { headers, decision }
  }

  #settleLater(
    decision: Decision,
    res: ServerResponse,
    refundOn: (status: number, aborted: boolean) => boolean,
  ) {
    onResponseEnd(res, (finished) => {
      if (!refundOn(res.statusCode, !finished)) return
      const settled = this.limiter.settle(decision, 0)
      if (settled instanceof Promise) settled.catch(() => {})
    })
  }

  #withoutKey(req: IncomingMessage): GateVerdict {
    const policy = this.#options.onMissingKey ?? RATE_LIMIT_DEFAULTS.onMissingKey
    if (policy === 'allow') return SKIPPED
    if (policy === 'error') {
      throw misuse(
        TypeError,
        'ERR_LIMITER_KEY',
        `No key for ${req.method} request: see the option "onMissingKey"`,
      )
    }
    const [limit] = this.limiter.limits
    const decision: Decision = {
      allowed: false,
      remaining: 0,
      capacity: limit!.capacity,
      retryAfter: 1_000,
      resetAfter: 0,
      impossible: false,
      unavailable: false,
      shadowed: false,
      source: 'memory',
      key: '',
      cost: 1,
      limit: limit!,
      parts: undefined,
    }
    return { headers: {}, decision, error: refusalOf(decision, {}, this.statusCode) }
  }
}

/** A second limiter on the same response adds its items to the list fields instead of replacing them. */
export function listed(name: string, value: string, earlier: unknown): string {
  const isList = name === 'RateLimit' || name === 'RateLimit-Policy'
  return isList && typeof earlier === 'string' ? `${earlier}, ${value}` : value
}

function isOneLimit(given: NonNullable<PerCall>): given is Limit | LimitOptions {
  return (
    'micros' in given ||
    ('capacity' in given && typeof given.capacity === 'number') ||
    ('limit' in given && typeof given.limit === 'number')
  )
}

function stylesOf({ headers, standardHeaders, legacyHeaders }: GateOptions<never>): readonly HeaderStyle[] {
  const styles = new Set<HeaderStyle>()
  if (standardHeaders === undefined) {
    for (const style of headers === undefined
      ? ['draft-8' as const]
      : headers === false
        ? []
        : [headers].flat()) {
      styles.add(style)
    }
  } else if (standardHeaders === true || standardHeaders === 'draft-6') styles.add('triple')
  else if (standardHeaders !== false) styles.add('draft-8')
  if (legacyHeaders) styles.add('legacy')
  return [...styles]
}

function refundRule({ refundOn, skipSuccessfulRequests, skipFailedRequests }: GateOptions<never>) {
  if (!skipSuccessfulRequests && !skipFailedRequests) return refundOn
  return (status: number, aborted: boolean) =>
    refundOn?.(status, aborted) ||
    (aborted || status >= 400 ? skipFailedRequests === true : skipSuccessfulRequests === true)
}

function limiterOptions(options: RateLimitOptions<never>): RateLimiterOptions {
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => limiterNames.includes(name)))
  if (options.max !== undefined) own.limit ??= options.max
  if (options.windowMs !== undefined) own.window ??= options.windowMs
  return own as RateLimiterOptions
}
