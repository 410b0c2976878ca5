import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import express from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import Koa from 'koa'
import Koa2 from 'koa2'
import { Agent, request } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import { metrics as expressMetrics } from '../../src/express.js'
import { metrics as fastifyMetrics } from '../../src/fastify.js'
import { Metrics } from '../../src/index.js'
import { metrics as koaMetrics } from '../../src/koa.js'

/** The names of routes come from the app's patterns, whatever a client writes. */

const agent = new Agent({ keepAliveTimeout: 1 })
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Site {
  readonly metrics: Metrics
  ask(path: string, init?: { method?: string; headers?: Record<string, string> }): Promise<number>
}

async function listening(listener: RequestListener, metrics: Metrics): Promise<Site> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () => metrics.close(),
    () => server.close(),
    () => server.closeAllConnections(),
  )
  return siteAt((server.address() as AddressInfo).port, metrics)
}

function siteAt(port: number, metrics: Metrics): Site {
  return {
    metrics,
    async ask(path, init = {}) {
      const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, {
        ...(init as object),
        dispatcher: agent,
      })
      await body.dump()
      return statusCode
    },
  }
}

const made = () => new Metrics({ processMetrics: false, events: false })

function onExpress(create: typeof express): Promise<Site> {
  const metrics = made()
  const app = create()
  app.use(expressMetrics(metrics))
  const items = create.Router()
  items.get('/items/:item', (_req, res) => res.send('item'))
  const inner = create.Router()
  inner.use('/deep', items)
  app.use('/management', items)
  app.use('/tenant/:t', items)
  app.use('/v1.0/:org/x/:team', inner)
  app.use(['/a', '/b/:c'], items)
  app.use(/^\/re(x|y)/, items)
  app.use('/wrapped/:w', (req, res, next) => items(req, res, next))
  const sub = create()
  sub.get('/leaf', (_req, res) => res.send('leaf'))
  const subRouter = create.Router()
  subRouter.get('/far', (_req, res) => res.send('far'))
  sub.use('/inside/:i', subRouter)
  app.use('/sub/:s', sub)
  app.get('/plain/:id', (_req, res) => res.send('plain'))
  return listening(app, metrics)
}

async function onFastify(): Promise<Site> {
  const metrics = made()
  const app = Fastify({ routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } })
  app.register(fastifyMetrics, { metrics })
  for (const prefix of ['/management', '/tenant/:t']) {
    app.register(async (scope) => void scope.get('/items/:item', async () => 'item'), { prefix })
  }
  app.get('/plain/:id', async () => 'plain')
  await app.listen({ port: 0, host: '127.0.0.1' })
  closing.push(() => app.close())
  return siteAt((app.server.address() as AddressInfo).port, metrics)
}

function onKoa(create: typeof Koa): Promise<Site> {
  const metrics = made()
  const app = new create()
  app.use(koaMetrics(metrics))
  const items = new Router()
  items.get('/items/:item', (ctx) => void (ctx.body = 'item'))
  for (const prefix of ['/management', '/tenant/:t']) {
    const mounted = new Router({ prefix })
    mounted.use(items.routes())
    app.use(mounted.routes())
  }
  const plain = new Router()
  plain.get('/plain/:id', (ctx) => void (ctx.body = 'plain'))
  app.use(plain.routes())
  return listening(app.callback() as RequestListener, metrics)
}

const FRAMEWORKS = {
  'Express 4': () => onExpress(express4),
  'Express 5': () => onExpress(express),
  'Fastify 5': onFastify,
  'Koa 2': () => onKoa(Koa2 as typeof Koa),
  'Koa 3': () => onKoa(Koa),
}

