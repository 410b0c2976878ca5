import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { TimeoutQueue, Waiting } from '@spillway/kit'
import type { Cache } from '../cache.js'
import { type CacheKey, ownKey } from '../key.js'
import type { LoadContext } from '../load/loader.js'
import { withCacheStatus } from './cache-status.js'
import { type Answer, type CaptureListener, type Course, capture } from './capture.js'
import { clientHasIt } from './conditional.js'
import { reportFault } from './faults.js'
import { type HttpLookup, variantOf } from './http-lookup.js'
import { type Head, headersAsText, line, members, noHeaders } from './http-message.js'
import type { ResolvedHttpOptions } from './http-options.js'
import { type Refusal, type Storing, storing, storingSent } from './http-policy.js'
import { packRecord, type StoredResponse, type Variants, validatorOf } from './stored-response.js'
import { hideConditions } from './subrequest.js'

/** Rejects the load so that nothing is stored: the response was aborted, or was a 5xx and the stale one is sent instead. */
export class NotStored extends Error {}

/** A body that others wait for. */
export interface Body extends Waiting {
  readonly late: () => void
}

/** Where a response is looked for: under the key of its resource, or as one of its variants. */
export interface LookupKey {
  readonly key: CacheKey
  readonly variants?: Variants | undefined
}

/** No part of it names the resource: the id is the record's own. */
export function variantKey({ id }: Variants, variant: string): CacheKey {
  return ownKey(`variant:${id}:${variant}`)
}

/** What a recorder works with. */
export interface RecorderInput {
  readonly cache: Cache
  readonly options: ResolvedHttpOptions
  readonly lookup: HttpLookup
  readonly at: LookupKey
  readonly context: LoadContext
  /** What to serve when the handler fails. */
  readonly stale: Answer | undefined
  /** Names of headers that this resource was seen to vary by. */
  readonly names: readonly string[]
  /** Bodies that are waited for. */
  readonly bodies: TimeoutQueue<Body>
  /** Counts a variant of a new record. */
  readonly counts: (id: string, variant: string) => void
  /** The loader's end: a packed record, or `undefined`: nothing is stored. */
  readonly done: (value: Buffer | undefined) => void
  readonly fail: (error: unknown) => void
  /** @param brief the next response may be another */
  readonly refused: (reason: Refusal, brief: boolean) => void
}

/** Headers that belong to one connection, to one moment, or to us. */
const NOT_STORED = new Set([
  ...[
    'connection',
    'keep-alive',
    'proxy-authenticate',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
  ],
  ...['upgrade', 'age', 'cache-status', 'content-length', 'set-cookie'],
])

/** What is being led, by request. */
const led = new WeakMap<HttpLookup['req'], RecorderInput[]>()

/**
 * Whether this very request makes the response that it asks for: the same cache is mounted twice, or the app forwards to
 * itself. It cannot wait for itself; the outermost mount counts.
 */
export function isLed({ req, resource }: HttpLookup, cache: Cache): boolean {
  return led.get(req)?.some((input) => input.cache === cache && input.lookup.resource === resource) === true
}

/** Recorder of the response of the one request whose handler runs: decides whether it may be stored, and stores it. */
export class ResponseRecorder implements CaptureListener {
  readonly #input: RecorderInput
  /** As the client asked; the handler is not shown the conditions, since it is to answer in full. */
  readonly #asked: HttpLookup['req']['headers']
  readonly #before: Head['headers']
  /** How the response came from the handler, when it may be stored. */
  #passed: { readonly head: Head; readonly storing: Storing } | undefined
  #notModified = false
  /** How it may be stored as it was sent. */
  #storing: Storing | undefined
  #body: Body | undefined
  #over = false

  constructor(input: RecorderInput) {
    this.#input = input
    const { req, res } = input.lookup
    this.#asked = req.headers
    this.#before = headersAsText(input.lookup.before())
    hideConditions(req)
    capture(res, input.options.maxBodyBytes, this)
    led.set(req, [...(led.get(req) ?? []), input])
  }

