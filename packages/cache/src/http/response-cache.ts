import type { IncomingMessage } from 'node:http'
import { TimeoutQueue } from '@spillway/kit'
import type { Cache } from '../cache.js'
import { ownKey } from '../key.js'
import type { LoadContext } from '../load/loader.js'
import { alsoChanged } from './also-changed.js'
import { beforeEnd } from './before-end.js'
import { type CacheStatus, withCacheStatus } from './cache-status.js'
import type { Answer } from './capture.js'
import { clientHasIt, headersOf304 } from './conditional.js'
import { reportFault } from './faults.js'
import { HitForMiss } from './hit-for-miss.js'
import { type Exchange, type HttpLookup, isUnusual, lookupOf, resourceOf, variantOf } from './http-lookup.js'
import { line } from './http-message.js'
import { type CacheResponseOptions, type ResolvedHttpOptions, resolveHttpOptions } from './http-options.js'
import { mayHave, type Refusal } from './http-policy.js'
import { isExpected, type Nothing, recordFor } from './lookup-result.js'
import {
  type Body,
  isLed,
  type LookupKey,
  NotStored,
  type RecorderInput,
  ResponseRecorder,
  variantKey,
} from './response-recorder.js'
import { packRecord, type StoredResponse, unpackRecord, type Variants } from './stored-response.js'
import { rerun, serverOf } from './subrequest.js'

/** What says who a client is, whatever the options name: no request of our own has it. */
const OF_CLIENTS = ['authorization', 'proxy-authorization', 'cookie']

const ATTEMPTS = 3
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** The response cache behind the three adapters: decides per request whether the handler is to run. */
export class ResponseCache<Args extends unknown[]> {
  readonly #cache: Cache
  readonly #options: ResolvedHttpOptions
  readonly #callbacks: CacheResponseOptions<Args>
  readonly #hitForMiss: HitForMiss
  /** Request headers that a request of our own never has. */
  readonly #stripped: readonly string[]
  readonly #bodies: TimeoutQueue<Body>
  /** Requests made by ourselves, to fetch something anew. */
  readonly #reruns = new WeakMap<
    IncomingMessage,
    Omit<RecorderInput, 'lookup'> & { readonly lookup: HttpLookup }
  >()

  /** @throws TypeError | RangeError `ERR_CACHE_OPTION` */
  constructor(cache: Cache, options: CacheResponseOptions<Args> = {}) {
    this.#cache = cache
    this.#options = resolveHttpOptions(options)
    this.#callbacks = options
    this.#hitForMiss = new HitForMiss(this.#options.hitForMiss, this.#options.maxVariants)
    this.#stripped = [...OF_CLIENTS, ...this.#options.credentialHeaders]
    this.#bodies = new TimeoutQueue(this.#options.bodyWait, ({ late }) => late())
  }

