import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type NextFunction, type Request, type Response } from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import Koa from 'koa'
import Koa2 from 'koa2'
import { Agent, request } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import { metrics as expressMetrics } from '../../src/express.js'
import { metrics as fastifyMetrics } from '../../src/fastify.js'
import { Metrics, type MetricsRouteOptions, requestListener } from '../../src/index.js'
import { metrics as koaMetrics } from '../../src/koa.js'

interface Running {
  readonly origin: string
  readonly metrics: Metrics
}

const closing: (() => Promise<unknown>)[] = []
const agent = new Agent({ keepAliveTimeout: 1 })
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function listening(server: Server, metrics: Metrics): Promise<Running> {
  closing.push(() => metrics.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, metrics }
}

const gone = Object.assign(new Error('no such city'), { status: 404 })

function onExpress(create: typeof express, options: Parameters<typeof expressMetrics>[1]): Promise<Running> {
  const metrics = new Metrics({ processMetrics: false })
  const app = create()
  app.use(expressMetrics(metrics, options))
  const cities = create.Router()
  cities.get('/:id', (req, res, next) => (req.params.id === '0' ? next(gone) : res.send(req.params.id)))
  app.use('/cities', cities)
  app.get('/hang', () => {})
  app.get('/own', (req, res) => res.json(req.metrics === metrics))
  app.use((error: { status: number; code?: string }, _req: Request, res: Response, _next: NextFunction) => {
    res.status(error.status).json({ mine: error.code ?? 'none' })
  })
  return listening(createServer(app), metrics)
}

