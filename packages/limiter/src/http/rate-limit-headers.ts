import type { Decision } from '../bucket/decision.js'
import { type Limit, windowOf } from '../bucket/limit.js'
import { rateLimitPolicyField } from './rate-limit-policy.js'

/**
 * How limits are shown in headers: `'draft-8'` is `RateLimit` and `RateLimit-Policy` in the form of
 * draft-ietf-httpapi-ratelimit-headers 08 to 11, `'draft-7'` the same two fields in the form of draft 07, `'triple'` the
 * three fields of drafts 00 to 06 and their policy, `'legacy'` the `X-RateLimit-*` fields.
 */
export type HeaderStyle = 'draft-8' | 'draft-7' | 'triple' | 'legacy'

/** In lower case: Node would convert them for each response. */
const [POLICY, STATE] = ['ratelimit-policy', 'ratelimit']

/** Formats the header fields for the decisions of one limiter; parts that are the same in all responses are made once. */
export class RateLimitHeaders {
  readonly #limits: readonly Limit[]
  readonly #styles: readonly HeaderStyle[]
  readonly #isDraft8: boolean
  readonly #policy: string
  readonly #prefix: string

  constructor(limits: readonly Limit[], styles: readonly HeaderStyle[]) {
    this.#limits = limits
    this.#styles = styles
    this.#isDraft8 = styles.length === 1 && styles[0] === 'draft-8'
    this.#policy = policyField(limits)
    this.#prefix = prefixOf(limits[0]!)
  }

  /** No fields for a decision by the policy for failures, nor for a limit in shadow mode: clients would obey it. */
  of(decision: Decision): Record<string, string> {
    const { source, limit } = decision
    if (source === 'fallback' || limit.shadow) return {}
    if (!this.#isDraft8) return this.#inStyles(decision)
    if (limit === this.#limits[0] && decision.parts === undefined) {
      return { [POLICY]: this.#policy, [STATE]: this.#prefix + standing(decision) }
    }
    return { [POLICY]: this.#policyOf(decision), [STATE]: stateOf(decision) }
  }

  #inStyles(decision: Decision): Record<string, string> {
    const headers: Record<string, string> = {}
    for (const style of this.#styles) {
      if (style === 'draft-8') {
        headers[POLICY] = this.#policyOf(decision)
        headers[STATE] = stateOf(decision)
        continue
      }
      const [limit, remaining] = [Math.floor(decision.capacity), decision.remaining]
      const reset = resetOf(decision, style)
      if (style !== 'legacy') headers[POLICY] ??= plainPolicyOf(decision)
      if (style === 'draft-7') {
        headers[STATE] = `limit=${limit}, remaining=${remaining}, reset=${reset}`
      } else {
        const prefix = style === 'legacy' ? 'x-ratelimit' : 'ratelimit'
        headers[`${prefix}-limit`] = String(limit)
        headers[`${prefix}-remaining`] = String(remaining)
        headers[`${prefix}-reset`] = String(reset)
      }
    }
    return headers
  }

  #policyOf({ limit, parts }: Decision): string {
    const decided = parts?.map((part) => part.limit) ?? [limit]
    return decided.every((each, i) => each === this.#limits[i]) ? this.#policy : policyField(decided)
  }
}

/** A second limiter on the same response adds its items to the list fields of draft 08 instead of replacing them. */
export function listed(name: string, value: string, earlier: unknown): string {
  const isList = (name === STATE || name === POLICY) && value.startsWith('"')
  return isList && typeof earlier === 'string' ? `${earlier}, ${value}` : value
}

/** The policy as drafts up to 07 write it. */
function plainPolicyOf({ limit }: Decision): string {
  const window = windowOf(limit)
  return `${Math.floor(limit.capacity)}${window === undefined ? '' : `;w=${Math.ceil(window / 1_000)}`}`
}

function policyField(limits: readonly Limit[]): string {
  return rateLimitPolicyField(
    limits
      .filter(({ shadow }) => !shadow)
      .map((limit) => ({ name: limit.name, quota: limit.capacity, window: windowOf(limit) })),
  )
}

function stateOf(decision: Decision): string {
  const shown = decision.parts?.filter(({ limit }) => !limit.shadow) ?? [decision]
  return shown.map((part) => prefixOf(part.limit) + standing(part)).join(', ')
}

/** Names need no quoting and numbers are checked, so the hot path writes the item itself. */
function prefixOf({ name }: Limit): string {
  return `"${name}";r=`
}

function standing(part: Decision): string {
  const remaining = integer(part.remaining)
  if (part.resetAfter === 0) return `${remaining}`
  const wait = part.allowed ? untilNext(part) : part.retryAfter
  return Number.isFinite(wait)
    ? `${remaining};t=${integer(Math.max(1, Math.ceil(wait / 1_000)))}`
    : `${remaining}`
}

/** Milliseconds until one more token is there. */
function untilNext({ limit, remaining, resetAfter, capacity }: Decision): number {
  const missing = Math.ceil(capacity) - remaining - 1
  return limit.tokens === 0
    ? Number.POSITIVE_INFINITY
    : Math.max(0, resetAfter - (missing * limit.micros) / limit.tokens / 1_000)
}

function integer(value: number): number {
  return Math.min(value, 999_999_999_999_999)
}

/** Seconds until full; `legacy` shows a point in time, as its readers expect. */
function resetOf({ resetAfter }: Decision, style: HeaderStyle): number {
  const seconds = Number.isFinite(resetAfter) ? Math.ceil(resetAfter / 1_000) : 999_999_999
  return style === 'legacy' ? Math.ceil(Date.now() / 1_000) + seconds : seconds
}
