import { brand, misuse, RejectedError, retryAfterSeconds } from '@spillway/kit'
import type { Decision } from './bucket/decision.js'
import { problemOf } from './http/rate-limit-headers.js'

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

  /** The numbers, and the key. Not enumerable: a key is often a secret of the client, and no log is to have it. */
  get decision(): Decision {
    return this.details.decision as Decision
  }

  /** What a problem document says of it. */
  get problem(): Readonly<Record<string, unknown>> {
    return problemOf(this.decision, this.status)
  }
}
brand(RateLimitError, 'RateLimitError')

/** The store failed and the policy is `deny`: 503, since nobody knows whether the key is over its limit. */
export class StoreUnavailableError extends RejectedError {
  constructor(decision: Decision) {
    super('The service is temporarily limited; please try again shortly', {
      code: 'ERR_LIMITER_UNAVAILABLE',
      status: 503,
      headers: retryHeader(decision),
      details: { decision, reason: 'the rate limiter cannot reach its store' },
    })
  }

  /** As of a {@link RateLimitError}. */
  get decision(): Decision {
    return this.details.decision as Decision
  }

  /** What a problem document says of it. */
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

/** @throws TypeError `ERR_LIMITER_KEY` */
export function refuseKey(key: unknown): never {
  throw misuse(
    TypeError,
    'ERR_LIMITER_KEY',
    `A key must be a non-empty string, not ${key === '' ? "''" : typeof key}`,
  )
}

/** @throws TypeError | RangeError `ERR_LIMITER_COST` */
export function refuseCost(cost: unknown): never {
  throw misuse(
    typeof cost === 'number' ? RangeError : TypeError,
    'ERR_LIMITER_COST',
    `A cost must be a finite number >= 0, not ${typeof cost === 'number' ? cost : typeof cost}`,
  )
}

function messageOf({ impossible, limit, cost, retryAfter }: Decision): string {
  if (impossible) return `The cost ${cost} is more than the limit "${limit.name}" ever allows`
  if (retryAfter === Number.POSITIVE_INFINITY) return `The limit "${limit.name}" is used up`
  return `Too many requests for the limit "${limit.name}"; try again in ${retryAfterSeconds(retryAfter)} s`
}

/** A client that waits for ever needs no header that says when to come back. */
function retryHeader({ retryAfter }: Decision): Record<string, string> {
  return Number.isFinite(retryAfter) ? { 'Retry-After': retryAfterSeconds(retryAfter) } : {}
}
