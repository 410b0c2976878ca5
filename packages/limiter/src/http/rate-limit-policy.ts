/** One item of the field. */
export interface RateLimitPolicy {
  readonly name: string
  /** Quota: requests per window. */
  readonly quota: number
  /** Window in milliseconds; left out when there is none. */
  readonly window?: number | undefined
}

/**
 * The `RateLimit-Policy` field in the form of draft-ietf-httpapi-ratelimit-headers 08 to 11: a structured-field
 * list (RFC 9651) with one item per policy.
 */
export function rateLimitPolicyField(policies: readonly RateLimitPolicy[]): string {
  return policies
    .map(({ name, quota, window }) => {
      const seconds = window === undefined ? '' : `;w=${Math.max(1, wholeUp(window / 1000))}`
      return `${quoted(name)};q=${whole(quota)}${seconds}`
    })
    .join(', ')
}

/** The largest integer a structured field may hold (RFC 9651 section 3.3.1). */
const MAX_FIELD_INTEGER = 999_999_999_999_999

/** Not a number counts as nothing: a broken field is worse than a wrong one. */
function whole(value: number): number {
  return Math.min(Math.max(0, Math.floor(value) || 0), MAX_FIELD_INTEGER)
}

function wholeUp(value: number): number {
  return Math.min(Math.max(0, Math.ceil(value) || 0), MAX_FIELD_INTEGER)
}

/** A structured-field String: printable ASCII, with `"` and `\` escaped. Other characters become `?`. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
