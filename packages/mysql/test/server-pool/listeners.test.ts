import { createServer } from 'node:http'
import { type MariadbServer, startMariadb } from '@spillway/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { closeWith } from '../../src/express.js'
import { MysqlPool, type MysqlPoolOptions, ShardedMysql } from '../../src/index.js'

let server: MariadbServer
const warnings: Error[] = []
const note = (warning: Error) => void warnings.push(warning)

beforeAll(async () => {
  server = await startMariadb({ args: ['--max-connections=200'] })
})
afterAll(() => server?.[Symbol.asyncDispose]())
beforeEach(() => {
  warnings.length = 0
  process.on('warning', note)
})
afterEach(async () => {
  // A warning is told in the turn after.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  expect(warnings).toEqual([])
})

const poolOf = (options: MysqlPoolOptions = {}) => new MysqlPool({ uri: server.url(), ...options })
const MANY = Array.from({ length: 100 }, (_, i) => i)

describe('Node warns of no leak', () => {
  it('B46 when a burst opens many connections', async () => {
    await using pool = poolOf({ connectionLimit: 40 })
    await Promise.all(MANY.map(() => pool.query('SELECT SLEEP(0.2)')))
    expect(pool.stats().nodes[0]!.opened).toBeGreaterThan(11)
  })

  it('B46 when a hundred calls of every kind share one signal', async () => {
    const { signal } = new AbortController()
    await using pool = poolOf({ connectionLimit: 20 })
    const session = pool.session({ signal })
    const byKey = session.loader({ table: 'information_schema.ENGINES', key: 'ENGINE' })
    const kinds: ((i: number) => Promise<unknown>)[] = [
      () => pool.query('SELECT 1', [], { signal }),
      () => pool.execute('SELECT 1', [], { signal }),
      () => session.one('SELECT 1'),
      () => session.query('SELECT 1', [], { signal }),
      () => pool.transaction((tx) => tx.query('SELECT 1'), { signal }),
      () => session.transaction((tx) => Promise.all(MANY.map(() => tx.query('SELECT 1', [], { signal })))),
      () => session.withConnection((c) => Promise.all(MANY.map(() => c.execute('SELECT 1')))),
      async () => {
        for await (const _ of session.stream('SELECT seq FROM seq_1_to_50'));
      },
      (i) => byKey.load(`engine ${i}`),
    ]
    for (const kind of kinds) await Promise.all(MANY.map(kind))
    await using shards = new ShardedMysql({
      shards: Object.fromEntries(
        MANY.slice(0, 15).map((i) => [`s${i}`, { uri: server.url(), connectionLimit: 1 }]),
      ),
      concurrency: 15,
    })
    await shards.all((shard) => shard.query('SELECT 1', [], { signal }), { signal })
  })

  it('B46 when a hundred waiters are aborted at once, and each hears of it', async () => {
    const controller = new AbortController()
    await using pool = poolOf({ connectionLimit: 2 })
    const { signal } = controller
    const all = MANY.map((i) =>
      i % 2 === 0
        ? pool.query('SELECT SLEEP(20)', [], { signal })
        : pool.withConnection((c) => c.query('SELECT SLEEP(20)'), { signal }),
    )
    const outcomes = Promise.allSettled(all)
    controller.abort(new Error('gone'))
    for (const one of await outcomes)
      expect(one).toMatchObject({ status: 'rejected', reason: { message: 'gone' } })
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('B46 when many pools are closed with one server', async () => {
    const http = createServer()
    const pools = MANY.slice(0, 12).map(() => poolOf({ connectionLimit: 1 }))
    for (const pool of pools) closeWith(http, pool)
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    await new Promise((resolve) => http.close(resolve))
    for (const pool of pools)
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: 'ERR_MYSQL_CLOSED' })
  })

  it('B46 when one connection has many statements in line, and many resets', async () => {
    await using pool = poolOf({ connectionLimit: 1 })
    for (const i of MANY.slice(0, 30)) await pool.query('SET @a = ?', [i])
    expect(pool.stats().nodes[0]).toMatchObject({ resets: 30, opened: 1 })
  })
})
