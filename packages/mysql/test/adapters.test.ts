import type { Server } from 'node:http'
import { attachSuite, FRAMEWORKS, type Native, serving } from '@spillway/kit/testing'
import { eventually, type MariadbServer, startMariadb } from '@spillway/testkit'
import type { Express, Request } from 'express'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type Koa from 'koa'
import type { Context } from 'koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AttachOptions } from '../src/attach.js'
import { closeWith, mysqlPool as expressMysqlPool } from '../src/express.js'
import { mysqlPool as fastifyMysqlPool } from '../src/fastify.js'
import { MysqlPool, type MysqlPoolOptions, type MysqlSession } from '../src/index.js'
import { mysqlPool as koaMysqlPool } from '../src/koa.js'
import { SignedToken } from '../src/signed-token.js'

let server: MariadbServer
beforeAll(async () => {
  server = await startMariadb()
  await server.query('CREATE TABLE t (id INT PRIMARY KEY)')
})
afterAll(() => server?.[Symbol.asyncDispose]())

function mounted(options: AttachOptions = {}, poolOptions: MysqlPoolOptions = {}) {
  const pool = new MysqlPool({ uri: server.url(), connectionLimit: 2, ...poolOptions })
  let closed = false
  const closing = pool.close
  Object.assign(pool, {
    close: async (how?: Parameters<typeof closing>[0]) => {
      await closing(how)
      closed = true
    },
  })
  return {
    pool,
    express: (app: Express, http: Server) => {
      app.use(expressMysqlPool(pool, options))
      closeWith(http, pool)
    },
    fastify: (app: FastifyInstance) => app.register(fastifyMysqlPool, { pool, ...options }),
    koa: (app: Koa, http: Server) => {
      app.use(koaMysqlPool(pool, options))
      closeWith(http, pool)
    },
    closed: () => closed,
    close: () => closing({ timeout: 0 }),
  }
}

function sessionOf(native: Native): MysqlSession {
  const request = native as Partial<Request & FastifyRequest & Context>
  return (request.mysql ?? request.state?.mysql) as MysqlSession
}

attachSuite('mysqlPool', {
  setup: () => mounted(),
  handle: {
    express: (req) => req.mysql,
    fastify: (request) => request.mysql,
    koa: (ctx) => ctx.state.mysql,
  },
  work: (native) => sessionOf(native).query('SELECT SLEEP(60)'),
})

attachSuite('mysqlPool with Server-Timing', {
  setup: () => mounted({ serverTiming: true }),
  headers: ['server-timing'],
})

describe.each(FRAMEWORKS)('%s', (framework) => {
  it('counts the statements of a request in Server-Timing', async () => {
    const subject = mounted({ serverTiming: true })
    const routes = {
      'GET /': async (native: Native) => {
        await sessionOf(native).query('SELECT 1')
        await sessionOf(native).execute('SELECT 2')
        return {}
      },
    }
    await serving(framework, { routes, mounts: subject }, async (app) => {
      const { headers } = await app.ask('/')
      expect(headers['server-timing']).toMatch(/^db;desc="2 statements";dur=\d+\.\d$/)
    })
    await subject.close()
  })

  it('an exhausted pool answers 503 with Retry-After through the error handler of the app', async () => {
    const subject = mounted({}, { connectionLimit: 1, waitForConnections: false })
    const routes = {
      'GET /': (native: Native) =>
        sessionOf(native)
          .query('SELECT 1')
          .then(() => ({})),
    }
    await serving(framework, { routes, mounts: subject, ownErrorHandler: true }, async (app) => {
      let giveBack!: () => void
      const back = new Promise<void>((resolve) => {
        giveBack = resolve
      })
      const held = subject.pool.withConnection(() => back)
      await eventually(() => subject.pool.stats().active === 1)
      const answer = await app.ask('/')
      expect(answer.status).toBe(503)
      expect(app.errors).toMatchObject([
        { code: 'ERR_MYSQL_QUEUE_FULL', headers: { 'Retry-After': expect.stringMatching(/^\d+$/) } },
      ])
      giveBack()
      await held
      expect((await app.ask('/')).status).toBe(200)
    })
    await subject.close()
  })
})

describe('the token on its way through a client', () => {
  const secret = 'a secret of sixteen and more'

  it('comes back as it was, and not at all when it was touched', () => {
    const signed = new SignedToken([secret])
    const sealed = signed.seal('0-1-42,1-7-3')
    expect(sealed).toMatch(/^[\w-]+\.[\w-]+$/)
    expect(signed.open(sealed)).toBe('0-1-42,1-7-3')
    expect(signed.open(`${sealed}x`)).toBeUndefined()
    expect(signed.open(new SignedToken(['another secret, long too']).seal('0-1-42'))).toBeUndefined()
    expect(signed.open('')).toBeUndefined()
    expect(new SignedToken(['a new secret, long as well', secret]).open(sealed)).toBe('0-1-42,1-7-3')
  })
})
