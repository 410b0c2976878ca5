import type { IncomingMessage } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Cache } from './cache.js'
import { type CacheStatus, withCacheStatus } from './cache-status.js'
import { type Answer, beforeEnd } from './capture.js'
import { clientHasIt, headersOf304 } from './conditional.js'
import type { LoadContext } from './context.js'
import { type Head, line } from './http-message.js'
import { type CacheResponseOptions, type ResolvedHttpOptions, resolveHttpOptions } from './http-options.js'
import type { Refusal } from './http-policy.js'
import { Lead, type Level, type Task, Unfinished, variantKey } from './lead.js'
import { Marks } from './marks.js'
import { rerun, serverOf } from './rerun.js'
import { type StoredResponse, unpackRecord } from './stored-response.js'
import { type Exchange, isUnusual, resourceKey, type Visit, variantOf, visitOf } from './visit.js'

/** How a look-up ended: a response; nothing that may be shared; or this request is the one whose handler runs. */
type Found = StoredResponse | 'refused' | 'lost' | 'leading'

const ATTEMPTS = 3
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** The response cache behind the three adapters: decides per request whether the handler is to run. */
export class ResponseCache<Args extends unknown[]> {
  readonly #cache: Cache
  readonly #options: ResolvedHttpOptions
  readonly #callbacks: CacheResponseOptions<Args>
  readonly #marks: Marks
  /** Names that a resource was seen to vary by; what one response forgets to say, another has said. */
  readonly #names = new LRUCache<string, readonly string[]>({ max: 10_000 })
  /** Requests made by ourselves, to fetch something anew. */
  readonly #reruns = new WeakMap<IncomingMessage, Omit<Task, 'visit'> & { readonly visit: Visit }>()

  /** @throws TypeError | RangeError `ERR_CACHE_OPTION` */
  constructor(cache: Cache, options: CacheResponseOptions<Args> = {}) {
    this.#cache = cache
    this.#options = resolveHttpOptions(options)
    this.#callbacks = options
    this.#marks = new Marks(this.#options.hitForMiss, this.#options.maxVariants)
  }

  /**
   * The answer to send, at once when this process has it; `undefined`: let the handler run. Its response is then
   * watched where it is sent.
   *
   * @throws what the user's own callbacks throw
   */
  answer(exchange: Exchange, args: Args): MaybePromise<Answer | undefined> {
    const { req } = exchange
    const task = this.#reruns.get(req)
    if (task !== undefined) {
      new Lead({ ...task, visit: { ...task.visit, ...exchange } })
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
    const visit = visitOf(exchange, partition, tagsOf, this.#options.clientDirectives)
    if (visit.wishes.noStore) return this.#pass(exchange, { fwd: 'request' })
    const held = this.#held(visit)
    if (held !== undefined) return this.#replay(visit, held, visit.begun)
    if (method === 'HEAD' || visit.wishes.onlyIfCached) return this.#onlyStored(visit)
    return this.#get(visit)
  }

  /** What this process holds for the request, fresh and in every way good enough. */
  #held(visit: Visit): StoredResponse | undefined {
    let record = unpackRecord(this.#cache.peek(visit.key))
    if (record?.kind === 'variants') {
      record = unpackRecord(this.#cache.peek(variantKey(record, variantOf(visit.req.headers, record.names))))
    }
    if (record?.kind !== 'response') return undefined
    return this.#mayHave(visit, record) && this.#newEnough(visit, record, visit.begun) ? record : undefined
  }

  async #get(visit: Visit): Promise<Answer | undefined> {
    if (this.#marks.isHitForMiss(visit)) return this.#pass(visit, { fwd: 'uri-miss', detail: 'hit-for-miss' })
    let reload = visit.wishes.reload
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#search(visit, reload)
      if (found === 'leading') return undefined
      if (found === 'refused') break
      if (found === 'lost') continue
      if (!this.#mayHave(visit, found)) break
      const now = Date.now()
      if (reload || this.#newEnough(visit, found, now)) {
        return this.#replay(visit, found, now, found.born >= visit.begun)
      }
      reload = true
    }
    return this.#pass(visit, { fwd: visit.wishes.reload ? 'request' : 'uri-miss' })
  }

  /** Looks under the resource's key, and from there to the variant of this request. */
  async #search(visit: Visit, reload: boolean): Promise<Found> {
    const first = await this.#lookUp(visit, { key: visit.key }, reload)
    if (typeof first === 'string' || first.kind === 'response') return first
    const variant = variantOf(visit.req.headers, first.names)
    this.#names.set(visit.key, first.names)
    if (!this.#marks.admitsVariant(first.id, variant)) return 'refused'
    const key = variantKey(first, variant)
    const second = await this.#lookUp(visit, { key, variants: first }, reload)
    return typeof second === 'string' || second.kind === 'response' ? second : 'refused'
  }

  /** Waits for the stored record, or for the one request that is making it; that may become this one. */
  #lookUp(visit: Visit, level: Level, reload: boolean) {
    type Result = ReturnType<typeof unpackRecord> & object
    return new Promise<Result | 'refused' | 'lost' | 'leading'>((resolve) => {
      const server = serverOf(visit.req)
      const load = (context: LoadContext) =>
        new Promise<Buffer | undefined>((done, fail) => {
          const task = this.#task(visit, level, context, done, fail)
          if (context.background) {
            if (server === undefined) fail(new Unfinished('There is no server to ask'))
            else this.#rerun(task, server)
          } else {
            new Lead(task)
            resolve('leading')
          }
        })
      this.#cache
        .getOrSet(level.key, load, {
          ttl: 1,
          swr: server === undefined ? false : FOR_EVER,
          staleIfError: FOR_EVER,
          tags: visit.tags(),
          share: 'reference',
          loadTimeout: this.#options.wait,
          refresh: reload,
        })
        .then(
          (value) => resolve(unpackRecord(value) ?? 'refused'),
          (error) => resolve(error instanceof Unfinished ? 'lost' : 'refused'),
        )
    })
  }

  #task(
    visit: Visit,
    level: Level,
    context: LoadContext,
    done: (value: Buffer | undefined) => void,
    fail: (error: unknown) => void,
  ): Task {
    const old = unpackRecord(context.stale)
    return {
      cache: this.#cache,
      options: this.#options,
      visit,
      level,
      context,
      stale: old?.kind === 'response' ? this.#insteadOfError(visit, old) : undefined,
      names: [...this.#options.vary, ...(this.#names.get(visit.key) ?? [])],
      counts: (id, variant) => void this.#marks.admitsVariant(id, variant),
      done,
      fail,
      refused: (reason, status) => this.#refused(visit, context, reason, status, done, fail),
    }
  }

  #insteadOfError(visit: Visit, old: StoredResponse): Answer | undefined {
    const now = Date.now()
    return now < old.staleUntil && this.#mayHave(visit, old) ? this.#replay(visit, old, now) : undefined
  }

  #refused(
    visit: Visit,
    context: LoadContext,
    reason: Refusal,
    status: number,
    done: (value: undefined) => void,
    fail: (error: unknown) => void,
  ): void {
    if (!context.background) {
      this.#marks.hitForMiss(visit, reason, status)
      done(undefined)
    } else if (reason === 'status') fail(new Unfinished(`The handler answered ${status}`))
    else {
      // It may not be stored any more: neither may what is stored still be served.
      this.#cache.delete(visit.key).then(() => done(undefined), fail)
    }
  }

