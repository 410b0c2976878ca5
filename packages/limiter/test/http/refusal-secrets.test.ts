import { inspect } from 'node:util'
import { FRAMEWORKS, type Mounts, serving } from '@spillway/kit/testing'
import { describe, expect, it, vi } from 'vitest'
import { rateLimit as express } from '../../src/express.js'
import { rateLimit as fastify } from '../../src/fastify.js'
import { RateLimiter, redisStore } from '../../src/index.js'
import { rateLimit as koa } from '../../src/koa.js'

const KEY = 'sk-live-SECRET'
const PASSWORD = 'hunter2'

/** What neither a client nor a log may see: the key, the server and its error. */
const SECRETS = new RegExp([KEY, PASSWORD, '10\\.1\\.2\\.3', 'WRONGPASS', 'redis'].join('|'), 'i')

function limiterWithoutStore(): RateLimiter<Promise<never>> {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const failing = {
    callBuffer: () => Promise.reject(new Error(`WRONGPASS redis://app:${PASSWORD}@10.1.2.3:6379`)),
    on() {},
    off() {},
  }
  const store = redisStore(failing)
  return new RateLimiter({ limit: 5, window: '1h', store, onStoreFailure: 'deny' }) as never
}

describe.each(FRAMEWORKS)('a refusal since the store failed, on %s', (framework) => {
  it('S11 tells the client neither the key nor anything of the store', async () => {
    const options = { limiter: limiterWithoutStore(), key: () => KEY } as never
    const mounts: Mounts = {
      express: (app) => app.use(express(options)),
      fastify: (app) => app.register(fastify, options),
      koa: (app) => app.use(koa(options)),
    }
    await serving(framework, { routes: { 'GET /': () => ({}) }, mounts }, async (app) => {
      const answer = await app.ask('/')
      expect(answer.status).toBe(503)
      expect(`${inspect(answer.headers)} ${answer.body}`).not.toMatch(SECRETS)
    })
  })
})

describe('the error of a refusal', () => {
  it.each(['a failed store', 'a limit'])(
    'S11 prints neither the key nor anything of the store: %s',
    async (cause) => {
      const limiter =
        cause === 'a limit' ? new RateLimiter({ limit: 0, window: '1h' }) : limiterWithoutStore()
      const error = await new Promise<Error>((resolve) => {
        const req = { headers: {}, socket: {}, method: 'GET' }
        const res = { setHeader() {}, headersSent: false, req }
        const middleware = express({ limiter, key: () => KEY } as never)
        middleware(req as never, res as never, resolve as never)
      })
      const copied = Object.fromEntries(Object.entries(error))
      const shown = [
        inspect(error, { depth: 9 }),
        JSON.stringify(error),
        inspect(copied, { depth: 9 }),
        String(error),
      ]
      for (const text of shown) expect(text).not.toMatch(SECRETS)
      expect(error).toHaveProperty('decision.key', KEY)
    },
  )
})