async function routes({ metrics }: Site): Promise<Set<string>> {
  const { body } = await metrics.expose()
  return new Set([...body.matchAll(/_count\{method="[^"]*",route="([^"]*)"/g)].map(([, route]) => route!))
}

async function seriesOf({ metrics }: Site): Promise<number> {
  return (await metrics.expose()).body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    .length
}

/** So many spellings of a word by the case of its letters. */
function spellings(word: string, count: number): string[] {
  return Array.from({ length: count }, (_, bits) =>
    [...word].map((letter, i) => ((bits >> i) & 1 ? letter.toUpperCase() : letter)).join(''),
  )
}

describe.each(Object.entries(FRAMEWORKS))('T2 on %s', (_name, start) => {
  it('T2 names come from the patterns of mounts and prefixes', async () => {
    const site = await start()
    for (const path of ['/management/items/1', '/tenant/acme/items/2', '/tenant/evil/items/3', '/plain/4']) {
      expect(await site.ask(path)).toBe(200)
    }
    expect(await routes(site)).toEqual(
      new Set(['/management/items/:item', '/tenant/:t/items/:item', '/plain/:id']),
    )
  })

  it('T2 the number of series is flat under spellings, slashes, encodings, Hosts and tenants', async () => {
    const site = await start()
    const paths = (n: number) => [
      ...spellings('management', n).map((word) => `/${word}/items/1`),
      ...spellings('tenant', 64).map((word, i) => `/${word}/t${i}/items/${i}/`),
      ...Array.from({ length: n }, (_, i) => `/tenant/%61${i}/items/%2f${i}?x=${i}`),
      ...Array.from({ length: n }, (_, i) => `/nothing/${i}`),
    ]
    const run = async (n: number) => {
      for (const [i, path] of paths(n).entries()) await site.ask(path, { headers: { host: `h${i}.example` } })
    }
    await run(4)
    const before = await seriesOf(site)
    await run(256)
    expect(await seriesOf(site)).toBe(before)
  })

  it('T2 methods that no app serves share one name', async () => {
    const site = await start()
    for (const method of ['PROPFIND', 'SEARCH', 'MKCOL', 'LOCK', 'PURGE', 'LINK', 'REPORT']) {
      await site.ask('/nothing', { method })
    }
    const { body } = await site.metrics.expose()
    const methods = new Set([...body.matchAll(/_count\{method="([^"]*)"/g)].map(([, method]) => method))
    expect([...methods].filter((method) => method !== '(other)')).toEqual([])
  })
})

describe.each([
  ['Express 4', express4],
  ['Express 5', express],
] as const)('T2 mounts on %s', (_name, create) => {
  it.each([
    ['/v1.0/acme/x/red/deep/items/1', '/v1.0/:org/x/:team/deep/items/:item'],
    ['/B/anything/items/1', '(/a|/b/:c)/items/:item'],
    ['/A/items/1', '(/a|/b/:c)/items/:item'],
    ['/wrapped/acme/items/1', '/wrapped/:w/items/:item'],
    ['/sub/acme/leaf', '/sub/:s/leaf'],
    ['/SUB/acme/inside/77/far', '/sub/:s/inside/:i/far'],
  ])('T2 %s is %s', async (path, name) => {
    const site = await onExpress(create)
    expect(await site.ask(path)).toBe(200)
    expect(await routes(site)).toEqual(new Set([name]))
  })

  it('T2 a mount by a regular expression is named by its source', async () => {
    const site = await onExpress(create)
    for (const path of ['/rex/items/1', '/rey/items/2']) await site.ask(path)
    const names = [...(await routes(site))]
    expect(names).toHaveLength(1)
    expect(names[0]).toMatch(/re\(x\|y\)/)
  })

  it('T2 routers that are made for each request are named without what the client wrote', async () => {
    const metrics = made()
    const app = create()
    app.use(expressMetrics(metrics))
    app.use((req, res, next) => {
      const fresh = create.Router()
      const leaf = create.Router()
      leaf.get('/leaf', (_req, response) => response.send('leaf'))
      fresh.use('/made/:m', leaf)
      fresh(req, res, next)
    })
    const site = await listening(app, metrics)
    for (let i = 0; i < 50; i++) expect(await site.ask(`/made/${i}/leaf`)).toBe(200)
    expect(await routes(site)).toEqual(new Set(['(mounted)/leaf']))
  })
})

describe('T2 the cap', () => {
  it('T2 holds over routes, methods and statuses, and counts what it left out', async () => {
    const metrics = made()
    closing.push(() => metrics.close())
    for (let i = 0; i < 900; i++) {
      for (let status = 200; status < 210; status++) {
        metrics.requests.begin()({ method: 'GET', route: `/r/${i}`, status })
      }
    }
    const { body } = await metrics.expose()
    expect(body.match(/http_request_duration_seconds_count\{/g)!.length).toBeLessThanOrEqual(5_010)
    const left = 9_000 - 5_000
    expect(body).toContain(`spillway_metrics_dropped_total{metric="http_request_duration_seconds"} ${left}`)
  })
})
