import { eventually, type FaultProxy, startProxy } from '@spillway/testkit'
import type { ResultSetHeader, RowDataPacket } from 'mysql2'
import { beforeEach, describe, expect, it } from 'vitest'
import { MysqlConnectionLostError, type MysqlPool, type MysqlPoolOptions } from '../../src/index.js'
import { Database } from '../database.js'
import { rejection } from '../waiting.js'

const database = new Database()

describe('a network that swallows bytes', () => {
  let proxy: FaultProxy
  beforeEach(async () => {
    proxy = await startProxy({ target: database.server })
    return () => proxy.close()
  })
  const through = (options: MysqlPoolOptions = {}) =>
    database.pool({
      uri: `mysql://root@127.0.0.1:${proxy.port}/test`,
      connectionLimit: 2,
      timeout: 300,
      killGrace: 100,
      connectTimeout: 500,
      ...options,
    })

  /** Both connections are there and work, however slow the machine is. */
  const working = (pool: MysqlPool) =>
    eventually(() =>
      Promise.all([1, 2].map(() => pool.query('SELECT 1', [], { timeout: '10s' }))).then(
        () => true,
        () => false,
      ),
    )

  it('every call ends, running or waiting, and the pool is whole afterwards', async () => {
    const pool = through()
    await working(pool)
    await proxy.stall()
    const errors = await Promise.all(Array.from({ length: 6 }, () => rejection(pool.query('SELECT 1'))))
    for (const error of errors)
      expect((error as { code: string }).code).toMatch(/^ERR_MYSQL_(TIMEOUT|ACQUIRE_TIMEOUT|UNAVAILABLE)$/)
    await proxy.pass()
    await working(pool)
    expect(pool.stats()).toMatchObject({ active: 0, waiting: 0 })
  })

  it('B21 a stream over it ends', async () => {
    const pool = through()
    await working(pool)
    let seen = 0
    const error = await rejection(
      (async () => {
        for await (const _ of pool.stream('SELECT seq, REPEAT("x", 500) AS text FROM seq_1_to_300000')) {
          if (++seen === 100) await proxy.stall()
        }
      })(),
    )
    expect(error).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'stream' })
    await proxy.pass()
    expect(await pool.one('SELECT 1 AS one', [], { timeout: '10s' })).toEqual({ one: 1 })
  })

  it('B21 a stream whose connection is reset ends with a typed error', async () => {
    const pool = through({ timeout: '10s' })
    await pool.query('SELECT 1')
    let seen = 0
    const error = await rejection(
      (async () => {
        for await (const _ of pool.stream('SELECT seq, REPEAT("x", 500) AS text FROM seq_1_to_300000')) {
          if (++seen === 100) proxy.dropConnections()
        }
      })(),
    )
    expect(error).toBeInstanceOf(MysqlConnectionLostError)
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('B3 a read on an idle connection that was reset meanwhile is answered', async () => {
    const pool = through({ timeout: '10s', control: false })
    await pool.query('SELECT 1')
    proxy.dropConnections()
    expect(await pool.one('SELECT 5 AS five')).toEqual({ five: 5 })
  })
})

it('B3 a connection that the server closed for being idle is not used', async () => {
  const pool = database.pool({ connectionLimit: 1 })
  const [[first]] = await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id')
  await database.server.query(`KILL ${first!.id}`)
  await eventually(() => pool.stats().nodes[0]!.lost === 1)
  const [[second]] = await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id')
  expect(second!.id).not.toBe(first!.id)
})

it('B3 a connection that was idle for long is asked before it is used', async () => {
  const proxy = await startProxy({ target: database.server })
  try {
    const uri = `mysql://root@127.0.0.1:${proxy.port}/test`
    const pool = database.pool({
      uri,
      connectionLimit: 1,
      validateAfterIdle: 0,
      killGrace: 100,
      control: false,
    })
    const result = await pool.execute<ResultSetHeader>('INSERT INTO t (id, n) VALUES (1, 1)')
    expect(result[0].affectedRows).toBe(1)
    await proxy.stall()
    const write = pool.execute('INSERT INTO t (id, n) VALUES (2, 2)')
    // The old connection does not answer the question, so the write goes over a new one.
    await eventually(() => pool.stats().nodes[0]!.lost === 1)
    await proxy.pass()
    proxy.dropConnections()
    const outcome = await write.then(
      () => 'written',
      (error: { code: string }) => error.code,
    )
    const row = await database.pool().one('SELECT COUNT(*) AS n FROM t WHERE id = 2')
    expect([outcome, row]).toEqual(
      outcome === 'written' ? ['written', { n: 1 }] : ['ERR_MYSQL_UNAVAILABLE', { n: 0 }],
    )
  } finally {
    await proxy.close()
  }
})
