import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
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
  /** Its body comes piece by piece, perhaps for ever. */
  | 'stream'
  /** Its body took too long. */
  | 'slow'
  | 'too-large'
  | 'truncated'
  /** What was sent is not known. */
  | 'unknown'

/** Who is asking: nobody in particular, a client that says so in `Authorization`, or one that says so in any other way. */
export type Credentials = 'none' | 'authorization' | 'other'

/** Who may have a stored response, the narrowest first. */
export const AUDIENCES = ['strangers', 'authorized', 'everybody'] as const
export type Audience = (typeof AUDIENCES)[number]

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
  readonly audience: Audience
  /** Names of the request headers it was chosen by, sorted. */
  readonly vary: readonly string[]
}

export interface PolicyOptions {
  /** Milliseconds of freshness for a response that does not say; `false`: it is not stored. */
  readonly ttl: number | false
  readonly swr: number | false
  readonly staleIfError: number | false
}

/** Whose response it is. */
export interface Asker {
  readonly credentials: Credentials
  /** The key holds who is asking, so that credentials do not matter. */
  readonly partitioned: boolean
}

/** Final, understood, and not partial (RFC 9111 section 3): with freshness of their own. */
const STORABLE = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414])
/** These also with the freshness that the options give (RFC 9110 section 15.1, without server errors). */
const BY_DEFAULT = new Set([200, 203, 204, 300, 301, 308, 404, 410])

/**
 * Whether and how a shared cache may store the answer to a GET: RFC 9111 section 3, freshness by 4.2.1, stale windows
 * by RFC 5861.
 */
export function storing(asker: Asker, head: Head, options: PolicyOptions): Storing | Refusal {
  const { status, headers } = head
  const control = directives(headers['cache-control'])
  if (!STORABLE.has(status)) return 'status'
  if (control.has('no-store')) return 'no-store'
  if (control.has('private')) return 'private'
  if (control.has('no-cache')) return 'no-cache'
  if (headers['set-cookie'] !== undefined) return 'set-cookie'
  const vary = [...new Set(members(line(headers, 'vary')))].sort()
  // Node does not hand out a request header of the name `__proto__`: nobody could tell its variants apart.
  if (vary.includes('*') || vary.includes('__proto__')) return 'vary'
  const audience = audienceOf(control)
  if (!mayHave(asker, audience)) return 'credentials'
  if (isEndless(headers)) return 'stream'
  const age = ageOf(headers.age)
  const lifetime = lifetimeOf(head, control) ?? (BY_DEFAULT.has(status) ? options.ttl : false)
  if (lifetime === false) return 'not-fresh'
  const strict = control.has('must-revalidate') || control.has('proxy-revalidate') || control.has('s-maxage')
  const swr = strict ? 0 : (seconds(control, 'stale-while-revalidate') ?? (options.swr || 0))
  const staleIfError = strict ? 0 : (seconds(control, 'stale-if-error') ?? (options.staleIfError || 0))
  const ttl = Math.max(0, lifetime - age)
  if (ttl === 0 && swr === 0) return 'not-fresh'
  return { ttl, swr, staleIfError, age, audience, vary }
}

/**
 * The same for a response that was changed on its way from the handler to the client: it must be storable as it came from
 * the handler, and as it was sent, and what was sent says for how long.
 *
 * @param passed the head as it passed the cache, and how it might be stored
 * @param sent the head as it left for the client
 */
export function storingSent(
  asker: Asker,
  passed: { readonly head: Head; readonly storing: Storing },
  sent: Head,
  options: PolicyOptions,
): Storing | Refusal {
  const verdict = storing(asker, sent, options)
  if (typeof verdict === 'string') return verdict
  const { head, storing: own } = passed
  const rank = Math.min(AUDIENCES.indexOf(verdict.audience), AUDIENCES.indexOf(own.audience))
  // A body that had no coding here is encoded behind us, each time anew: that does not tell stored responses apart.
  const codedOutside = head.headers['content-encoding'] === undefined
  const added = verdict.vary.filter((name) => name !== 'accept-encoding' || !codedOutside)
  const vary = [...new Set([...own.vary, ...added])].sort()
  return { ...verdict, audience: AUDIENCES[rank]!, vary }
}

/**
 * For whom a response is that does not speak of one client only. `must-revalidate` opens it to requests with
 * `Authorization` (RFC 9111 section 3.5), and to no other kind of credentials.
 */
function audienceOf(control: Directives): Audience {
  if (control.has('public') || control.has('s-maxage')) return 'everybody'
  return control.has('must-revalidate') ? 'authorized' : 'strangers'
}

/** Whether a response may be given to this client: one with credentials gets only what is for its kind. */
export function mayHave({ credentials, partitioned }: Asker, audience: Audience): boolean {
  if (credentials === 'none' || partitioned) return true
  return audience === 'everybody' || (audience === 'authorized' && credentials === 'authorization')
}

/** @param names of the request headers by which clients say who they are */
export function credentialsOf({ headers, socket }: IncomingMessage, names: readonly string[]): Credentials {
  let found: Credentials = (socket as TLSSocket | undefined)?.authorized === true ? 'other' : 'none'
  for (const name of names) {
    if (line(headers, name) === undefined) continue
    if (name !== 'authorization') return 'other'
    if (found === 'none') found = 'authorization'
  }
  return found
}

/** Kinds of content that a server goes on sending for as long as the client listens. */
const ENDLESS = ['text/event-stream', 'multipart/x-mixed-replace']

function isEndless(headers: Head['headers']): boolean {
  const type = line(headers, 'content-type')?.trimStart().toLowerCase()
  if (type !== undefined && ENDLESS.some((kind) => type.startsWith(kind))) return true
  // The handler asks proxies to pass on each piece at once.
  return line(headers, 'x-accel-buffering')?.toLowerCase() === 'no'
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
  // Anything that is not a date, such as `0`, is in the past (RFC 9111 section 5.3). The handler made it by the clock of
  // this process, so that is what it is measured by.
  return Number.isNaN(until) ? 0 : Math.max(0, until - (Number.isNaN(date) ? Date.now() : date))
}

function ageOf(field: string | string[] | undefined): number {
  const value = Number(Array.isArray(field) ? field[0] : field)
  return Number.isFinite(value) && value > 0 ? value * 1000 : 0
}
