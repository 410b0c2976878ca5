import Router from '@koa/router'
import { cacheResponse } from '@spillway/cache/koa'
import { drainGate, health } from '@spillway/cluster/koa'
import { clientAddress, rateLimit } from '@spillway/limiter/koa'
import { shedLoad } from '@spillway/memory/koa'
import { metrics } from '@spillway/metrics/koa'
import { mysqlPool } from '@spillway/mysql/koa'
import { offload } from '@spillway/offload/koa'
import Koa from 'koa'
import helmet from 'koa-helmet'
import { tagOf } from './cities.js'
import { answerTo, type HttpError } from './failure.js'
import { idOf, limitOf, reportOf, searchOf, visitorOf } from './input.js'
import { jsonBody } from './json-body.js'
import { ROUTES } from './routes-page.js'
import type { Services } from './services.js'

export function koaApp(services: Services): Koa {
  const { cities, cache, pool, limiter, report, monitor, metrics: collector, apiKey, checks } = services
  const app = new Koa()
  app.silent = true
  app.use(metrics(collector, { dashboard: '/dashboard' }))
  app.use(helmet())
  app.use(async (ctx, next) => {
    try {
      await next()
      if (ctx.status === 404 && ctx.body == null) ctx.throw(404, 'There is no such route.')
    } catch (error) {
      const { status, headers, body } = answerTo(error as HttpError)
      ctx.status = status
      ctx.set(headers)
      ctx.body = body
    }
  })
  app.use(health({ checks }))
  app.use(drainGate())
  app.use(shedLoad(monitor))
  app.use(rateLimit({ limiter, key: (ctx) => apiKey(ctx.headers['x-api-key']) ?? clientAddress(ctx) }))
  app.use(mysqlPool(pool))

  const router = new Router()
  router.get('/', (ctx) => {
    ctx.body = ROUTES
  })

  router.get('/cities', async (ctx) => {
    const { text, limit } = searchOf(ctx.query)
    ctx.body = await cities.search(text, limit)
  })

  router.get(
    '/cities/:id',
    cacheResponse(cache, {
      ttl: '1m',
      skip: () => !cities.shared,
      tags: (ctx) => [tagOf(Number(ctx.path.split('/')[2]))],
    }),
    async (ctx) => {
      ctx.body = await cities.page(idOf(ctx.params), ctx.state.mysql)
    },
  )

  router.get('/cities/:id/nearest', async (ctx) => {
    ctx.body = await cities.nearest(idOf(ctx.params), limitOf(ctx.query.limit))
  })

  router.post('/cities/:id/checkins', async (ctx) => {
    const who = visitorOf(await jsonBody(ctx.req, 1_024))
    ctx.body = await cities.checkIn(idOf(ctx.params), who, ctx.state.mysql)
    ctx.status = 201
  })

  router.get(
    '/report',
    offload(report, {
      deadline: '10s',
      input: async (ctx) => {
        const { country, groups } = reportOf(ctx.query)
        return { cities: await cities.ofCountry(country), groups }
      },
    }),
  )
  app.use(router.routes())
  return app
}
