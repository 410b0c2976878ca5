import type { IncomingMessage } from 'node:http'
import { type Directives, directives, seconds } from './cache-control.js'
import { type Head, line, members } from './http-message.js'

/** Why a response is not stored. */
export type Refusal =
  | 'status'
  | 'no-store'
  | 'private'
  | 'no-cache'
  | 'set-cookie'
  | 'vary'
  | 'credentials'
  | 'not-fresh'
  | 'too-large'
  | 'truncated'

/** How a response may be stored. */
export interface Storing {
  /** Milliseconds it is fresh from now on. */
  readonly ttl: number
  /** Milliseconds after that, in which it may be served while it is fetched anew. */
  readonly swr: number
  /** Milliseconds after that, in which it may be served instead of an error. */
  readonly staleIfError: number
  /** Milliseconds it was old already, from its own `Age`. */
  readonly age: number
  /** Requests with credentials may have it, too. */
  readonly shared: boolean
  /** Names of the request headers it was chosen by, sorted. */
  readonly vary: readonly string[]
}

export interface PolicyOptions {
  /** Milliseconds of freshness for a response that does not say; `false`: it is not stored. */
  readonly ttl: number | false
  readonly swr: number | false
  readonly staleIfError: number | false
}

/** Final, understood, and not partial (RFC 9111 section 3): with freshness of their own. */
const STORABLE = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414])
/** These also with the freshness that the options give (RFC 9110 section 15.1, without server errors). */
const BY_DEFAULT = new Set([200, 203, 204, 300, 301, 308, 404, 410])

/**
 * Whether and how a shared cache may store the answer to a GET: RFC 9111 section 3, freshness by 4.2.1, stale windows
 * by RFC 5861.
 *
 * @param partitioned the key holds who is asking, so that credentials do not matter
 */
export function storing(
  req: IncomingMessage,
  head: Head,
  options: PolicyOptions,
  partitioned: boolean,
): Storing | Refusal {
  const { status, headers } = head
  const control = directives(headers['cache-control'])
  if (!STORABLE.has(status)) return 'status'
  if (control.has('no-store') || directives(req.headers['cache-control']).has('no-store')) return 'no-store'
  if (control.has('private')) return 'private'
  if (control.has('no-cache')) return 'no-cache'
  if (headers['set-cookie'] !== undefined) return 'set-cookie'
  const vary = [...new Set(members(line(headers, 'vary')))].sort()
  if (vary.includes('*')) return 'vary'
  const shared = control.has('public') || control.has('s-maxage') || control.has('must-revalidate')
  if (hasCredentials(req) && !partitioned && !shared) return 'credentials'
  const age = ageOf(headers.age)
  const lifetime = lifetimeOf(head, control) ?? (BY_DEFAULT.has(status) ? options.ttl : false)
  if (lifetime === false) return 'not-fresh'
  const strict = control.has('must-revalidate') || control.has('proxy-revalidate') || control.has('s-maxage')
  const swr = strict ? 0 : (seconds(control, 'stale-while-revalidate') ?? (options.swr || 0))
  const staleIfError = strict ? 0 : (seconds(control, 'stale-if-error') ?? (options.staleIfError || 0))
  const ttl = Math.max(0, lifetime - age)
  if (ttl === 0 && swr === 0) return 'not-fresh'
  return { ttl, swr, staleIfError, age, shared, vary }
}

export function hasCredentials({ headers }: IncomingMessage): boolean {
  return headers.authorization !== undefined || headers.cookie !== undefined
}

/** What the client asks of caches (RFC 9111 section 5.2.1). */
export interface Wishes {
  readonly noStore: boolean
  /** It wants no stored answer without a check at the origin. */
  readonly reload: boolean
  readonly onlyIfCached: boolean
  /** Milliseconds. */
  readonly maxAge: number
  readonly minFresh: number
  readonly maxStale: number
}

export const NO_WISHES: Wishes = {
  noStore: false,
  reload: false,
  onlyIfCached: false,
  maxAge: Number.POSITIVE_INFINITY,
  minFresh: 0,
  maxStale: 0,
}

export function wishesOf({ headers }: IncomingMessage): Wishes {
  if (headers['cache-control'] === undefined && headers.pragma === undefined) return NO_WISHES
  const control = directives(headers['cache-control'])
  const pragma = headers['cache-control'] === undefined && members(headers.pragma).includes('no-cache')
  const maxAge = seconds(control, 'max-age') ?? Number.POSITIVE_INFINITY
  const maxStale = control.get('max-stale') === '' ? Number.POSITIVE_INFINITY : seconds(control, 'max-stale')
  return {
    noStore: control.has('no-store'),
    reload: control.has('no-cache') || pragma || maxAge === 0,
    onlyIfCached: control.has('only-if-cached'),
    maxAge,
    minFresh: seconds(control, 'min-fresh') ?? 0,
    maxStale: maxStale ?? 0,
  }
}

function lifetimeOf({ headers }: Head, control: Directives): number | undefined {
  const explicit = seconds(control, 's-maxage') ?? seconds(control, 'max-age')
  if (explicit !== undefined) return explicit
  const expires = line(headers, 'expires')
  if (expires === undefined) return undefined
  const date = Date.parse(line(headers, 'date') ?? '')
  const until = Date.parse(expires)
  // Anything that is not a date, such as `0`, is in the past (RFC 9111 section 5.3).
  return Number.isNaN(until) ? 0 : Math.max(0, until - (Number.isNaN(date) ? Date.now() : date))
}

function ageOf(field: string | string[] | undefined): number {
  const value = Number(Array.isArray(field) ? field[0] : field)
  return Number.isFinite(value) && value > 0 ? value * 1000 : 0
}