  /**
   * The answer to send, at once when this process has it; `undefined`: let the handler run. Its response is then
   * watched where it is sent.
   *
   * @throws what the user's own callbacks throw
   */
  answer(exchange: Exchange, args: Args): MaybePromise<Answer | undefined> {
    const { req } = exchange
    const input = this.#reruns.get(req)
    if (input !== undefined) {
      new ResponseRecorder({ ...input, lookup: { ...input.lookup, ...exchange, credentials: 'none' } })
      return undefined
    }
    const { key, skip, tags } = this.#callbacks
    if (skip?.(...args)) return undefined
    const partition = key?.(...args)
    const method = req.method ?? 'GET'
    if (!SAFE.has(method)) return this.#invalidates(exchange, partition)
    if (method !== 'GET' && method !== 'HEAD') return this.#pass(exchange, { fwd: 'method' })
    if (isUnusual(req)) return this.#pass(exchange, { fwd: 'bypass' })
    if (key !== undefined && partition === undefined) return this.#pass(exchange, { fwd: 'bypass' })
    const tagsOf = tags === undefined ? NO_TAGS : () => tags(...args)
    const lookup = lookupOf(exchange, partition, tagsOf, this.#options, this.#clock)
    if (isLed(lookup, this.#cache)) return undefined
    if (lookup.wishes.noStore) return this.#pass(exchange, { fwd: 'request' })
    const held = this.#held(lookup)
    if (held !== undefined) return this.#replay(lookup, held, lookup.begun)
    if (method === 'HEAD' || lookup.wishes.onlyIfCached) return this.#onlyStored(lookup)
    return this.#get(lookup)
  }

  /** What this process holds for the request, fresh and in every way good enough. */
  #held(lookup: HttpLookup): StoredResponse | undefined {
    let record = unpackRecord(this.#cache.peek(lookup.key))
    if (record?.kind === 'variants') {
      record = unpackRecord(this.#cache.peek(variantKey(record, variantOf(lookup.req.headers, record.names))))
    }
    if (record?.kind !== 'response') return undefined
    return mayHave(lookup, record.audience) && this.#newEnough(lookup, record, lookup.begun)
      ? record
      : undefined
  }

  async #get(lookup: HttpLookup): Promise<Answer | undefined> {
    if (this.#hitForMiss.isHitForMiss(lookup))
      return this.#pass(lookup, { fwd: 'uri-miss', detail: 'hit-for-miss' })
    let reload = lookup.wishes.reload
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#search(lookup, reload)
      if (found === 'leading') return undefined
      if (found === 'refused') break
      if (found === 'lost') continue
      if (found === 'unreadable') {
        reload = true
        continue
      }
      if (!mayHave(lookup, found.audience)) break
      const now = this.#clock(lookup.key)
      if (reload || this.#newEnough(lookup, found, now)) {
        return this.#replay(lookup, found, now, found.born >= lookup.begun)
      }
      reload = true
    }
    return this.#pass(lookup, { fwd: lookup.wishes.reload ? 'request' : 'uri-miss' })
  }

  /** Looks under the resource's key, and from there to the variant of this request. */
  async #search(lookup: HttpLookup, reload: boolean): Promise<StoredResponse | Nothing> {
    const first = await this.#lookUp(lookup, { key: lookup.key }, reload)
    if (typeof first === 'string' || first.kind === 'response') return first
    const variant = variantOf(lookup.req.headers, first.names)
    this.#hitForMiss.variesBy(lookup, first.names)
    if (!this.#hitForMiss.admitsVariant(first.id, variant)) return 'refused'
    const key = variantKey(first, variant)
    const second = await this.#lookUp(lookup, { key, variants: first }, reload)
    return typeof second === 'string' || second.kind === 'response' ? second : 'refused'
  }

  /** Waits for the stored record, or for the one request that is making it; that may become this one. */
  #lookUp(lookup: HttpLookup, at: LookupKey, reload: boolean): Promise<StoredResponse | Variants | Nothing> {
    return new Promise((resolve) => {
      const server = this.#refreshable(lookup, at) ? serverOf(lookup.req) : undefined
      const load = (context: LoadContext) =>
        new Promise<Buffer | undefined>((done, fail) => {
          const input = this.#input(lookup, at, context, done, fail)
          if (context.background) this.#refresh(input, server)
          else if (this.#leads(input)) resolve('leading')
          else resolve('refused')
        })
      this.#cache
        .getOrSet(at.key, load, {
          ttl: 1,
          swr: server === undefined ? false : FOR_EVER,
          staleIfError: FOR_EVER,
          tags: lookup.tags(),
          share: 'reference',
          loadTimeout: this.#options.wait,
          refresh: reload,
        })
        .then(
          (value) => resolve(recordFor(lookup, value)),
          (error) => {
            if (!isExpected(error)) reportFault(this.#cache.name, 'lookup', error)
            resolve(error instanceof NotStored ? 'lost' : 'refused')
          },
        )
    })
  }

  /**
   * Whether what is stored for this request could be fetched anew without its client. Not when the client is a part of what
   * is asked for: the response to a stranger must not take its place.
   */
  #refreshable({ req, credentials, partitioned }: HttpLookup, { variants }: LookupKey): boolean {
    if (partitioned) {
      return credentials === 'none' && this.#stripped.every((name) => line(req.headers, name) === undefined)
    }
    return !variants?.names.some(
      (name) => this.#stripped.includes(name) && line(req.headers, name) !== undefined,
    )
  }

  #leads(input: RecorderInput): boolean {
    try {
      new ResponseRecorder(input)
      return true
    } catch (error) {
      input.fail(error)
      return false
    }
  }

  #input(
    lookup: HttpLookup,
    at: LookupKey,
    context: LoadContext,
    done: (value: Buffer | undefined) => void,
    fail: (error: unknown) => void,
  ): RecorderInput {
    const old = unpackRecord(context.stale)
    const brokeDown = (error: unknown) => {
      const expected = isExpected(error)
      if (!expected) reportFault(this.#cache.name, context.background ? 'refresh' : 'capture', error)
      fail(expected ? error : new NotStored('The cache failed'))
    }
    return {
      cache: this.#cache,
      options: this.#options,
      lookup,
      at,
      context,
      stale: old?.kind === 'response' ? this.#insteadOfError(lookup, old) : undefined,
      names: [...this.#options.vary, ...this.#hitForMiss.namesOf(lookup)],
      counts: (id, variant) => void this.#hitForMiss.admitsVariant(id, variant),
      bodies: this.#bodies,
      done,
      fail: brokeDown,
      refused: (reason, brief) => this.#refused(lookup, context, reason, brief, done, brokeDown),
    }
  }

  #insteadOfError(lookup: HttpLookup, old: StoredResponse): Answer | undefined {
    const now = this.#clock(lookup.key)
    return now < old.staleUntil && mayHave(lookup, old.audience) ? this.#replay(lookup, old, now) : undefined
  }

  #refused(
    lookup: HttpLookup,
    context: LoadContext,
    reason: Refusal,
    brief: boolean,
    done: (value: Buffer | undefined) => void,
    fail: (error: unknown) => void,
  ): void {
    const stranger = lookup.credentials === 'none'
    if (!context.background) {
      this.#hitForMiss.hitForMiss(lookup, brief)
      context.skip()
      done(packRecord({ kind: 'refused', credentials: !stranger }))
    } else if (PASSING.has(reason) || !stranger) fail(new NotStored(`Not stored: ${reason}`))
    else {
      // It may not be stored any more: neither may what is stored still be served.
      this.#cache.delete(lookup.key).then(() => done(undefined), fail)
    }
  }

  /** Fetches anew what is stale, for all who may have it: a client who may not does not touch it. */
  #refresh(input: RecorderInput, server: ReturnType<typeof serverOf>): void {
    const { lookup, context, done, fail } = input
    const old = unpackRecord(context.stale)
    if (old?.kind === 'response' && !mayHave(lookup, old.audience)) {
      context.skip()
      done(context.stale as Buffer)
      return
    }
    if (server === undefined) {
      fail(new NotStored('There is no server to ask'))
      return
    }
    const over = () => fail(new NotStored('The app did not reach the cache'))
    const begin = (copy: IncomingMessage) => this.#reruns.set(copy, { ...input, stale: undefined })
    try {
      rerun(lookup.req, server, lookup.url, this.#stripped, begin, over)
    } catch (error) {
      fail(error)
    }
  }

  async #onlyStored(lookup: HttpLookup): Promise<Answer | undefined> {
    const found = await this.#stored(lookup).catch((error) => {
      if (!isExpected(error)) reportFault(this.#cache.name, 'lookup', error)
    })
    const now = this.#clock(lookup.key)
    if (found !== undefined && mayHave(lookup, found.audience) && this.#newEnough(lookup, found, now)) {
      return this.#replay(lookup, found, now)
    }
    if (!lookup.wishes.onlyIfCached) return this.#pass(lookup, { fwd: 'uri-miss' })
    return { status: 504, headers: {}, told: {}, body: NOTHING }
  }

  async #stored(lookup: HttpLookup): Promise<StoredResponse | undefined> {
    const record = unpackRecord(await this.#cache.get(lookup.key))
    if (record?.kind === 'response') return record
    if (record?.kind !== 'variants') return undefined
    const key = variantKey(record, variantOf(lookup.req.headers, record.names))
    const second = unpackRecord(await this.#cache.get(key))
    return second?.kind === 'response' ? second : undefined
  }

  #newEnough({ wishes, begun }: HttpLookup, { born, freshUntil }: StoredResponse, now: number): boolean {
    if (born > begun) return true
    if (wishes.reload || now - born > wishes.maxAge) return false
    return wishes.minFresh === 0 || freshUntil - now >= wishes.minFresh
  }

  /** @param collapsed it was made for another while this one waited */
  #replay({ req }: HttpLookup, stored: StoredResponse, now: number, collapsed = false): Answer {
    const { status, headers, body, born, freshUntil } = stored
    const did: CacheStatus = collapsed
      ? { fwd: 'uri-miss', collapsed: true }
      : { hit: true, ttl: freshUntil - now }
    const age = String(Math.max(0, Math.floor((now - born) / 1000)))
    const field = withCacheStatus(undefined, this.#options.statusName, did)
    const told: Record<string, string> = field === undefined ? { age } : { age, 'cache-status': field }
    if (clientHasIt(req.headers, stored)) {
      return { status: 304, headers: headersOf304(headers), told, body: NOTHING }
    }
    return { status, headers, told, body }
  }

  /** The handler runs, unwatched. */
  #pass({ res }: Exchange, status: CacheStatus): undefined {
    const field = withCacheStatus(undefined, this.#options.statusName, status)
    if (field !== undefined) res.setHeader('cache-status', field)
  }

  /** What an unsafe method changes is invalid when it has succeeded (RFC 9111 section 4.4), before the client knows. */
  #invalidates(exchange: Exchange, partition: Parameters<typeof resourceOf>[1]): undefined {
    this.#pass(exchange, { fwd: 'method' })
    beforeEnd(exchange.res, (head) => {
      if (head.status < 200 || head.status >= 400) return undefined
      const others = alsoChanged(exchange, head).map((url) => ({ ...exchange, url, target: url }))
      const keys = [exchange, ...others].map((each) => ownKey(resourceOf(each, partition)))
      return this.#cache.deleteMany(keys).catch((error) => {
        if (!isExpected(error)) reportFault(this.#cache.name, 'invalidate', error)
      })
    })
  }

  /** The times of a response and of all its variants are by the clock of the server that has the resource's key. */
  readonly #clock = (key: HttpLookup['key']): number => this.#cache.now(key)
}

type MaybePromise<T> = T | Promise<T>

const NO_TAGS = () => []
const NOTHING = Buffer.alloc(0)

/** Longer than any window that a response may set. */
const FOR_EVER = 365 * 86_400_000

/** Reasons that say nothing of the next response. */
const PASSING: ReadonlySet<Refusal> = new Set(['status', 'slow', 'truncated', 'unknown'])
