import { createServer, type Server, type Socket } from 'node:net'
import { eventually } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import { MysqlAcquireTimeoutError, MysqlOverloadedError } from '../../src/index.js'
import { Database } from '../database.js'
import { hold, rejection } from '../waiting.js'

const database = new Database()

describe('waiting for a connection', () => {
  it('B1 an exhausted pool answers at acquireTimeout, names the holder, and forgets the waiter', async () => {
    const pool = database.pool({ connectionLimit: 1, acquireTimeout: 1_000 })
    const giveBack = await hold(pool, 'SELECT 42')
    const error = await rejection(pool.query('SELECT 1'))
    expect(error).toBeInstanceOf(MysqlAcquireTimeoutError)
    const { holders, ...rest } = error as MysqlAcquireTimeoutError
    expect(rest).toMatchObject({
      code: 'ERR_MYSQL_ACQUIRE_TIMEOUT',
      status: 503,
      active: 1,
      idle: 0,
      waiting: 0,
    })
    expect(rest.headers).toHaveProperty('Retry-After')
    expect(holders).toHaveLength(1)
    expect(holders[0]).toMatchObject({ sql: 'SELECT 42', inTransaction: false })
    expect(holders[0]!.stack).toContain('acquire.test')
    await giveBack()
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
    expect(pool.stats()).toMatchObject({ waiting: 0, active: 0 })
  })

  it('B2 a connection that is held too long is reported once, with the place that took it', async () => {
    const pool = database.pool({ connectionLimit: 1, leakAfter: 50 })
    const leaks: { sql: string | undefined; stack: string | undefined }[] = []
    pool.on('leak', (leak) => leaks.push(leak))
    const giveBack = await hold(pool, 'SELECT 7')
    await eventually(() => leaks.length > 0)
    // Several more rounds of the check pass meanwhile.
    await database.server.query('SELECT SLEEP(0.3)')
    expect(leaks).toHaveLength(1)
    expect(leaks[0]).toMatchObject({ sql: 'SELECT 7' })
    expect(leaks[0]!.stack).toContain('acquire.test')
    await giveBack()
    expect(pool.stats().leaks).toBe(1)
  })

  it('B6 a refusal for overload changes nothing in the health of the server', async () => {
    const pool = database.pool({ connectionLimit: 1, queueLimit: 1 })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => pool.query('SELECT SLEEP(0.1)')),
    )
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    expect(refused).toHaveLength(8)
    for (const { reason } of refused) {
      expect(reason).toBeInstanceOf(MysqlOverloadedError)
      expect(reason).toMatchObject({ code: 'ERR_MYSQL_QUEUE_FULL', status: 503 })
    }
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('refuses at once when no connection is free, with waitForConnections: false', async () => {
    const pool = database.pool({ connectionLimit: 1, waitForConnections: false })
    const giveBack = await hold(pool)
    expect(await rejection(pool.query('SELECT 1'))).toMatchObject({ code: 'ERR_MYSQL_QUEUE_FULL' })
    await giveBack()
  })

  it('refuses early what would have to wait longer than it can', async () => {
    const pool = database.pool({ connectionLimit: 1, acquireTimeout: '10s' })
    for (let i = 0; i < 25; i++) await pool.query('SELECT SLEEP(0.02)')
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, () => pool.query('SELECT SLEEP(0.02)', [], { timeout: 300 })),
    )
    const codes = outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'ok'))
    expect(codes).toContain('ok')
    expect(codes).toContain('ERR_MYSQL_OVERLOADED')
  })

  it('B23 a query on the pool inside a transaction of it is refused, joined or allowed, by option', async () => {
    const strict = database.pool({ connectionLimit: 1, acquireTimeout: 2_000 })
    expect(await rejection(strict.transaction(() => strict.query('SELECT 1')))).toMatchObject({
      code: 'ERR_MYSQL_OUTSIDE_TRANSACTION',
    })
    const joining = database.pool({ connectionLimit: 1, acquireTimeout: 2_000, insideTransaction: 'join' })
    await rejection(
      joining.transaction(async () => {
        await joining.execute('INSERT INTO t (id, n) VALUES (1, 1)')
        throw new Error('undo')
      }),
    )
    expect(await joining.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 0 })
    const lax = database.pool({ connectionLimit: 1, acquireTimeout: 1_000, insideTransaction: 'allow' })
    const error = await rejection(lax.transaction(() => lax.query('SELECT 1')))
    expect(error).toBeInstanceOf(MysqlAcquireTimeoutError)
    expect((error as MysqlAcquireTimeoutError).holders[0]!.inTransaction).toBe(true)
    expect(await lax.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('B27 stats tell how many wait, and how long that takes', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    const giveBack = await hold(pool)
    const waiting = [1, 2, 3].map((n) => pool.query('SELECT ?', [n]))
    expect(pool.stats()).toMatchObject({ active: 1, idle: 0, waiting: 3, limit: 1 })
    await database.server.query('SELECT SLEEP(0.02)')
    await giveBack()
    await Promise.all(waiting)
    const { nodes, queries } = pool.stats()
    expect(queries).toBe(4)
    expect(nodes[0]).toMatchObject({ waiting: 0, acquired: 4 })
    expect(nodes[0]!.waitP99Ms).toBeGreaterThan(10)
  })

  it('B29 who waits for a server that does not answer fails together, not one after the other', async () => {
    const sockets = new Set<Socket>()
    const hole: Server = createServer((socket) => sockets.add(socket.on('error', () => {})))
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve))
    const { port } = hole.address() as { port: number }
    const pool = database.pool({
      uri: `mysql://root@127.0.0.1:${port}/test`,
      connectionLimit: 2,
      connectTimeout: 300,
    })
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => pool.query('SELECT 1')))
    for (const one of outcomes)
      expect(one).toMatchObject({ reason: { code: 'ERR_MYSQL_UNAVAILABLE', status: 503 } })
    // Two connections were tried at once: five times two would have been more.
    expect(sockets.size).toBeLessThanOrEqual(4)
    for (const socket of sockets) socket.destroy()
    hole.close()
  })
})
