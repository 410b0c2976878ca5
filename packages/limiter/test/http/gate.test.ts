import { gateSuite } from '@spillway/kit/testing'
import { rateLimit as express } from '../../src/express.js'
import { rateLimit as fastify } from '../../src/fastify.js'
import { memoryStore, RateLimiter, redisStore } from '../../src/index.js'
import { rateLimit as koa } from '../../src/koa.js'

/** A client of a Redis that is not there. */
const gone = {
  callBuffer: () => Promise.reject(new Error('connect ECONNREFUSED')),
  on() {},
  off() {},
}

/** What identifies a client is often a secret of that client. */
const SECRET = 'sk-live-SECRET'

gateSuite('rateLimit', {
  setup(mode) {
    const limit = { limit: 1_000, window: '1h' } as const
    const limiter =
      mode === 'fail'
        ? new RateLimiter({ ...limit, store: redisStore(gone), onStoreFailure: 'deny' })
        : new RateLimiter({ ...limit, store: memoryStore() })
    if (mode === 'refuse') limiter.consume(SECRET, { cost: 1_000 })
    const options = { limiter, key: () => SECRET }
    return {
      express: (app) => app.use(express(options)),
      fastify: (app) => app.register(fastify, options),
      koa: (app) => app.use(koa(options)),
      close: () => limiter.close(),
    }
  },
  refusal: {
    status: 429,
    code: 'ERR_LIMITER_LIMITED',
    headers: ['retry-after', 'ratelimit', 'ratelimit-policy'],
  },
  admitted: { headers: ['ratelimit', 'ratelimit-policy'] },
  failure: { status: 503, code: 'ERR_LIMITER_UNAVAILABLE' },
  optOut: { rateLimit: false },
  secrets: [SECRET, 'remaining', 'retryAfter'],
})
