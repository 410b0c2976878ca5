import { eventually } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import { MysqlAcquireTimeoutError, MysqlTimeoutError } from '../../src/index.js'
import { Database } from '../database.js'
import { hold, rejection } from '../waiting.js'

const database = new Database()

describe('deadlines', () => {
  it('B14 a statement over time is stopped on the server; its connection and its transaction live on', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    await pool.transaction(async (tx) => {
      await tx.execute('INSERT INTO t (id, n) VALUES (1, 1)')
      const before = tx.threadId
      const error = await rejection(tx.query('SELECT SLEEP(20)', [], { timeout: 200 }))
      expect(error).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'run', outcome: 'none' })
      const [sleeping] = await database.server.query(
        "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(20)%' AND info NOT LIKE '%processlist%'",
      )
      expect(sleeping).toEqual([])
      expect(tx.threadId).toBe(before)
      await tx.execute('INSERT INTO t (id, n) VALUES (2, 2)')
    })
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 2 })
  })

  it('B14 a write whose preparation took all its time is not run any more', async () => {
    const pool = database.pool({ connectionLimit: 1, killGrace: '20s' })
    await pool.query('SELECT 1')
    // The connection for kills is there from now on.
    await rejection(pool.query('SELECT SLEEP(20)', [], { timeout: 50 }))
    await database.server.pause()
    const asked = rejection(pool.execute('INSERT INTO t (id, n) VALUES (?, 1)', [1], { timeout: 100 }))
    try {
      await eventually(() => pool.stats().nodes[0]!.kills === 2)
    } finally {
      await database.server.resume()
    }
    expect(await asked).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'run', outcome: 'none' })
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 0 })
    // Prepared it is, and the connection is as good as before.
    await pool.execute('INSERT INTO t (id, n) VALUES (?, 1)', [2])
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 1 })
    expect(pool.stats().nodes[0]).toMatchObject({ lost: 0 })
  })

  it('an aborted statement rejects with the reason of its signal, and is stopped on the server', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    await pool.query('SELECT 1')
    const controller = new AbortController()
    const reason = new Error('nobody wants it any more')
    const asked = rejection(pool.query('SELECT SLEEP(21)', [], { signal: controller.signal }))
    await eventually(async () => {
      const [rows] = await database.server.query(
        "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(21)'",
      )
      return rows!.length === 1
    })
    controller.abort(reason)
    expect(await asked).toBe(reason)
    // The only connection is free again long before the statement would have ended.
    expect(await pool.one('SELECT 1 AS one', [], { timeout: '5s' })).toEqual({ one: 1 })
    expect(await rejection(pool.query('SELECT 1', [], { signal: controller.signal }))).toBe(reason)
  })

  it('an abort while waiting leaves the queue', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    const giveBack = await hold(pool)
    const asked = rejection(pool.query('SELECT 1', [], { signal: AbortSignal.timeout(20) }))
    expect(pool.stats().waiting).toBe(1)
    expect(await asked).toMatchObject({ name: 'TimeoutError' })
    expect(pool.stats().waiting).toBe(0)
    await giveBack()
  })

  it('a kill never hits the next statement: 600 statements that end at their deadline', async () => {
    const pool = database.pool({ connectionLimit: 4, killGrace: '5s' })
    const innocent: unknown[] = []
    let stopped = 0
    let finished = 0
    const worker = async () => {
      for (let i = 0; i < 150; i++) {
        // The deadline is 20 ms: from 0 to 40 ms, some end well before, some just around it, some after.
        const error = await pool
          .query('SELECT SLEEP(?)', [i / 3_750], { timeout: 20 })
          .catch((reason: unknown) => reason)
        if (error instanceof MysqlTimeoutError) stopped++
        else if (error instanceof MysqlAcquireTimeoutError) continue
        else if (error instanceof Error) innocent.push(error)
        else finished++
        await pool.query('SELECT 1', [], { timeout: '20s' }).catch((reason: unknown) => innocent.push(reason))
      }
    }
    await Promise.all([worker(), worker(), worker(), worker()])
    expect(innocent).toEqual([])
    expect(stopped).toBeGreaterThan(0)
    expect(finished).toBeGreaterThan(0)
    expect(pool.stats()).toMatchObject({ active: 0, waiting: 0 })
  })
})
