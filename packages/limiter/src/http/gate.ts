import type { IncomingMessage, ServerResponse } from 'node:http'
import { misuse, onResponseEnd, type Verdict } from '@spillway/kit'
import { type Decision, denied } from '../bucket/decision.js'
import { unsliced } from '../bucket/key.js'
import { type Limit, type LimitOptions, windowOf } from '../bucket/limit.js'
import type { Answer } from '../bucket/store.js'
import { refusalOf } from '../errors.js'
import type { ConsumeOptions, RateLimiter } from '../limiter.js'
import { ClientAddress } from './address.js'
import { refuseUnsupported, warnsOf, withoutAliases } from './compat-options.js'
import { limiterFor, limitRule, RATE_LIMIT_DEFAULTS, resolveGate } from './gate-options.js'
import { Ipv6KeyWarning } from './ipv6-key-warning.js'
import { listed, RateLimitHeaders } from './rate-limit-headers.js'
import type {
  MaybePromise,
  OptionsUsed,
  PerCall,
  RateLimitInfo,
  RateLimitOptions,
} from './rate-limit-options.js'

/** A body that the adapter sends itself, because an option asks for it instead of an error. */
export interface Reply {
  readonly type: string | undefined
  readonly body: unknown
}

/** The decision about a request, for an adapter: set headers, then go on, refuse, or answer. */
export interface GateVerdict extends Verdict {
  readonly error: ReturnType<typeof refusalOf> | undefined
  readonly decision: Decision | undefined
  /** Another limiter has decided about this request before; see {@link joined}. */
  readonly again: boolean
}

/** The verdict of a second limiter on the same response: its items are added to the list fields of the first. */
export function joined(verdict: GateVerdict, earlier: (name: string) => unknown): GateVerdict {
  const headers: Record<string, string> = {}
  for (const name in verdict.headers) headers[name] = listed(name, verdict.headers[name]!, earlier(name))
  // Headers of the response are on the error, too, which was made for this request alone.
  if (verdict.error !== undefined) Object.assign(verdict.error.headers, headers)
  return { ...verdict, headers }
}

const SKIPPED: GateVerdict = Object.freeze({
  headers: Object.freeze({}),
  decision: undefined,
  error: undefined,
  again: false,
})

/** Policy enforcement point of `rateLimit`, without the framework: makes a verdict of a request. */
export class RateLimitGate<Args extends unknown[]> {
  readonly limiter: RateLimiter<Answer>
  readonly statusCode: number
  /** Until the turn of the event loop that made this gate is over. */
  #isNew = true
  readonly #options: RateLimitOptions<Args>
  readonly #fields: RateLimitHeaders
  readonly #address: ClientAddress
  readonly #key: ((...args: Args) => MaybePromise<string | undefined>) | undefined
  readonly #keyWarning: Ipv6KeyWarning | undefined
  readonly #limitFor: ((...args: Args) => MaybePromise<PerCall>) | undefined
  /** Answers a refusal, where the options have a function for that. */
  readonly handler: ((...args: Args) => unknown) | undefined