  #rerun(task: Task, server: NonNullable<ReturnType<typeof serverOf>>): void {
    const over = () => task.fail(new Unfinished('The app did not reach the cache'))
    rerun(
      task.visit.req,
      server,
      task.visit.url,
      (copy) => this.#reruns.set(copy, { ...task, stale: undefined }),
      over,
    )
  }

  async #onlyStored(visit: Visit): Promise<Answer | undefined> {
    const found = await this.#stored(visit).catch(() => undefined)
    const now = Date.now()
    if (found !== undefined && this.#mayHave(visit, found) && this.#newEnough(visit, found, now)) {
      return this.#replay(visit, found, now)
    }
    if (!visit.wishes.onlyIfCached) return this.#pass(visit, { fwd: 'uri-miss' })
    return { status: 504, headers: {}, told: {}, body: NOTHING }
  }

  async #stored(visit: Visit): Promise<StoredResponse | undefined> {
    const record = unpackRecord(await this.#cache.get(visit.key))
    if (record?.kind !== 'variants') return record
    const key = variantKey(record, variantOf(visit.req.headers, record.names))
    const second = unpackRecord(await this.#cache.get(key))
    return second?.kind === 'response' ? second : undefined
  }

  /** Whether a response may be given to this client: one with credentials gets only what is for everybody. */
  #mayHave({ credentials, partitioned }: Visit, { shared }: StoredResponse): boolean {
    return !credentials || partitioned || shared
  }

  #newEnough({ wishes, begun }: Visit, { born, freshUntil }: StoredResponse, now: number): boolean {
    if (born > begun) return true
    if (wishes.reload || now - born > wishes.maxAge) return false
    return wishes.minFresh === 0 || freshUntil - now >= wishes.minFresh
  }

  /** @param collapsed it was made for another while this one waited */
  #replay({ req }: Visit, stored: StoredResponse, now: number, collapsed = false): Answer {
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
  #invalidates(exchange: Exchange, partition: Parameters<typeof resourceKey>[2]): undefined {
    const { req, res, url } = exchange
    this.#pass(exchange, { fwd: 'method' })
    beforeEnd(res, (head) => {
      if (head.status < 200 || head.status >= 400) return undefined
      const keys = [url, ...alsoChanged(req, url, head)].map((target) => resourceKey(req, target, partition))
      return this.#cache.deleteMany(keys).catch(() => {})
    })
  }
}

type MaybePromise<T> = T | Promise<T>

const NO_TAGS = () => []
const NOTHING = Buffer.alloc(0)

/** Longer than any window that a response may set. */
const FOR_EVER = 365 * 86_400_000

/** The targets that `Location` and `Content-Location` name, on this very host. */
function alsoChanged({ headers: { host = '' } }: IncomingMessage, url: string, head: Head): string[] {
  const targets: string[] = []
  for (const name of ['location', 'content-location']) {
    const value = line(head.headers, name)
    const base = `http://${host}${url}`
    if (value === undefined || !URL.canParse(value, base)) continue
    const target = new URL(value, base)
    if (target.host === new URL(base).host) targets.push(target.pathname + target.search)
  }
  return targets
}
