import { cacheResponse } from '@spillway/cache/express'
import { drainGate, health } from '@spillway/cluster/express'
import { clientAddress, rateLimit } from '@spillway/limiter/express'
import { shedLoad } from '@spillway/memory/express'
import { metrics } from '@spillway/metrics/express'
import { mysqlPool } from '@spillway/mysql/express'
import { offload } from '@spillway/offload/express'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import helmet from 'helmet'
import { tagOf } from './cities.js'
import { answerTo, type HttpError } from './failure.js'
import { idOf, limitOf, reportOf, searchOf, visitorOf } from './input.js'
import { ROUTES } from './routes-page.js'
import type { Services } from './services.js'

export function expressApp(services: Services): Express {
  const { cities, cache, pool, limiter, report, monitor, metrics: collector, apiKey, checks } = services
  const app = express()
  app.use(metrics(collector, { dashboard: '/dashboard' }))
  app.use(helmet())
  app.use(health({ checks }))
  app.use(drainGate())
  app.use(shedLoad(monitor))
  app.use(rateLimit({ limiter, key: (req) => apiKey(req.headers['x-api-key']) ?? clientAddress(req) }))
  app.use(mysqlPool(pool))

  app.get('/', (_req, res) => void res.json(ROUTES))

  app.get('/cities', async (req, res) => {
    const { text, limit } = searchOf(req.query)
    res.json(await cities.search(text, limit))
  })

  app.get(
    '/cities/:id',
    cacheResponse(cache, {
      ttl: '1m',
      skip: () => !cities.shared,
      tags: (req) => [tagOf(Number(req.params.id))],
    }),
    async (req, res) => void res.json(await cities.page(idOf(req.params), req.mysql)),
  )

  app.get('/cities/:id/nearest', async (req, res) => {
    res.json(await cities.nearest(idOf(req.params), limitOf(req.query.limit)))
  })

  app.post('/cities/:id/checkins', express.json({ limit: '1kb' }), async (req, res) => {
    res.status(201).json(await cities.checkIn(idOf(req.params), visitorOf(req.body), req.mysql))
  })

  app.get(
    '/report',
    offload(report, {
      deadline: '10s',
      input: async (req) => {
        const { country, groups } = reportOf(req.query)
        return { cities: await cities.ofCountry(country), groups }
      },
    }),
  )

  app.use((_req, _res, next) => next(Object.assign(new Error('There is no such route.'), { status: 404 })))
  app.use((error: HttpError, _req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) return next(error)
    const { status, headers, body } = answerTo(error)
    res.status(status).set(headers).json(body)
  })
  return app
}
