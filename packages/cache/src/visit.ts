import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type HeadersGiven, line } from './http-message.js'
import { hasCredentials, NO_WISHES, type Wishes, wishesOf } from './http-policy.js'
import { encodeKey, type KeyPart } from './key.js'

/** One request and its response, as an adapter hands them over. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The request target as the client sent it, not as a router rewrote it. */
  readonly url: string
  /** The headers that are set already when the handler begins: they belong to this client, and are not stored. */
  readonly before: () => HeadersGiven
}

/** What matters of a request that may be answered from the cache. */
export interface Visit extends Exchange {
  /** The key of the resource; of all its variants. */
  readonly key: string
  readonly partitioned: boolean
  readonly credentials: boolean
  readonly wishes: Wishes
  readonly tags: () => readonly string[]
  /** Milliseconds since 1970 when it came. */
  readonly begun: number
}

export function visitOf(
  { req, res, url, before }: Exchange,
  partition: KeyPart | undefined,
  tags: () => readonly string[],
  clientDirectives: boolean,
): Visit {
  return {
    req,
    res,
    url,
    before,
    key: resourceKey(req, url, partition),
    partitioned: partition !== undefined,
    credentials: hasCredentials(req),
    wishes: clientDirectives ? wishesOf(req) : NO_WISHES,
    tags,
    begun: Date.now(),
  }
}

/** What an authority is made of; nothing in it could be taken for the beginning of a target. */
const AUTHORITY = /^[\w.:[\]-]*$/

/**
 * The key of a resource: authority and target, and who it is for. What proxies say of the original host and scheme
 * counts too, since apps build links and redirects from it: otherwise one client could choose them for all.
 */
export function resourceKey(
  { headers }: IncomingMessage,
  url: string,
  partition: KeyPart | undefined,
): string {
  const authority = (line(headers, ':authority') ?? headers.host ?? '').toLowerCase()
  const host = line(headers, 'x-forwarded-host') ?? null
  const scheme = line(headers, 'x-forwarded-proto') ?? null
  if (partition === undefined && host === null && scheme === null && AUTHORITY.test(authority)) {
    return `http:${authority}|${url}`
  }
  const key = [authority, url, host, scheme]
  return `http*${encodeKey(partition === undefined ? key : [...key, partition])}`
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
  const text = JSON.stringify([names, values])
  return text.length <= READABLE ? text : createHash('sha256').update(text).digest('base64url')
}

/** Longer variants are named by a digest. */
const READABLE = 200

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
