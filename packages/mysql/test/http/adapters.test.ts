import type { Server } from 'node:http'
import { inspect } from 'node:util'
import {
  type ask,
  attachSuite,
  FRAMEWORKS,
  latch,
  type Native,
  printedDuring,
  serving,
} from '@spillway/kit/testing'
import { eventually, type MariadbServer, startMariadb } from '@spillway/testkit'
import type { Express, Request, RequestHandler } from 'express'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type Koa from 'koa'
import type { Context } from 'koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  closeWith,
  mysqlPool as expressMysqlPool,
  transactional as expressTransactional,
} from '../../src/express.js'
import { mysqlPool as fastifyMysqlPool, transactional as fastifyTransactional } from '../../src/fastify.js'
import type { AttachOptions } from '../../src/http/attach.js'
import { SignedToken } from '../../src/http/signed-token.js'
import {
  type MysqlAcquireTimeoutError,
  MysqlPool,
  type MysqlPoolOptions,
  type MysqlSession,
  type MysqlUnavailableError,
  type Transaction,
} from '../../src/index.js'
import { mysqlPool as koaMysqlPool, transactional as koaTransactional } from '../../src/koa.js'

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

  it('the deadline of a request holds for all its statements together', async () => {
    const subject = mounted({ deadline: 1_000 })
    const ended: string[] = []
    const routes = {
      'GET /': async (native: Native) => {
        const session = sessionOf(native)
        for (const sql of ['SELECT SLEEP(0.02)', 'SELECT SLEEP(60)', 'SELECT 1']) {
          await session
            .query(sql, [], { timeout: '50s' })
            .then(() => ended.push('ok'))
            .catch((error: { code: string }) => ended.push(error.code))
        }
        return {}
      },
      'GET /late': (native: Native) =>
        sessionOf(native)
          .query('SELECT SLEEP(60)')
          .then(() => ({})),
    }
    await serving(framework, { routes, mounts: subject, ownErrorHandler: true }, async (app) => {
      await app.ask('/')
      // The third has no time left, and does not get any of its own.
      expect(ended).toEqual(['ok', 'ERR_MYSQL_TIMEOUT', expect.stringMatching(/TIMEOUT$/)])
      expect((await app.ask('/late')).status).toBe(504)
      expect(app.errors).toMatchObject([{ code: 'ERR_MYSQL_TIMEOUT', phase: 'run', outcome: 'none' }])
      await eventually(() => subject.pool.stats().active === 0)
    })
    await subject.close()
  })

  it('a transactional route commits before it answers, rolls back what throws, and runs again', async () => {
    await server.query('TRUNCATE t')
    const subject = mounted()
    const seen: number[] = []
    const mistake = Object.assign(new Error('mistake'), { status: 418 })
    const work = async (tx: Transaction, path: string) => {
      seen.push(tx.threadId)
      await tx.execute('INSERT INTO t VALUES (?)', [path === '/good' ? 1 : 2])
      if (path === '/bad') throw mistake
      // The first run loses its connection, so that there is a second.
      if (seen.length === 1) await server.query(`KILL ${tx.threadId}`)
      await tx.execute('INSERT INTO t VALUES (3)')
      return { made: path }
    }
    const mounts = {
      express: (app: Express, http: Server) => {
        subject.express(app, http)
        const handler: RequestHandler = expressTransactional((tx, req) => work(tx, req.path))
        app.get('/good', handler).get('/bad', handler)
      },
      fastify: (app: FastifyInstance) => {
        app.register(async (scope) => {
          await scope.register(fastifyMysqlPool, { pool: subject.pool })
          for (const path of ['/good', '/bad'])
            scope.get(
              path,
              fastifyTransactional((tx, request) => work(tx, request.url)),
            )
        })
      },
      koa: (app: Koa, http: Server) => {
        subject.koa(app, http)
        app.use(koaTransactional((tx, ctx) => work(tx, ctx.path)))
      },
    }
    await serving(framework, { routes: {}, mounts, ownErrorHandler: true }, async (app) => {
      const good = await app.ask('/good')
      expect([good.status, JSON.parse(good.text)]).toEqual([200, { made: '/good' }])
      expect(seen).toHaveLength(2)
      expect((await app.ask('/bad')).status).toBe(418)
      expect(app.errors).toEqual([mistake])
      const [rows] = await server.query('SELECT id FROM t ORDER BY id')
      expect(rows).toEqual([{ id: 1 }, { id: 3 }])
    })
    await subject.close()
  })

  it('L51 an exhausted pool answers 503 with Retry-After, on the response too, through the error handler of the app', async () => {
    const subject = mounted({ serverTiming: true }, { connectionLimit: 1, waitForConnections: false })
    const ways: ((session: MysqlSession) => unknown)[] = [
      (session) => session.query('SELECT 1'),
      (session) => session.one('SELECT 1'),
      (session) => session.transaction((tx) => tx.query('SELECT 1')),
      (session) => session.withConnection((connection) => connection.query('SELECT 1')),
      async (session) => {
        for await (const row of session.stream('SELECT 1')) return row
        return undefined
      },
      (session) => session.loader({ table: 't', key: 'id' }).load(1),
    ]
    const routes = {
      'GET /': (native: Native) =>
        sessionOf(native)
          .query('SELECT 1')
          .then(() => ({})),
      ...Object.fromEntries(
        ways.map((way, i) => [
          `GET /${i}`,
          async (native: Native) => {
            await way(sessionOf(native))
            return {}
          },
        ]),
      ),
      // A handler that can do without the database.
      'GET /without': (native: Native) =>
        sessionOf(native)
          .query('SELECT 1')
          .then(
            () => ({}),
            () => ({ body: 'from elsewhere' }),
          ),
    }
    await serving(framework, { routes, mounts: subject, ownErrorHandler: true }, async (app) => {
      let giveBack!: () => void
      const back = new Promise<void>((resolve) => {
        giveBack = resolve
      })
      const held = subject.pool.withConnection(() => back)
      await eventually(() => subject.pool.stats().active === 1)
      for (const i of ways.keys()) {
        const refused = await app.ask(`/${i}`)
        expect([i, refused.status, refused.headers['retry-after']]).toEqual([i, 503, '1'])
        expect(refused.headers['server-timing']).toMatch(/^db/)
      }
      const without = await app.ask('/without')
      expect([without.status, without.text, without.headers['retry-after']]).toEqual([
        200,
        'from elsewhere',
        undefined,
      ])
      const answer = await app.ask('/')
      expect(answer.status).toBe(503)
      expect(app.errors.slice(ways.length)).toMatchObject([
        { code: 'ERR_MYSQL_QUEUE_FULL', headers: { 'Retry-After': expect.stringMatching(/^\d+$/) } },
      ])
      giveBack()
      await held
      expect((await app.ask('/')).status).toBe(200)
    })
    await subject.close()
  })
})

