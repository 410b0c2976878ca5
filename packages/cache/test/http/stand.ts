import type { IncomingHttpHeaders } from 'node:http'
import {
  type Answer,
  type Framework,
  type Handler,
  latch,
  type Mounts,
  type Reply,
  type RunningApp,
  serving,
  withoutUnhandled,
} from '@spillway/kit/testing'
import { cacheResponse as express } from '../../src/express.js'
import { cacheResponse as fastify } from '../../src/fastify.js'
import type { CacheResponseOptions } from '../../src/http/http-options.js'
import { Cache, type CacheOptions } from '../../src/index.js'
import { cacheResponse as koa } from '../../src/koa.js'

/** What the requests of all frameworks have in common. */
export interface Asked {
  readonly headers: IncomingHttpHeaders
}

export interface HttpOptions extends Omit<CacheResponseOptions<[]>, 'key' | 'tags' | 'skip'> {
  readonly key?: (asked: Asked) => string | undefined
  readonly tags?: (asked: Asked) => readonly string[]
}

export function mounts(cache: Cache, options: HttpOptions = {}): Mounts {
  return {
    express: (app) => app.use(express(cache, options)),
    fastify: (app) => app.register(fastify, { cache, ...options }),
    koa: (app) => app.use(koa(cache, options)),
  }
}

export interface Stand {
  /** What `GET /`, `POST /` and so on answer; `run` counts from 1. */
  readonly reply: (run: number, asked: Asked) => Reply | Promise<Reply>
  readonly options?: HttpOptions
  readonly cache?: CacheOptions
  /** Mounted before the cache, and after it. */
  readonly outside?: Mounts
  readonly inside?: Mounts
}

export interface Behind extends RunningApp {
  readonly cache: Cache
  /** How often the handler ran. */
  runs(): number
  /** Asks and waits until the request is over on the server's side, too. */
  get(headers?: Readonly<Record<string, string>>, path?: string): Promise<Answer>
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

/** An app with one handler behind the cache. */
export async function behind(
  framework: Framework,
  { reply, options, cache: cacheOptions, outside, inside }: Stand,
  work: (app: Behind) => Promise<void>,
): Promise<void> {
  await using cache = new Cache(cacheOptions)
  let runs = 0
  const handler: Handler = (native) => reply(++runs, native)
  const routes = Object.fromEntries(
    METHODS.flatMap((method) => ['/', '/other'].map((path) => [`${method} ${path}`, handler])),
  )
  const site = { routes, ownErrorHandler: true, mounts: inOrder(outside, mounts(cache, options), inside) }
  await withoutUnhandled(() =>
    serving(framework, site, (app) =>
      work({
        ...app,
        cache,
        runs: () => runs,
        async get(headers = {}, path = '/') {
          const answer = await app.ask(path, { headers })
          await app.idle()
          return answer
        },
      }),
    ),
  )
}

function inOrder(...all: readonly (Mounts | undefined)[]): Mounts {
  const given = all.filter((each) => each !== undefined)
  return {
    express: (app, server) => given.forEach((each) => void each.express(app, server)),
    fastify: (app) => given.forEach((each) => void each.fastify(app)),
    koa: (app, server) => given.forEach((each) => void each.koa(app, server)),
  }
}

/** What the cache says it did. */
export function statusOf({ headers }: Answer): string {
  return String(headers['cache-status'])
}

/** Lets a handler wait until as many of its runs have begun. */
export function meeting(count: number): () => Promise<void> {
  const all = latch()
  let present = 0
  return () => {
    if (++present >= count) all.open()
    return all.promise
  }
}