async function onFastify(options: Partial<Parameters<typeof fastifyMetrics>[1]> = {}): Promise<Running> {
  const metrics = new Metrics({ processMetrics: false })
  const app = Fastify()
  app.setErrorHandler((error: { statusCode?: number; status?: number; code?: string }, _request, reply) =>
    reply.code(error.statusCode ?? error.status ?? 500).send({ mine: error.code ?? 'none' }),
  )
  app.register(fastifyMetrics, { ...options, metrics })
  app.get<{ Params: { id: string } }>('/cities/:id', async (req) => {
    if (req.params.id === '0') throw gone
    return req.params.id
  })
  app.get('/hang', () => new Promise(() => {}))
  app.get('/own', async () => app.metrics === metrics)
  await app.listen({ port: 0, host: '127.0.0.1' })
  closing.push(() => app.close())
  closing.push(async () => app.server.closeAllConnections())
  return { origin: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`, metrics }
}

function onKoa(create: typeof Koa, options: Parameters<typeof koaMetrics>[1]): Promise<Running> {
  const metrics = new Metrics({ processMetrics: false })
  const app = new create()
  app.use(async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      const { status = 500, code = 'none' } = error as { status?: number; code?: string }
      ctx.status = status
      ctx.body = { mine: code }
    }
  })
  app.use(koaMetrics(metrics, options))
  app.use((ctx) => {
    const [, first, id] = ctx.path.split('/')
    if (first === 'cities') {
      Object.assign(ctx, { _matchedRoute: '/cities/:id' })
      if (id === '0') throw gone
      ctx.body = id
    } else if (first === 'own') ctx.body = JSON.stringify(ctx.state.metrics === metrics)
    else if (first === 'hang') {
      Object.assign(ctx, { _matchedRoute: '/hang' })
      return new Promise<void>(() => {})
    }
    return undefined
  })
  return listening(createServer(app.callback() as RequestListener), metrics)
}

type Options = Pick<
  MetricsRouteOptions<unknown>,
  'path' | 'dashboard' | 'allow' | 'token' | 'freshFor' | 'route' | 'skip'
>

/** Each answer is compared with what has just happened. */
const fresh = (options: Options = {}): Options => ({ freshFor: false, ...options })

const FRAMEWORKS: Record<string, (options?: Options) => Promise<Running>> = {
  'Express 4': (options) => onExpress(express4, fresh(options)),
  'Express 5': (options) => onExpress(express, fresh(options)),
  'Fastify 5': (options) => onFastify(fresh(options)),
  'Koa 2': (options) => onKoa(Koa2 as typeof Koa, fresh(options)),
  'Koa 3': (options) => onKoa(Koa, fresh(options)),
}

const get = async (url: string, method: 'GET' | 'HEAD' = 'GET') => {
  const { statusCode, headers, body } = await request(url, { method, dispatcher: agent })
  return { status: statusCode, headers, text: await body.text() }
}

const count = (route: string, status: number) =>
  `http_request_duration_seconds_count{method="GET",route="${route}",status="${status}"}`

describe.each(Object.entries(FRAMEWORKS))('on %s', (_name, start) => {
  it('records requests by the pattern of their route and the status that was sent', async () => {
    const { origin } = await start()
    for (const path of ['/cities/1', '/cities/2', '/cities/0', '/nothing/here?x=1']) await get(origin + path)
    const { status, headers, text } = await get(`${origin}/metrics`)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(headers['cache-control']).toBe('no-store')
    expect(text).toContain(`${count('/cities/:id', 200)} 2`)
    expect(text).toContain(`${count('/cities/:id', 404)} 1`)
    expect(text).toContain(`${count('(unmatched)', 404)} 1`)
    expect(text).not.toContain('/nothing')
    expect((await get(`${origin}/metrics`)).text).toContain(`${count('/metrics', 200)} 1`)
  })

  it('records a client that went away as 499, and has it no longer in flight', async () => {
    const { origin, metrics } = await start()
    const leave = new AbortController()
    const asked = request(`${origin}/hang`, { signal: leave.signal, dispatcher: agent })
    await expect.poll(async () => (await metrics.expose()).body).toContain('http_requests_in_flight 1')
    leave.abort()
    await expect(asked).rejects.toThrow()
    await expect.poll(async () => (await metrics.expose()).body).toContain(`${count('/hang', 499)} 1`)
    expect((await metrics.expose()).body).toContain('http_requests_in_flight 0')
  })

  it('gives handlers the metrics, for some of their own', async () => {
    const { origin } = await start()
    expect((await get(`${origin}/own`)).text).toBe('true')
  })

  it('answers HEAD without a body, and other paths by option', async () => {
    const { origin } = await start({ path: '/internal/prometheus' })
    expect(await get(`${origin}/internal/prometheus`, 'HEAD')).toMatchObject({ status: 200, text: '' })
    expect((await get(`${origin}/metrics`)).status).toBe(404)
  })

  it('serves the dashboard in files that a strict Content-Security-Policy allows', async () => {
    const { origin } = await start({ dashboard: '/admin/dashboard' })
    const page = await get(`${origin}/admin/dashboard`)
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(page.text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=/)
    const links = [...page.text.matchAll(/(?:src|href|data-source)="([^"]+)"/g)].map(([, link]) => link!)
    expect(links).toHaveLength(3)
    for (const link of links) {
      expect((await get(new URL(link, `${origin}/admin/dashboard`).href)).status).toBe(200)
    }
    const data = JSON.parse((await get(`${origin}/admin/dashboard/data`)).text)
    expect(data).toMatchObject({ workers: 1, missing: 0 })
    expect(data.series.map(({ name }: { name: string }) => name)).toContain('http_request_duration_seconds')
    const without = await start()
    expect((await get(`${without.origin}/dashboard`)).status).toBe(404)
  })

  it("lets `allow` refuse, through the app's error handler", async () => {
    const { origin } = await start({ allow: async () => false, dashboard: '/dashboard' })
    for (const path of ['/metrics', '/dashboard', '/dashboard/data']) {
      const { status, text } = await get(origin + path)
      expect(status).toBe(403)
      expect(JSON.parse(text)).toEqual({ mine: 'ERR_METRICS_FORBIDDEN' })
    }
    expect((await get(`${origin}/cities/1`)).status).toBe(200)
  })

  it('names routes as it is told, and leaves out what it is told to skip', async () => {
    const { origin, metrics } = await start({
      route: () => 'everything',
      skip: (req) => /skipped/.test((req as Request).url),
    })
    await get(`${origin}/cities/1`)
    await get(`${origin}/cities/skipped`)
    const { body } = await metrics.expose()
    expect(body).toContain(`${count('everything', 200)} 1`)
    expect(body).toContain('http_requests_started_total 1')
  })

  it('refuses options it does not know', async () => {
    await expect(async () => start({ pth: '/x' } as Options)).rejects.toMatchObject({
      code: 'ERR_METRICS_OPTION',
    })
    await expect(async () => start({ path: 'x' })).rejects.toMatchObject({ code: 'ERR_METRICS_OPTION' })
  })
})

describe('on Fastify', () => {
  it('leaves out a route by its config, and closes the metrics with the app', async () => {
    const metrics = new Metrics()
    const app = Fastify()
    await app.register(fastifyMetrics, { metrics })
    app.get('/quiet', { config: { metrics: false } }, async () => 'ok')
    await app.inject('/quiet')
    expect((await metrics.expose()).body).toContain('http_requests_started_total 0')
    await app.close()
    expect(metrics.stats().series).toBe(0)
  })
})

describe('on plain node:http', () => {
  it('answers its routes, 404 for the rest, 403 when `allow` says no', async () => {
    const metrics = new Metrics()
    const { origin } = await listening(
      createServer(requestListener(metrics, { allow: (req) => req.headers.authorization === 'let me in' })),
      metrics,
    )
    expect((await get(`${origin}/metrics`)).status).toBe(403)
    expect((await get(`${origin}/other`)).status).toBe(404)
    const { statusCode, body } = await request(`${origin}/metrics`, {
      headers: { authorization: 'let me in' },
      dispatcher: agent,
    })
    expect(statusCode).toBe(200)
    expect(await body.text()).toContain('process_cpu_seconds_total')
  })
})
