import { rateLimitField, rateLimitPolicyField } from '@spillway/kit'
import type { Decision } from './decision.js'
import { type Limit, windowOf } from './limit.js'

/**
 * How limits are shown in headers: `'draft-8'` is `RateLimit` and `RateLimit-Policy` in the form of
 * draft-ietf-httpapi-ratelimit-headers 08 to 11, `'draft-7'` the same two fields in the form of draft 07, `'triple'` the
 * three fields of drafts 00 to 06 and their policy, `'legacy'` the `X-RateLimit-*` fields.
 */
export type HeaderStyle = 'draft-8' | 'draft-7' | 'triple' | 'legacy'

const policies = new WeakMap<readonly Limit[], string>()

/**
 * The header fields of a decision. A store that failed has nothing to say about limits, and a limit in shadow mode is not
 * shown: clients would heed it.
 */
export function headersOf(
  decision: Decision,
  limits: readonly Limit[],
  styles: readonly HeaderStyle[],
): Record<string, string> {
  if (decision.source === 'fallback' || decision.limit.shadow) return {}
  if (styles.length === 1 && styles[0] === 'draft-8') {
    return { 'RateLimit-Policy': policyOf(decision, limits), RateLimit: stateOf(decision) }
  }
  const headers: Record<string, string> = {}
  for (const style of styles) {
    if (style === 'draft-8') {
      headers['RateLimit-Policy'] = policyOf(decision, limits)
      headers.RateLimit = stateOf(decision)
      continue
    }
    const [limit, remaining] = [Math.floor(decision.capacity), decision.remaining]
    const reset = resetOf(decision, style)
    if (style !== 'legacy') headers['RateLimit-Policy'] ??= plainPolicyOf(decision)
    if (style === 'draft-7') {
      headers.RateLimit = `limit=${limit}, remaining=${remaining}, reset=${reset}`
    } else {
      const prefix = style === 'legacy' ? 'X-RateLimit-' : 'RateLimit-'
      headers[`${prefix}Limit`] = String(limit)
      headers[`${prefix}Remaining`] = String(remaining)
      headers[`${prefix}Reset`] = String(reset)
    }
  }
  return headers
}

/** The policy as drafts up to 07 write it. */
function plainPolicyOf({ limit }: Decision): string {
  const window = windowOf(limit)
  return `${Math.floor(limit.capacity)}${window === undefined ? '' : `;w=${Math.ceil(window / 1_000)}`}`
}

function policyOf(decision: Decision, limits: readonly Limit[]): string {
  const { limit, parts } = decision
  const isUsual =
    parts === undefined ? limit === limits[0] : parts.every((part, i) => part.limit === limits[i])
  if (!isUsual) return policyField(parts?.map((part) => part.limit) ?? [limit])
  let field = policies.get(limits)
  if (field === undefined) policies.set(limits, (field = policyField(limits)))
  return field
}

function policyField(limits: readonly Limit[]): string {
  return rateLimitPolicyField(
    limits
      .filter(({ shadow }) => !shadow)
      .map((limit) => ({ name: limit.name, quota: limit.capacity, window: windowOf(limit) })),
  )
}

function stateOf(decision: Decision): string {
  if (decision.parts === undefined) return stateItem(decision)
  return decision.parts
    .filter(({ limit }) => !limit.shadow)
    .map(stateItem)
    .join(', ')
}

/** Names need no quoting and numbers are checked, so the hot path writes the item itself. */
function stateItem(part: Decision): string {
  const wait = part.allowed ? untilNext(part) : part.retryAfter
  if (part.resetAfter === 0) return `"${part.limit.name}";r=${integer(part.remaining)}`
  if (!Number.isFinite(wait)) return rateLimitField([{ name: part.limit.name, remaining: part.remaining }])
  return `"${part.limit.name}";r=${integer(part.remaining)};t=${integer(Math.max(1, Math.ceil(wait / 1_000)))}`
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

/** The body of RFC 9457 for a refusal, with the problem types of the rate-limit drafts. */
export function problemOf(decision: Decision, status: number): Record<string, unknown> {
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