describe.each(FRAMEWORKS)('S11, L52 what a stranger and a log get to see, on %s', (framework) => {
  const SECRETS = [/SELECT/, /adapters\.test/, /nobody/, /Access denied/i, /127\.0\.0\.1/, /\n\s+at /]

  async function shown(pool: MysqlPoolOptions, handler: (session: MysqlSession) => Promise<unknown>) {
    const subject = mounted({}, { acquireTimeout: 200, ...pool })
    const lines: string[] = []
    const routes = {
      'GET /': async (native: Native) => {
        await handler(sessionOf(native))
        return {}
      },
    }
    const held = latch()
    const holding = subject.pool
      .withConnection(async (connection) => {
        await connection.query('SELECT 42')
        await held.promise
      })
      .catch(() => {})
    await eventually(() => subject.pool.stats().active === 1 || pool.uri !== undefined)
    let answer: Awaited<ReturnType<typeof ask>> | undefined
    const printed = await printedDuring(() =>
      serving(
        framework,
        { routes, mounts: subject, env: 'production', log: (line) => lines.push(line) },
        async (app) => {
          answer = await app.ask('/')
          held.open()
          await holding
        },
      ),
    )
    await subject.close()
    for (const secret of SECRETS)
      expect(`${answer!.text}${JSON.stringify(answer!.headers)}`).not.toMatch(secret)
    expect(printed).toBe('')
    for (const line of lines) {
      expect(line).not.toMatch(/SELECT|adapters\.test/)
      const { err } = JSON.parse(line) as { err?: { stack: string; code: string } }
      if (err !== undefined && err.code !== 'ERR_MYSQL_UNAVAILABLE') expect(err.stack).not.toMatch(/\n\s+at /)
    }
    return answer!
  }

  it('an exhausted pool tells no statement and no path', async () => {
    const { status, headers, text } = await shown({ connectionLimit: 1 }, (session) =>
      session.query('SELECT 1'),
    )
    expect([status, headers['retry-after']]).toEqual([503, '1'])
    expect(text).toContain('busy')
  })

  it('a statement that is too slow tells nothing of itself', async () => {
    const { status } = await shown({ acquireTimeout: '10s' }, async (session) => {
      // Its connection is open then, however slow the machine is.
      await session.query('SELECT 1')
      return session.query('SELECT SLEEP(9)', [], { timeout: 50 })
    })
    expect(status).toBe(504)
  })

  it("a password that is refused is no stranger's business, and neither is the user", async () => {
    const uri = `mysql://nobody:hush@127.0.0.1:${server.port}/test`
    const { status } = await shown({ uri }, (session) => session.query('SELECT 1'))
    expect(status).toBe(503)
  })
})

