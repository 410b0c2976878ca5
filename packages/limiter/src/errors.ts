import { brand, misuse, RejectedError, retryAfterSeconds } from '@spillway/kit'
import type { Decision } from './bucket/decision.js'

/** The key is over its limit: 429. */
export class RateLimitError extends RejectedError {
  constructor(decision: Decision, headers: Readonly<Record<string, string>> = {}, status = 429) {
    super(messageOf(decision), {
      code: 'ERR_LIMITER_LIMITED',
      status,
      headers: { ...headers, ...retryHeader(decision) },
      details: { decision },
    })
  }

  /** The numbers, and the key. Not enumerable, so that no log gets the key, which is often a secret of the client. */
  get decision(): Decision {
    return this.details.decision as Decision
  }

  /** The members of a problem document (RFC 9457) for this refusal. */
  get problem(): Readonly<Record<string, unknown>> {
    return problemOf(this.decision, this.status)
  }
}
brand(RateLimitError, 'RateLimitError')

/** The store failed and the policy is `deny`: 503, since it is unknown whether the key is over its limit. */
export class StoreUnavailableError extends RejectedError {
  constructor(decision: Decision) {
    super('The service is temporarily limited; please try again shortly', {
      code: 'ERR_LIMITER_UNAVAILABLE',
      status: 503,
      headers: retryHeader(decision),
      details: { decision, reason: 'the rate limiter cannot reach its store' },
    })
  }

  /** As in {@link RateLimitError.decision}. */
  get decision(): Decision {
    return this.details.decision as Decision
  }

  /** The members of a problem document (RFC 9457) for this refusal. */
  get problem(): Readonly<Record<string, unknown>> {
    return problemOf(this.decision, this.status)
  }
}
brand(StoreUnavailableError, 'StoreUnavailableError')

/** Too many calls in flight, in all or for this key: 503. */
export class ConcurrencyError extends RejectedError {
  constructor(message: string, retryAfter: number) {
    super(message, {
      code: 'ERR_LIMITER_CONCURRENCY',
      status: 503,
      headers: { 'Retry-After': retryAfterSeconds(retryAfter) },
    })
  }
}
brand(ConcurrencyError, 'ConcurrencyError')

/** The limiter was closed before this call. */
export class LimiterClosedError extends RejectedError {
  constructor() {
    super('The service is about to stop; please try again', {
      code: 'ERR_LIMITER_CLOSED',
      status: 503,
      headers: { 'Retry-After': '1' },
      details: { reason: 'the limiter is closed' },
    })
  }
}
brand(LimiterClosedError, 'LimiterClosedError')

/** The refusal of a decision that says no. */
export function refusalOf(decision: Decision, headers?: Readonly<Record<string, string>>, status?: number) {
  return decision.unavailable
    ? new StoreUnavailableError(decision)
    : new RateLimitError(decision, headers, status)
}

/** @throws TypeError | RangeError `ERR_LIMITER_COST` */
export function refuseCost(cost: unknown): never {
  throw misuse(
    typeof cost === 'number' ? RangeError : TypeError,
    'ERR_LIMITER_COST',
    `A cost must be a finite number >= 0, not ${typeof cost === 'number' ? cost : typeof cost}`,
  )
}

/** The body of RFC 9457 for a refusal, with the problem types of the rate-limit drafts. */
function problemOf(decision: Decision, status: number): Record<string, unknown> {
  const types = 'https://iana.org/assignments/http-problem-types#'
  const denied = (decision.parts ?? [decision]).filter((part) => !part.allowed)
  return decision.unavailable
    ? { type: `${types}temporary-reduced-capacity`, title: 'The service is temporarily limited', status }
    : {
        type: `${types}quota-exceeded`,
        title: 'Too many requests',
        status,
        'violated-policies': denied.map(({ limit }) => limit.name),
      }
}

function messageOf({ impossible, limit, cost, retryAfter }: Decision): string {
  if (impossible) return `The cost ${cost} is more than the limit "${limit.name}" ever allows`
  if (retryAfter === Number.POSITIVE_INFINITY) return `The limit "${limit.name}" is used up`
  return `Too many requests for the limit "${limit.name}"; try again in ${retryAfterSeconds(retryAfter)} s`
}

/** No header when waiting would not help. */
function retryHeader({ retryAfter }: Decision): Record<string, string> {
  return Number.isFinite(retryAfter) ? { 'Retry-After': retryAfterSeconds(retryAfter) } : {}
}
