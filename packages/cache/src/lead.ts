import { randomUUID } from 'node:crypto'
import type { Cache } from './cache.js'
import { withCacheStatus } from './cache-status.js'
import { type Answer, capture, type Recorder } from './capture.js'
import { clientHasIt } from './conditional.js'
import type { LoadContext } from './context.js'
import { type Head, headersAsText, line, members } from './http-message.js'
import type { ResolvedHttpOptions } from './http-options.js'
import { type Refusal, type Storing, storing } from './http-policy.js'
import { withoutConditions } from './rerun.js'
import { packRecord, type StoredResponse, type Variants, validatorOf } from './stored-response.js'
import { type Visit, variantOf } from './visit.js'

/** The response of the handler broke off, or failed while an older one could be served. */
export class Unfinished extends Error {}

/** Where a response is looked for: under the key of its resource, or as one of its variants. */
export interface Level {
  readonly key: string
  readonly variants?: Variants | undefined
}

/** No part of it names the resource: the id is the record's own. */
export function variantKey({ id }: Variants, variant: string): string {
  return `variant:${id}:${variant}`
}

/** What the one request whose handler runs needs to know. */
export interface Task {
  readonly cache: Cache
  readonly options: ResolvedHttpOptions
  readonly visit: Visit
  readonly level: Level
  readonly context: LoadContext
  /** What to serve when the handler fails. */
  readonly stale: Answer | undefined
  /** Names of headers that this resource was seen to vary by. */
  readonly names: readonly string[]
  /** Counts a variant of a new record. */
  readonly counts: (id: string, variant: string) => void
  /** The loader's end: a packed record, or `undefined`: nothing is stored. */
  readonly done: (value: Buffer | undefined) => void
  readonly fail: (error: unknown) => void
  readonly refused: (reason: Refusal, status: number) => void
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

/** Runs behind a handler: watches its response, decides whether it may be stored, and stores it. */
export class Lead implements Recorder {
  readonly #task: Task
  /** As the client asked; the handler is not shown the conditions, since it is to answer in full. */
  readonly #asked: Visit['req']['headers']
  readonly #before: Head['headers']
  #head: Head | undefined
  #storing: Storing | undefined
  #over = false

  constructor(task: Task) {
    this.#task = task
    const { req, res } = task.visit
    this.#asked = req.headers
    this.#before = headersAsText(task.visit.before())
    req.headers = withoutConditions(req.headers)
    capture(res, task.options.maxBodyBytes, this)
  }

  instead(status: number): Answer | undefined {
    const { stale, fail } = this.#task
    if (status < 500 || stale === undefined || this.#over) return undefined
    this.#over = true
    fail(new Unfinished(`The handler answered ${status}`))
    return stale
  }

  head(head: Head) {
    const { options, visit, level } = this.#task
    const notModified = clientHasIt(this.#asked, head)
    const verdict = storing(visit.req, head, options, visit.partitioned)
    const tooLarge = Number(head.headers['content-length'] ?? 0) > options.maxBodyBytes
    const refusal = typeof verdict === 'string' ? verdict : tooLarge ? 'too-large' : undefined
    const status = withCacheStatus(line(head.headers, 'cache-status'), options.statusName, {
      fwd: visit.wishes.reload
        ? 'request'
        : this.#task.context.stale
          ? 'stale'
          : level.variants
            ? 'vary-miss'
            : 'uri-miss',
      stored: refusal === undefined,
      detail: refusal,
    })
    if (typeof verdict === 'string' || refusal !== undefined) {
      this.#refuse(refusal!, head.status)
      return { keep: false, notModified, status }
    }
    this.#head = head
    this.#storing = verdict
    return { keep: true, notModified, status }
  }

  end(body: Buffer | undefined): void {
    if (this.#over || this.#head === undefined || this.#storing === undefined) return
    const declared = line(this.#head.headers, 'content-length')
    if (body === undefined || (declared !== undefined && Number(declared) !== body.length)) {
      this.#refuse(body === undefined ? 'too-large' : 'truncated', this.#head.status)
      return
    }
    this.#over = true
    const { done, fail } = this.#task
    this.#store(this.#head, this.#storing, body).then(done, fail)
  }

  lost(): void {
    if (this.#over) return
    this.#over = true
    this.#task.fail(new Unfinished('The response broke off'))
  }

  #refuse(reason: Refusal, status: number): void {
    if (this.#over) return
    this.#over = true
    this.#task.refused(reason, status)
  }

  async #store(head: Head, storing: Storing, body: Buffer): Promise<Buffer | undefined> {
    const { cache, context, level, visit } = this.#task
    const { ttl, swr, staleIfError } = storing
    const response = packRecord(this.#record(head, storing, body))
    const lifetime = { ttl: Math.max(1, ttl), swr, staleIfError }
    const names = [...new Set([...storing.vary, ...this.#task.names])].sort()
    if (level.variants !== undefined) {
      if (names.every((name) => level.variants?.names.includes(name))) {
        context.setTtl(lifetime.ttl)
        context.setStale({ swr, staleIfError })
        return response
      }
      // It varies by more than was known: the record is made anew by the next request.
      await cache.delete(visit.key)
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
    this.#task.counts(variants.id, variant)
    const options = { ...lifetime, tags: visit.tags(), share: 'reference' } as const
    await cache.set(variantKey(variants, variant), response, options)
    context.setTtl(Math.max(RECORD_TTL, lifetime.ttl + swr + staleIfError))
    context.setStale({ swr: false, staleIfError: false })
    return packRecord(variants)
  }

  #record(
    { status, headers }: Head,
    { ttl, age, staleIfError, shared }: Storing,
    body: Buffer,
  ): StoredResponse {
    const now = Date.now()
    const own = new Set(members(line(headers, 'connection')))
    const kept: Record<string, string | string[]> = {}
    for (const name in headers) {
      const value = headers[name]!
      if (NOT_STORED.has(name) || own.has(name) || String(this.#before[name]) === String(value)) continue
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
      shared,
    }
  }
}

/** The record of a resource's variants lives at least an hour. */
const RECORD_TTL = 3_600_000
