import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type HeadersGiven, line } from './http-message.js'
import { hasCredentials, type Wishes, wishesOf } from './http-policy.js'
import type { KeyPart } from './key.js'

/** One request and its response, as an adapter hands them over. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The request target as the client sent it, not as a router rewrote it. */
  readonly url: string
  /** The headers that were set before: they belong to this client, and are not stored. */
  readonly before: HeadersGiven
}

/** What matters of a request that may be answered from the cache. */
export interface Visit extends Exchange {
  /** The key of the resource; of all its variants. */
  readonly key: readonly KeyPart[]
  readonly partitioned: boolean
  readonly credentials: boolean
  readonly wishes: Wishes
  readonly tags: readonly string[]
  /** Milliseconds since 1970 when it came. */
  readonly begun: number
}

export function visitOf(
  exchange: Exchange,
  partition: KeyPart | undefined,
  tags: readonly string[],
  clientDirectives: boolean,
): Visit {
  const { req, url } = exchange
  return {
    ...exchange,
    key: resourceKey(req, url, partition),
    partitioned: partition !== undefined,
    credentials: hasCredentials(req),
    wishes: clientDirectives ? wishesOf(req) : NO_WISHES,
    tags,
    begun: Date.now(),
  }
}

const NO_WISHES: Wishes = {
  noStore: false,
  reload: false,
  onlyIfCached: false,
  maxAge: Number.POSITIVE_INFINITY,
  minFresh: 0,
  maxStale: 0,
}

/**
 * The key of a resource: authority and target, and who it is for. What proxies say of the original host and scheme
 * counts too, since apps build links and redirects from it: otherwise one client could choose them for all.
 */
export function resourceKey(
  { headers }: IncomingMessage,
  url: string,
  partition: KeyPart | undefined,
): KeyPart[] {
  const authority = line(headers, ':authority') ?? headers.host ?? ''
  const key: KeyPart[] = ['http', authority.toLowerCase(), url]
  const forwarded = [line(headers, 'x-forwarded-host') ?? null, line(headers, 'x-forwarded-proto') ?? null]
  if (partition !== undefined || forwarded.some((part) => part !== null)) key.push(...forwarded)
  if (partition !== undefined) key.push(partition)
  return key
}

/**
 * Whether a request is one that a cache should leave alone: it asks for a part of something, has a body, wants another
 * protocol, or is not what it seems.
 */
export function isUnusual({ headers }: IncomingMessage): boolean {
  return (
    headers.range !== undefined ||
    headers.upgrade !== undefined ||
    headers['transfer-encoding'] !== undefined ||
    Number(headers['content-length'] ?? 0) > 0 ||
    headers['x-http-method-override'] !== undefined
  )
}

/** What tells the variants of a resource apart: the request's values of the headers that count (RFC 9111 section 4.1). */
export function variantOf(headers: IncomingMessage['headers'], names: readonly string[]): string {
  const values = names.map((name) => {
    const value = line(headers, name)
    if (value === undefined) return null
    const text = value.trim().replace(/\s*,\s*/g, ',')
    return name === 'accept-encoding' ? codings(text) : text
  })
  return createHash('sha1')
    .update(JSON.stringify([names, values]))
    .digest('base64url')
}

/** Clients word the same wish in many ways: the codings they take, in order, say all. */
function codings(text: string): string {
  return text
    .toLowerCase()
    .split(',')
    .filter((item) => !/;\s*q=0(\.0*)?$/.test(item))
    .map((item) => item.split(';')[0]!.trim())
    .sort()
    .join(',')
}