  instead(status: number): Answer | undefined {
    const { stale } = this.#input
    if (status < 500 || stale === undefined || this.#over) return undefined
    this.#fail(`The handler answered ${status}`)
    // What stood on the response before the handler ran belongs to this client, whatever is sent.
    return { ...stale, headers: { ...this.#before, ...stale.headers } }
  }

  head(head: Head, course: Course) {
    const { options, lookup } = this.#input
    this.#notModified = clientHasIt(this.#asked, head)
    const verdict = storing(lookup, head, options)
    const refusal = typeof verdict === 'string' ? verdict : this.#refusalOf(head, course)
    const status = withCacheStatus(line(head.headers, 'cache-status'), options.statusName, {
      fwd: this.#reason(),
      detail: refusal,
    })
    if (typeof verdict === 'string' || refusal !== undefined) this.#refuse(refusal!, head.status)
    else this.#passed = { head, storing: verdict }
    if (course === 'coming') this.#await()
    return { keep: refusal === undefined, notModified: this.#notModified, status }
  }

  sent({ status, headers }: Head): boolean {
    if (this.#over || this.#passed === undefined) return false
    const { options, lookup } = this.#input
    const { head } = this.#passed
    const verdict =
      status === (this.#notModified ? 304 : head.status)
        ? storingSent(lookup, this.#passed, { status: head.status, headers }, options)
        : 'status'
    if (typeof verdict === 'string') this.#refuse(verdict, status)
    else this.#storing = verdict
    return typeof verdict !== 'string'
  }

  end(body: Buffer | undefined): void {
    if (this.#over || this.#passed === undefined) return
    const { head } = this.#passed
    const declared = line(head.headers, 'content-length')
    if (body === undefined) this.#refuse('too-large', head.status)
    else if (declared !== undefined && Number(declared) !== body.length) {
      this.#refuse('truncated', head.status)
    } else if (this.#storing === undefined) this.unknown()
    else {
      this.#settle()
      const { done, fail } = this.#input
      this.#store(head, this.#storing, body).then(done, fail)
    }
  }

  lost(): void {
    this.#fail('The response broke off')
  }

  unknown(): void {
    this.#refuse('unknown', 0)
  }

  broke(error: unknown): void {
    reportFault(this.#input.cache.name, 'capture', error)
    this.#fail('The cache failed')
  }

  #reason() {
    const { lookup, context, at } = this.#input
    if (lookup.wishes.reload) return 'request'
    if (context.stale !== undefined) return 'stale'
    return at.variants === undefined ? 'uri-miss' : 'vary-miss'
  }

  #refusalOf({ headers }: Head, course: Course): Refusal | undefined {
    if (course === 'stream') return 'stream'
    return Number(headers['content-length'] ?? 0) > this.#input.options.maxBodyBytes ? 'too-large' : undefined
  }

  /** Others wait for the rest, but not long. */
  #await(): void {
    const { bodies, context, lookup } = this.#input
    if (this.#over || context.background) return
    const late = () => this.#refuse('slow', isHeldUp(lookup.res) ? 500 : 200)
    this.#body = { next: undefined, previous: undefined, since: performance.now(), late }
    bodies.add(this.#body)
  }

  #refuse(reason: Refusal, status: number): void {
    if (this.#over) return
    this.#settle()
    this.#input.refused(reason, status >= 500)
  }

  #fail(why: string): void {
    if (this.#over) return
    this.#settle()
    this.#input.fail(new NotStored(why))
  }

  #settle(): void {
    this.#over = true
    if (this.#body !== undefined) this.#input.bodies.end(this.#body)
  }

  async #store(head: Head, storing: Storing, body: Buffer): Promise<Buffer | undefined> {
    const { cache, context, at, lookup } = this.#input
    const { ttl, swr, staleIfError } = storing
    const response = packRecord(this.#record(head, storing, body))
    const lifetime = { ttl: Math.max(1, ttl), swr, staleIfError }
    const names = [...new Set([...storing.vary, ...this.#input.names])].sort()
    if (at.variants !== undefined) {
      if (names.every((name) => at.variants?.names.includes(name))) {
        context.setTtl(lifetime.ttl)
        context.setStale({ swr, staleIfError })
        return response
      }
      // It varies by more than was known: the record is made anew by the next request.
      await cache.delete(lookup.key)
      return undefined
    }
    if (names.length === 0) {
      context.setTtl(lifetime.ttl)
      context.setStale({ swr, staleIfError })
      return response
    }
    const variants: Variants = { kind: 'variants', id: randomUUID(), names }
    // Nobody can find the response before the record stands, which is fenced.
    const variant = variantOf(this.#asked, names)
    this.#input.counts(variants.id, variant)
    const options = { ...lifetime, tags: lookup.tags(), share: 'reference' } as const
    await cache.set(variantKey(variants, variant), response, options)
    context.setTtl(Math.max(RECORD_TTL, lifetime.ttl + swr + staleIfError))
    context.setStale({ swr: false, staleIfError: false })
    return packRecord(variants)
  }

  #record(
    { status, headers }: Head,
    { ttl, age, staleIfError, audience }: Storing,
    body: Buffer,
  ): StoredResponse {
    const { cache, lookup } = this.#input
    const now = cache.now(lookup.key)
    const own = new Set(members(line(headers, 'connection')))
    const kept = noHeaders()
    for (const name in headers) {
      const value = headers[name]!
      if (NOT_STORED.has(name) || own.has(name) || this.#isFromBefore(name, value)) continue
      kept[name] = value
    }
    kept.date ??= new Date(now).toUTCString()
    if (status === 200) kept.etag ??= validatorOf(body)
    const freshUntil = now + ttl
    return {
      kind: 'response',
      status,
      headers: kept,
      body,
      born: now - age,
      freshUntil,
      staleUntil: freshUntil + staleIfError,
      audience,
    }
  }

  /** The header was set before the handler ran, and the handler left it as it was. */
  #isFromBefore(name: string, value: string | string[]): boolean {
    const before = this.#before[name]
    return before !== undefined && String(before) === String(value)
  }
}

/** Whether the client is what a response waits for. */
function isHeldUp(res: HttpLookup['res']): boolean {
  const { stream } = res as { stream?: Duplex }
  return (stream ?? res).writableNeedDrain
}

/** The record of a resource's variants lives at least an hour. */
const RECORD_TTL = 3_600_000
