import { httpLoad } from '../load.mjs'

const HAND = 'the same two headers by hand'
const POLICY = '"api";q=1000000000;w=36000000000'
let remaining = 1e9
/** What the limiter says here, without a limiter: one less for each request. */
const state = () => `"api";r=${remaining--};t=1`
const limit = { name: 'api', capacity: 1e9, refill: { tokens: 100, per: '1h' } }

/** The same hello world on each framework; `use` puts the contender on the app. Returns the server. */
const frameworks = {
  'Express 5': async (use) => {
    const { default: express } = await import('express')
    const app = express()
    await use(app)
    app.get('/', (_req, res) => res.send('hello'))
    return app.listen(0, '127.0.0.1')
  },
  'Fastify 5': async (use) => {
    const { default: Fastify } = await import('fastify')
    const app = Fastify()
    await use(app)
    app.get('/', (_request, reply) => reply.send('hello'))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return app.server
  },
  'Koa 3': async (use) => {
    const { default: Koa } = await import('koa')
    const app = new Koa()
    await use(app)
    app.use((ctx) => {
      ctx.body = 'hello'
    })
    return app.listen(0, '127.0.0.1')
  },
}

const contenders = {
  'Express 5': {
    bare: () => {},
    [HAND]: (app) =>
      app.use((_req, res, next) => {
        res.setHeader('RateLimit-Policy', POLICY)
        res.setHeader('RateLimit', state())
        next()
      }),
    '@spillway/limiter': async (app) => {
      const { rateLimit } = await import('@spillway/limiter/express')
      app.use(rateLimit(limit))
    },
    'express-rate-limit draft-8': async (app) => {
      const { rateLimit } = await import('express-rate-limit')
      app.use(
        rateLimit({ windowMs: 3_600_000, limit: 1e9, standardHeaders: 'draft-8', legacyHeaders: false }),
      )
    },
    'express-rate-limit draft-7': async (app) => {
      const { rateLimit } = await import('express-rate-limit')
      app.use(
        rateLimit({ windowMs: 3_600_000, limit: 1e9, standardHeaders: 'draft-7', legacyHeaders: false }),
      )
    },
  },
  'Fastify 5': {
    bare: () => {},
    [HAND]: (app) =>
      app.addHook('onRequest', (_request, reply, done) => {
        reply.header('RateLimit-Policy', POLICY)
        reply.header('RateLimit', state())
        done()
      }),
    '@spillway/limiter': async (app) => {
      const { rateLimit } = await import('@spillway/limiter/fastify')
      await app.register(rateLimit, limit)
    },
    '@fastify/rate-limit': async (app) => {
      const { default: rateLimit } = await import('@fastify/rate-limit')
      await app.register(rateLimit, { max: 1e9, timeWindow: 3_600_000 })
    },
  },
  'Koa 3': {
    bare: () => {},
    [HAND]: (app) =>
      app.use((ctx, next) => {
        ctx.set('RateLimit-Policy', POLICY)
        ctx.set('RateLimit', state())
        return next()
      }),
    '@spillway/limiter': async (app) => {
      const { rateLimit } = await import('@spillway/limiter/koa')
      app.use(rateLimit(limit))
    },
    'koa-ratelimit': async (app) => {
      const { default: rateLimit } = await import('koa-ratelimit')
      app.use(rateLimit({ driver: 'memory', db: new Map(), max: 1e9, duration: 3_600_000 }))
    },
  },
}

function served(framework, use) {
  return async () => {
    const server = await frameworks[framework](use)
    if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
    const url = `http://127.0.0.1:${server.address().port}/`
    return {
      async run(roundMs) {
        const { requests, p50, p99, errors, non2xx } = await httpLoad(url, { connections: 32, ms: roundMs })
        if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} bad answers`)
        return { ops: requests, 'p50 ms': p50, 'p99 ms': p99 }
      },
      close: () => server.close(),
    }
  }
}

export const scenarios = Object.keys(frameworks).map((framework) => ({
  title: `Limiter on ${framework}, in memory, 32 connections`,
  note: 'CPU is that of the server process; the load comes from another one on the same two cores, so CPU per request is the steadier figure.',
  baseline: HAND,
  // The contenders differ by less than two of their processes, or two seconds of this machine, do.
  processes: 5,
  rounds: 4,
  roundMs: 700,
  warmMs: 300,
  contenders: Object.fromEntries(
    Object.entries(contenders[framework]).map(([name, use]) => [name, served(framework, use)]),
  ),
}))
