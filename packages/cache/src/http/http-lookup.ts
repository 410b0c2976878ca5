import type { IncomingMessage, ServerResponse } from 'node:http'
import { type CacheKey, encodeKey, type KeyPart, ownKey } from '../key.js'
import { shortName } from '../short-name.js'
import { type HeadersGiven, line } from './http-message.js'
import { type Asker, credentialsOf, NO_WISHES, type Wishes, wishesOf } from './http-policy.js'
import { originToldBy } from './origin.js'

/** One request and its response, as an adapter hands them over. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The request target as the client sent it, not as a router rewrote it. */
  readonly url: string
  /** The target that the app answers: another when something before the cache rewrote it, perhaps by who asks. */
  readonly target: string
  /** `http` or `https`: the connection's own, or what a proxy says that the app's framework was told to trust. */
  readonly scheme: string
  /** The headers that are set already when the handler begins: they belong to this client, and are not stored. */
  readonly before: () => HeadersGiven
}

/** What matters of a request that may be answered from the cache. */
export interface HttpLookup extends Exchange, Asker {
  /** What names the resource, and all its variants. */
  readonly resource: string
  /** The key that it is stored by. */
  readonly key: CacheKey
  readonly wishes: Wishes
  readonly tags: () => readonly string[]
  /** Milliseconds since 1970 when it came, by the clock of the store. */
  readonly begun: number
}

/** What the options say of every lookup. */
export interface LookupOptions {
  readonly credentialHeaders: readonly string[]
  readonly clientDirectives: boolean
}

export function lookupOf(
  exchange: Exchange,
  partition: KeyPart | undefined,
  tags: () => readonly string[],
  { credentialHeaders, clientDirectives }: LookupOptions,
  clock: (key: CacheKey) => number,
): HttpLookup {
  const { req, res, url, target, scheme, before } = exchange
  const resource = resourceOf(exchange, partition)
  const key = ownKey(resource)
  return {
    req,
    res,
    url,
    target,
    scheme,
    before,
    resource,
    key,
    partitioned: partition !== undefined,
    credentials: credentialsOf(req, credentialHeaders),
    wishes: clientDirectives ? wishesOf(req) : NO_WISHES,
    tags,
    begun: clock(key),
  }
}

/** What an authority is made of; nothing in it could be taken for the beginning of a target. */
const AUTHORITY = /^[\w.:[\]-]*$/

/** What names a resource: scheme, authority and target, what else is said of them, and who it is for. */
export function resourceOf(
  { req, scheme, url, target }: Omit<Exchange, 'res' | 'before'>,
  partition: KeyPart | undefined,
): string {
  const { headers } = req
  const authority = (line(headers, ':authority') ?? headers.host ?? '').toLowerCase()
  const told = originToldBy(req)
  const asked = line(headers, ':scheme') ?? scheme
  const isPlain = SCHEMES.has(scheme) && asked === scheme && told === undefined && target === url
  if (isPlain && partition === undefined && AUTHORITY.test(authority)) return `${scheme}:${authority}|${url}`
  const parts = [authority, url, target === url ? null : target, told ?? null, scheme, asked]
  return `*${encodeKey(partition === undefined ? parts : [...parts, partition])}`
}

const SCHEMES = new Set(['http', 'https'])

/**
 * Whether a request is one that a cache should leave alone: it asks for a part of something, has a body, wants another
 * protocol, or is not what it seems.
 */
export function isUnusual(req: IncomingMessage): boolean {
  const { headers } = req
  return (
    headers.range !== undefined ||
    headers.upgrade !== undefined ||
    headers['transfer-encoding'] !== undefined ||
    Number(headers['content-length'] ?? 0) > 0 ||
    hasHttp2Body(req) ||
    OVERRIDES.some((name) => headers[name] !== undefined)
  )
}

/** By these, middlewares give a request another method. */
const OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override']

/** HTTP/2 need not say how long a body is. */
function hasHttp2Body(req: IncomingMessage): boolean {
  const { stream } = req as { stream?: { endAfterHeaders?: boolean } }
  return stream?.endAfterHeaders === false
}

/** What tells the variants of a resource apart: the request's values of the headers that count (RFC 9111 section 4.1). */
export function variantOf(headers: IncomingMessage['headers'], names: readonly string[]): string {
  const values = names.map((name) => {
    const value = line(headers, name)
    if (value === undefined) return null
    const items = value.split(',').map((item) => item.trim())
    return name === 'accept-encoding' ? codings(items) : items.join(',')
  })
  return shortName(JSON.stringify([names, values]))
}

/** Clients word the same wish in many ways: the codings they take, in order, say all. */
function codings(items: readonly string[]): string {
  return items
    .map((item) => item.toLowerCase().split(';'))
    .filter(([, ...weights]) => !weights.some(isNothing))
    .map(([coding]) => coding!.trim())
    .sort()
    .join(',')
}

/** `q=0`, `q=0.000`: not wanted. */
function isNothing(weight: string): boolean {
  const [name, value = ''] = weight.split('=', 2)
  return name!.trim() === 'q' && value.trim() !== '' && Number(value) === 0
}