  /**
   * @param scope tells the limiter made here from others with the same numbers and no name
   * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
   */
  constructor(given: RateLimitOptions<Args>, scope?: string) {
    refuseUnsupported(given)
    resolveGate(given)
    const options = withoutAliases(given)
    const { headers, statusCode, trust, ipv6Prefix } = resolveGate(options)
    this.#options = options
    this.statusCode = statusCode
    this.#address = new ClientAddress(trust, ipv6Prefix, warnsOf(given, 'xForwardedForHeader'))
    this.#key = options.key
    if (this.#key !== undefined)
      this.#keyWarning = new Ipv6KeyWarning(warnsOf(given, 'keyGeneratorIpFallback'))
    this.limiter = limiterFor(options, scope)
    this.#limitFor = limitRule(options, this.limiter.limits[0]!)
    this.#fields = new RateLimitHeaders(this.limiter.limits, headers === false ? [] : [headers].flat())
    // The limiter of a route that was registered before the plugin is made by its first request, once.
    if (scope !== undefined) this.#isNew = false
    else setImmediate(() => (this.#isNew = false)).unref()
    const { handler } = options
    if (handler !== undefined) {
      const used = this.#optionsUsed(given)
      this.handler = (...args) => handler(...args, used)
    }
  }

  /** Synchronous wherever the user's functions and the store are. */
  check(req: IncomingMessage, res: ServerResponse, ...args: Args): MaybePromise<GateVerdict> {
    if (this.#isNew) this.#warnOfLateBirth()
    const { skip } = this.#options
    if (skip === undefined) return this.#measure(req, res, args)
    const skipped = skip(...args)
    if (skipped instanceof Promise) {
      return skipped.then((yes) => (yes ? SKIPPED : this.#measure(req, res, args)))
    }
    return skipped ? SKIPPED : this.#measure(req, res, args)
  }

  /** Whether refusals are answered here instead of by the app's error handler. */
  get answersItself(): boolean {
    const { message, problem, handler } = this.#options
    return message !== undefined || problem === true || handler !== undefined
  }

  /** The body for a refusal, where the options ask for one. */
  async replyTo({ error }: GateVerdict, ...args: Args): Promise<Reply> {
    const { message } = this.#options
    if (message !== undefined) {
      return { type: undefined, body: typeof message === 'function' ? await message(...args) : message }
    }
    return { type: 'application/problem+json', body: JSON.stringify(error?.problem) }
  }

  #warnOfLateBirth(): void {
    this.#isNew = false
    if (this.#options.limiter !== undefined) return
    warnOfLateBirth()
  }

  #measure(req: IncomingMessage, res: ServerResponse, args: Args): MaybePromise<GateVerdict> {
    const key = this.#key === undefined ? this.#address.of(req) : this.#key(...args)
    const { cost: costOf } = this.#options
    const cost = typeof costOf === 'function' ? costOf(...args) : costOf
    const perCall = this.#limitFor === undefined ? undefined : this.#limitFor(...args)
    if (key instanceof Promise || cost instanceof Promise || perCall instanceof Promise) {
      return Promise.all([key, cost, perCall]).then((late) => this.#consume(req, res, args, ...late))
    }
    return this.#consume(req, res, args, key, cost, perCall)
  }

  #consume(
    req: IncomingMessage,
    res: ServerResponse,
    args: Args,
    key: string | undefined,
    cost: number | undefined,
    perCall: PerCall,
  ): MaybePromise<GateVerdict> {
    if (key === undefined || key === '') return this.#withoutKey(req)
    const answer = this.limiter.consume(
      this.#key === undefined ? key : this.#checked(key),
      consumeOptions(cost, perCall),
    )
    return answer instanceof Promise
      ? answer.then((decision) => this.#verdict(decision, req, res, args))
      : this.#verdict(answer, req, res, args)
  }

  /** A key of the app's own function. */
  #checked(key: string): string {
    if (typeof key !== 'string') return key
    this.#keyWarning?.see(key)
    return unsliced(key)
  }

  #verdict(decision: Decision, req: IncomingMessage, res: ServerResponse, args: Args): GateVerdict {
    const again = (req as Decided)[DECISION] !== undefined
    ;(req as Decided)[DECISION] = decision
    const { refundOn, requestPropertyName } = this.#options
    if (requestPropertyName !== undefined) {
      ;(args[0] as Record<string, unknown>)[requestPropertyName] = infoOf(decision)
    }
    const headers = this.#fields.of(decision)
    if (!decision.allowed) {
      return { headers, decision, error: refusalOf(decision, headers, this.statusCode), again }
    }
    if (refundOn !== undefined) {
      onResponseEnd(res, (finished) => {
        const refund = async () => {
          if (await refundOn(res.statusCode, !finished, ...args)) await this.limiter.settle(decision, 0)
        }
        refund().catch((error) => process.emitWarning(error))
      })
    }
    return { headers, decision, error: undefined, again }
  }

  #optionsUsed(given: RateLimitOptions<Args>): OptionsUsed {
    const [limit] = this.limiter.limits
    const { message = 'Too many requests, please try again later.', requestPropertyName } = this.#options
    return Object.freeze({
      ...given,
      statusCode: this.statusCode,
      message,
      windowMs: windowOf(limit!) ?? Number.POSITIVE_INFINITY,
      limit: this.#options.limit ?? limit!.capacity,
      requestPropertyName,
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
    const decision = denied(limit!, '', 1_000)
    return { headers: {}, decision, error: refusalOf(decision, {}, this.statusCode), again: false }
  }
}

let hasWarnedOfLateBirth = false

/** Warns once per process. */
function warnOfLateBirth(): void {
  if (hasWarnedOfLateBirth) return
  hasWarnedOfLateBirth = true
  process.emitWarning(
    'A rate limiter was made while a request was handled, and decided about that request: one that is made for each request counts nothing. Call rateLimit() once, when the app starts.',
    { code: 'SPILLWAY_LIMIT_PER_REQUEST' },
  )
}

const DECISION = Symbol.for('spillway.limiter.decision')

interface Decided extends IncomingMessage {
  [DECISION]?: Decision
}

/** The last decision that `rateLimit` made for a request: for `limiter.settle(decision, actualCost)`, for a log. */
export function decisionOn(req: IncomingMessage): Decision | undefined {
  return (req as Decided)[DECISION]
}

function infoOf({ capacity, remaining, resetAfter, key }: Decision): RateLimitInfo {
  const resetTime = Number.isFinite(resetAfter) ? new Date(Date.now() + resetAfter) : undefined
  return { limit: capacity, used: capacity - remaining, remaining, resetTime, key }
}

function consumeOptions(cost: number | undefined, perCall: PerCall): ConsumeOptions | undefined {
  if (perCall === undefined) return cost === undefined ? undefined : { cost }
  return { cost: cost ?? 1, ...(isOneLimit(perCall) ? { limit: perCall } : { limits: perCall }) }
}

function isOneLimit(given: NonNullable<PerCall>): given is Limit | LimitOptions {
  return (
    'micros' in given ||
    ('capacity' in given && typeof given.capacity === 'number') ||
    ('limit' in given && typeof given.limit === 'number')
  )
}