it.each(FRAMEWORKS)('S11 %s shows nobody whom the server refuses a statement', async (framework) => {
  await server.query(
    'CREATE TABLE IF NOT EXISTS hidden_table (id INT)',
    "CREATE OR REPLACE USER limited_user@'%' IDENTIFIED BY 'pass'",
    "GRANT SELECT ON test.hidden_table TO limited_user@'%'",
  )
  const subject = mounted({}, { uri: `mysql://limited_user:pass@127.0.0.1:${server.port}/test` })
  const statements = [
    'DELETE FROM hidden_table',
    'SELECT * FROM mysql.user',
    'SET GLOBAL max_connections = 1',
    'CREATE DATABASE another',
    'CREATE USER x',
    'KILL 1',
  ]
  const routes = Object.fromEntries(
    statements.map((sql, i) => [
      `GET /${i}`,
      async (native: Native) => {
        await sessionOf(native).query(sql)
        return {}
      },
    ]),
  )
  await printedDuring(() =>
    serving(framework, { routes, mounts: subject, env: 'production' }, async (app) => {
      for (const [i, sql] of statements.entries()) {
        const { status, text } = await app.ask(`/${i}`)
        expect(status, sql).toBe(500)
        expect(text, sql).not.toMatch(/limited_user|localhost|127\.0|hidden_table|denied to|privilege/i)
      }
      const error = (await subject.pool.query(statements[0]!).catch((reason: unknown) => reason)) as {
        sqlMessage: string
      }
      expect(error.sqlMessage).toMatch(/limited_user.*hidden_table/)
      expect(JSON.stringify(error)).not.toMatch(/limited_user/)
    }),
  )
  await subject.close()
})

it.each(FRAMEWORKS)(
  'S11 %s sends no message of a server error, which may quote a value or SQL',
  async (framework) => {
    await server.query('CREATE TABLE IF NOT EXISTS account (email VARCHAR(60) PRIMARY KEY)')
    const subject = mounted()
    const insert = "INSERT INTO account VALUES ('ann@example.org')"
    await subject.pool.query(insert.replace('INSERT', 'REPLACE'))
    const statements = [insert, 'SELEC hidden_column FROM account', 'SELECT hidden_column FROM account']
    const routes = Object.fromEntries(
      statements.map((sql, i) => [
        `GET /${i}`,
        async (native: Native) => {
          await sessionOf(native).query(sql)
          return {}
        },
      ]),
    )
    const mounts = {
      ...subject,
      fastify: (app: FastifyInstance) => {
        // As docs/packages/mysql.md shows it.
        app.setErrorHandler<Error & { statusCode?: number; expose?: boolean }>((error, request, reply) => {
          const statusCode = error.statusCode ?? 500
          if (statusCode < 500 || error.expose === true) return reply.send(error)
          request.log.error(error)
          return reply.code(statusCode).send({ statusCode, error: 'Internal Server Error' })
        })
        return subject.fastify(app)
      },
    }
    await printedDuring(() =>
      serving(framework, { routes, mounts, env: 'production' }, async (app) => {
        for (const [i, sql] of statements.entries()) {
          const { status, text } = await app.ask(`/${i}`)
          expect(status, sql).toBe(500)
          expect(text, sql).not.toMatch(/ann@|account|SELEC|hidden_column|syntax|Duplicate/)
        }
        const error = (await subject.pool.query(insert).catch((reason: unknown) => reason)) as Error
        expect(error).toMatchObject({ code: 'ER_DUP_ENTRY', errno: 1062, sqlState: '23000', expose: false })
        expect((error as Error & { sqlMessage: string }).sqlMessage).toContain('ann@example.org')
        expect(Object.keys(error)).not.toContain('expose')
      }),
    )
    await subject.close()
  },
)

it('S11 what helps to find the cause is there for the developer', async () => {
  const pool = new MysqlPool({ uri: server.url(), connectionLimit: 1, acquireTimeout: 50 })
  const held = latch()
  const holding = pool.withConnection(async (connection) => {
    await connection.query('SELECT 42')
    await held.promise
  })
  await eventually(() => pool.stats().active === 1)
  const error = (await pool.query('SELECT 1').catch((reason: unknown) => reason)) as MysqlAcquireTimeoutError
  held.open()
  await holding
  await pool.close()
  expect(inspect(error)).toMatch(
    /^MysqlAcquireTimeoutError \[ERR_MYSQL_ACQUIRE_TIMEOUT\]: The database is busy.* \(no connection to .*:\d+ within \d+ ms: 1 of 1 in use.*\)$/,
  )
  expect(error.holders[0]!.sql).toBe('SELECT 42')
  expect(error.report()).toContain('SELECT 42')
  expect(error.report()).toContain('adapters.test')
  const wrong = new MysqlPool({ uri: `mysql://nobody:hush@127.0.0.1:${server.port}/test` })
  const denied = (await wrong.query('SELECT 1').catch((reason: unknown) => reason)) as MysqlUnavailableError
  await wrong.close()
  expect(inspect(denied)).toMatch(/\(no connection to 127\.0\.0\.1:\d+: ER_ACCESS_DENIED_ERROR\)$/)
  expect(denied.cause).toMatchObject({ errno: 1045 })
  expect(denied.report()).toContain('Access denied')
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
