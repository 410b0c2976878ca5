import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import type { Answer } from './client.js'
import { sameHeaders } from './expect.js'
import {
  type Framework,
  type Handler,
  type Mounts,
  type Reply,
  type RunningApp,
  type Site,
  serving,
} from './frameworks.js'
import { until, withoutUnhandled } from './waiting.js'

export type ReplayMode =
  /** The store works. */
  | 'work'
  /** Every call to the store fails. */
  | 'fail'

export interface ReplaySubject extends Mounts {
  /** Called after the app has been closed. */
  close?(): unknown
}

export interface ReplaySpec {
  /** The cap, in bytes, on a stored body that `setup` configures. */
  readonly maxBytes: number
  /** Makes what one check mounts on one app. */
  setup(mode: ReplayMode): ReplaySubject | Promise<ReplaySubject>
  /** Fastify route config of the routes that are cached. Default: none needed. */
  readonly optIn?: object
  /** Fastify route config of a route that is not cached. Default: not checked. */
  readonly optOut?: object
}

/** What a cache may add to an answer, or has to change. */
const CACHE_HEADERS = ['age', 'cache-status', 'content-length', 'etag', 'last-modified', 'vary', 'x-cache']

/** Makes a response storable by the rules of RFC 9111, whatever the cache's defaults. */
export const STORABLE = { 'cache-control': 'public, max-age=60' }

export type ReplayStand = ReturnType<typeof replayStand>

/** What the checks of a replay adapter have in common. */
export function replayStand({ maxBytes, setup, optIn }: ReplaySpec) {
  async function cached(
    framework: Framework,
    site: Omit<Site, 'mounts'>,
    work: (app: RunningApp) => Promise<void>,
    mode: ReplayMode = 'work',
  ): Promise<void> {
    const subject = await setup(mode)
    try {
      await withoutUnhandled(() => serving(framework, { ...site, mounts: subject }, work))
    } finally {
      await subject.close?.()
    }
  }

  /** One route, `GET /`, that counts its runs. */
  function counting(reply: (run: number) => Reply | Promise<Reply>) {
    let runs = 0
    const handler: Handler = () => reply(++runs)
    const route = { handler, config: optIn }
    const site: Site = { routes: { 'GET /': route, 'POST /': route }, ownErrorHandler: true }
    return { site, handler, runs: () => runs }
  }

  /** Asks until the answer comes from the store: storing may go on after the answer was sent. */
  async function stored(app: RunningApp, runs: () => number, path = '/'): Promise<Answer> {
    let answer: Answer | undefined
    await until(async () => {
      const before = runs()
      answer = await app.ask(path)
      await app.idle()
      return runs() === before
    }, 'an answer comes from the store')
    return answer!
  }

  async function replays(framework: Framework, reply: Reply): Promise<void> {
    const { site, runs } = counting(() => reply)
    await serving(framework, site, (bareApp) =>
      cached(framework, site, async (app) => {
        const bare = await bareApp.ask('/')
        const before = runs()
        const first = await app.ask('/')
        assert.equal(runs(), before + 1, 'the handler ran for the first request')
        assert.equal(first.status, bare.status)
        assert.deepEqual(first.body, bare.body, 'first body')
        sameHeaders(first.headers, bare.headers, CACHE_HEADERS)
        const again = await stored(app, runs)
        assert.equal(again.status, bare.status)
        assert.deepEqual(again.body, bare.body, 'replayed body')
        sameHeaders(again.headers, bare.headers, CACHE_HEADERS)
        sameValidators(again.headers, first.headers)
        assert.deepEqual(app.errors, [])
      }),
    )
  }

  async function neverStored(
    framework: Framework,
    reply: (run: number) => Reply,
    status = 200,
  ): Promise<void> {
    const { site, runs } = counting(reply)
    await cached(framework, site, async (app) => {
      for (let run = 1; run <= 3; run++) {
        const answer = await app.ask('/')
        await app.idle()
        assert.equal(answer.status, status)
        assert.equal(runs(), run, 'runs of the handler')
      }
    })
  }

  return { maxBytes, cached, counting, stored, replays, neverStored, optIn }
}

/** What the client was told to remember the first answer by still stands. */
function sameValidators(again: IncomingHttpHeaders, first: IncomingHttpHeaders): void {
  if (first.etag !== undefined) assert.equal(again.etag, first.etag, 'etag')
  if (first['last-modified'] !== undefined) assert.equal(again['last-modified'], first['last-modified'])
}
