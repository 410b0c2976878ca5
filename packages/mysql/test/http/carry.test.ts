import { type Answer, ask, FRAMEWORKS, type Framework, type Native, serving } from '@spillway/kit/testing'
import { eventually, type ReplicaPair, startReplicaPair } from '@spillway/testkit'
import type { Express, Request } from 'express'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type Koa from 'koa'
import type { Context } from 'koa'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { mysqlPool as expressMysqlPool } from '../../src/express.js'
import { mysqlPool as fastifyMysqlPool } from '../../src/fastify.js'
import type { AttachOptions, CarryOptions } from '../../src/http/attach.js'
import { MysqlPool, type MysqlSession } from '../../src/index.js'
import { mysqlPool as koaMysqlPool } from '../../src/koa.js'

/*
 * Two apps with a pool each, as on two machines: what a client writes through one it reads through the other, although
 * the replica that would serve the read does not have it yet.
 */

const SECRET = 'a secret of sixteen and more'
const COOKIE = 'spillway_mysql'

let pair: ReplicaPair
const open: MysqlPool[] = []

beforeAll(async () => {
  pair = await startReplicaPair()
  await pair.primary.query(
    'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)',
    'CREATE FUNCTION which_server() RETURNS INT NOT DETERMINISTIC NO SQL RETURN @@server_id',
  )
})
afterAll(() => pair?.[Symbol.asyncDispose]())
beforeEach(async () => {
  await pair.primary.query('TRUNCATE t')
  await pair.waitForReplica()
})
afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close({ timeout: 0 })
})

/** An app's pool, which has found its replica. */
async function poolOf(): Promise<MysqlPool> {
  const pool = new MysqlPool({
    primary: pair.primary.url('app'),
    replicas: [pair.replica.url('app')],
    connectionLimit: 2,
    reads: { probe: 50, wait: '10s' },
  })
  open.push(pool)
  await eventually(async () => (await pool.one('SELECT which_server() AS id'))?.id === 2)
  return pool
}

function mounts(pool: MysqlPool, carry: Partial<CarryOptions>) {
  const options: AttachOptions = { carry: { secret: SECRET, secure: false, ...carry } }
  return {
    express: (app: Express) => app.use(expressMysqlPool(pool, options)),
    fastify: (app: FastifyInstance) => app.register(fastifyMysqlPool, { pool, close: false, ...options }),
    koa: (app: Koa) => app.use(koaMysqlPool(pool, options)),
  }
}

function sessionOf(native: Native): MysqlSession {
  const request = native as Partial<Request & FastifyRequest & Context>
  return (request.mysql ?? request.state?.mysql) as MysqlSession
}

const routes = {
  'POST /write': async (native: Native) => {
    await sessionOf(native).execute('INSERT INTO t (n) VALUES (7)')
    return { headers: { 'set-cookie': ['own=1; Path=/', 'other=2'] } }
  },
  'POST /write-and-fail': async (native: Native) => {
    await sessionOf(native).execute('INSERT INTO t (n) VALUES (7)')
    throw Object.assign(new Error('after the write'), {
      status: 418,
      expose: true,
      headers: { 'x-own': 'kept' },
    })
  },
  'GET /read': async (native: Native) => {
    const row = await sessionOf(native).one('SELECT COUNT(*) AS n, which_server() AS server FROM t')
    return { body: JSON.stringify(row) }
  },
}

/** `name=value` of the cookie that carries the token. */
function cookieOf({ headers }: Answer): string | undefined {
  return headers['set-cookie']?.find((one) => one.startsWith(`${COOKIE}=`))?.split(';')[0]
}

/** Writes through one app and reads through another one, while the replica stands still. */
async function apart(
  framework: Framework,
  carry: Partial<CarryOptions>,
  work: (writing: string, reading: string) => Promise<void>,
  ownErrorHandler = false,
): Promise<void> {
  const [here, there] = [await poolOf(), await poolOf()]
  await pair.replica.stopReplication()
  try {
    await serving(framework, { routes, mounts: mounts(here, carry), ownErrorHandler }, (one) =>
      serving(framework, { routes, mounts: mounts(there, carry) }, (other) => work(one.origin, other.origin)),
    )
  } finally {
    await pair.replica.startReplication()
  }
}

describe.each(FRAMEWORKS)('%s', (framework) => {
  it('B24 the cookie of a write lets the next request, on another app, read it', () =>
    apart(framework, {}, async (writing, reading) => {
      const written = await ask(`${writing}/write`, { method: 'POST' })
      expect(written.headers['set-cookie']).toEqual([
        'own=1; Path=/',
        'other=2',
        expect.stringMatching(
          /^spillway_mysql=[\w-]+\.[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/,
        ),
      ])
      const cookie = cookieOf(written)!
      const read = async (headers: Record<string, string>) => {
        const answer = await ask(`${reading}/read`, { headers })
        // A request that writes nothing sends no cookie.
        expect(answer.headers['set-cookie']).toBeUndefined()
        return JSON.parse(answer.text)
      }
      // The replica does not have it, which shows without the cookie, or with one that somebody changed.
      expect(await read({})).toEqual({ n: 0, server: 2 })
      expect(await read({ cookie: `${cookie}x` })).toEqual({ n: 0, server: 2 })
      const waiting = read({ cookie: `first=1; ${cookie}; last=2` })
      await pair.replica.startReplication()
      expect(await waiting).toEqual({ n: 1, server: 2 })
      expect(await read({ cookie })).toEqual({ n: 1, server: 2 })
    }))

  it('B24 a header does the same for clients without cookies', () =>
    apart(framework, { cookie: false, header: 'X-Db-Token' }, async (writing, reading) => {
      const written = await ask(`${writing}/write`, { method: 'POST' })
      expect(written.headers['set-cookie']).toEqual(['own=1; Path=/', 'other=2'])
      const token = written.headers['x-db-token'] as string
      await pair.replica.startReplication()
      const answer = await ask(`${reading}/read`, { headers: { 'x-db-token': token } })
      expect(JSON.parse(answer.text)).toEqual({ n: 1, server: 2 })
    }))

  it.each([
    ['the error handler of the framework', false],
    ['one of the app', true],
  ])('B24 a handler that throws after its write keeps the token, answered by %s', (_who, own) =>
    apart(
      framework,
      {},
      async (writing) => {
        const failed = await ask(`${writing}/write-and-fail`, { method: 'POST' })
        expect(failed.status).toBe(418)
        expect(cookieOf(failed)).toMatch(/^spillway_mysql=[\w-]+\.[\w-]+$/)
      },
      own,
    ),
  )
})
