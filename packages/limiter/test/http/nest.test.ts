import 'reflect-metadata'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  type INestApplication,
  Module,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { type Answer, ask, printedDuring } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { limitConcurrency as expressConcurrency, rateLimit as expressLimit } from '../../src/express.js'
import { limitConcurrency as fastifyConcurrency, rateLimit as fastifyLimit } from '../../src/fastify.js'
import { ConcurrencyLimiter } from '../../src/index.js'

const SECRET = 'sk-live-SECRET'

/** Decorators as calls: the tests are compiled without them. */
class Cities {
  list() {
    return ['Bern']
  }
}
Get()(Cities.prototype, 'list', Object.getOwnPropertyDescriptor(Cities.prototype, 'list')!)
Controller()(Cities)
class App {}
Module({ controllers: [Cities] })(App)

/** A filter of the app's own, which knows nothing of headers on an error. */
class Own implements ExceptionFilter {
  catch(error: { readonly status: number }, host: ArgumentsHost) {
    const response = host.switchToHttp().getResponse()
    const body = { own: error.status }
    if (typeof response.json === 'function') response.status(error.status).json(body)
    else response.code(error.status).send(body)
  }
}
Catch()(Own)

const options = { limit: 1, window: '1h', key: () => SECRET } as const

function full(): ConcurrencyLimiter {
  const limiter = new ConcurrencyLimiter({ limit: 1 })
  limiter.tryAcquire()
  return limiter
}

const platforms: Record<string, (which: 'rate' | 'concurrency') => Promise<INestApplication>> = {
  async express(which) {
    const app = await NestFactory.create(App, new ExpressAdapter(), { logger: ['error', 'warn'] })
    app.use(which === 'rate' ? expressLimit(options) : expressConcurrency({ limiter: full() }))
    return app
  },
  async fastify(which) {
    const app = await NestFactory.create<NestFastifyApplication>(App, new FastifyAdapter() as never, {
      logger: ['error', 'warn'],
    })
    if (which === 'rate') await app.register(fastifyLimit as never, options as never)
    else await app.register(fastifyConcurrency as never, { limiter: full() } as never)
    return app
  },
}

async function answers(app: INestApplication, count: number): Promise<Answer[]> {
  const all: Answer[] = []
  await app.listen(0, '127.0.0.1')
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo
  for (let i = 0; i < count; i++) all.push(await ask(`http://127.0.0.1:${port}/`))
  await app.close()
  return all
}

describe.each(Object.entries(platforms))('L51 NestJS on %s', (_name, made) => {
  for (const own of [false, true]) {
    const filter = own ? 'a filter of the app' : 'the default filter'

    it(`a 429 bears its headers through ${filter}, and nothing is printed`, async () => {
      let last: Answer | undefined
      const printed = await printedDuring(async () => {
        const app = await made('rate')
        if (own) app.useGlobalFilters(new Own())
        const [first, second] = await answers(app, 2)
        expect([first!.status, first!.text]).toEqual([200, '["Bern"]'])
        last = second
      })
      expect(last!.status).toBe(429)
      expect(last!.headers).toMatchObject({
        'retry-after': expect.stringMatching(/^[1-9]\d*$/),
        ratelimit: expect.stringContaining('r=0'),
        'ratelimit-policy': expect.stringContaining('q=1'),
      })
      if (own) expect(JSON.parse(last!.text)).toEqual({ own: 429 })
      expect(last!.text).not.toContain(SECRET)
      expect(printed).toBe('')
    })

    it(`a 503 of limitConcurrency bears its headers through ${filter}`, async () => {
      const printed = await printedDuring(async () => {
        const app = await made('concurrency')
        if (own) app.useGlobalFilters(new Own())
        const [answer] = await answers(app, 1)
        expect([answer!.status, answer!.headers['retry-after']]).toEqual([
          503,
          expect.stringMatching(/^[1-9]/),
        ])
      })
      // Nest's own filter logs what is 500 and above: a line, without a stack.
      if (own) expect(printed).toBe('')
      else
        expect(printed.trim()).toMatch(
          /ConcurrencyError \[ERR_LIMITER_CONCURRENCY\]: Too many calls are in flight\W*$/,
        )
      expect(printed).not.toMatch(/\n\s+at /)
    })
  }
})
