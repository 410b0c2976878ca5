import helmet from '@fastify/helmet'
import { cacheResponse } from '@spillway/cache/fastify'
import { drainGate, health } from '@spillway/cluster/fastify'
import { clientAddress, rateLimit } from '@spillway/limiter/fastify'
import { shedLoad } from '@spillway/memory/fastify'
import { metrics } from '@spillway/metrics/fastify'
import { mysqlPool } from '@spillway/mysql/fastify'
import { offload } from '@spillway/offload/fastify'
import Fastify, { type FastifyInstance } from 'fastify'
import { tagOf } from './cities.js'
import { answerTo, type HttpError } from './failure.js'
import { idOf, limitOf, reportOf, searchOf, visitorOf } from './input.js'
import { ROUTES } from './routes-page.js'
import type { Services } from './services.js'

export async function fastifyApp(services: Services): Promise<FastifyInstance> {
  const { metrics: collector, monitor, checks } = services
  const app = Fastify({ bodyLimit: 1_024 })
  app.setErrorHandler<HttpError>((error, _request, reply) => {
    const { status, headers, body } = answerTo(error)
    return reply.code(status).headers(headers).send(body)
  })
  app.setNotFoundHandler(() => {
    throw Object.assign(new Error('There is no such route.'), { status: 404 })
  })
  await app.register(metrics, { metrics: collector, dashboard: '/dashboard' })
  await app.register(helmet)
  await app.register(health, { checks })
  await app.register(drainGate)
  await app.register(shedLoad, { monitor })
  // A scope of its own: what is limited here is not limited for health checks and scrapes.
  await app.register(api, services)
  return app
}

async function api(app: FastifyInstance, services: Services): Promise<void> {
  const { cities, cache, pool, limiter, report, apiKey } = services
  await app.register(rateLimit, {
    limiter,
    key: (request) => apiKey(request.headers['x-api-key']) ?? clientAddress(request),
  })
  await app.register(mysqlPool, { pool })

  app.get('/', async () => ROUTES)

  app.get('/cities', async (request) => {
    const { text, limit } = searchOf(request.query)
    return cities.search(text, limit)
  })

  await app.register(async (cached) => {
    await cached.register(cacheResponse, {
      cache,
      ttl: '1m',
      skip: () => !cities.shared,
      tags: (request) => [tagOf(idOf(request.params))],
    })
    cached.get('/cities/:id', async (request) => cities.page(idOf(request.params), request.mysql))
  })

  app.get<{ Querystring: { limit?: string } }>('/cities/:id/nearest', async (request) =>
    cities.nearest(idOf(request.params), limitOf(request.query.limit)),
  )

  app.post('/cities/:id/checkins', async (request, reply) => {
    const page = await cities.checkIn(idOf(request.params), visitorOf(request.body), request.mysql)
    return reply.code(201).send(page)
  })

  app.get(
    '/report',
    offload(report, {
      deadline: '10s',
      input: async (request) => {
        const { country, groups } = reportOf(request.query)
        return { cities: await cities.ofCountry(country), groups }
      },
    }),
  )
}
