import { eventually } from '@spillway/testkit'
import type { RowDataPacket } from 'mysql2'
import { describe, expect, it } from 'vitest'
import { Database } from '../database.js'
import { latch, rejection } from '../waiting.js'

const database = new Database()

describe('the end', () => {
  it('B19 drain lets a transaction commit, and what waits run', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    const begun = latch()
    const go = latch()
    const transaction = pool.transaction(async (tx) => {
      await tx.execute('INSERT INTO t (id, n) VALUES (1, 1)')
      begun.open()
      await go.opened
      await tx.execute('INSERT INTO t (id, n) VALUES (2, 2)')
    })
    await begun.opened
    const waiting = pool.one('SELECT COUNT(*) AS n FROM t')
    const drained = pool.drain()
    expect(await rejection(pool.query('SELECT 1'))).toMatchObject({ code: 'ERR_MYSQL_CLOSED', status: 503 })
    go.open()
    await transaction
    expect(await waiting).toEqual({ n: 2 })
    expect(await drained).toEqual({ finished: true, killed: 0, destroyed: 0 })
    await pool.close()
  })

  it('B19 drain stops what takes longer than it may, and says so', async () => {
    const pool = database.pool({ connectionLimit: 2 })
    await pool.query('SELECT 1')
    const slow = rejection(pool.query('SELECT SLEEP(22)'))
    await eventually(async () => {
      const [rows] = await database.server.query(
        "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(22)'",
      )
      return rows!.length === 1
    })
    expect(await pool.drain({ timeout: 50 })).toEqual({ finished: false, killed: 1, destroyed: 1 })
    expect(await slow).toBeInstanceOf(Error)
    const [rows] = await database.server.query(
      "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(22)'",
    )
    expect(rows).toEqual([])
  })

  it('B20 leaving a stream early frees its connection soon', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    let seen = 0
    for await (const _ of pool.stream('SELECT seq, REPEAT("x", 1000) AS text FROM seq_1_to_300000')) {
      if (++seen === 10) break
    }
    const [[row]] = await pool.query<RowDataPacket[]>('SELECT 1 AS one', [], { timeout: '5s' })
    expect(row).toEqual({ one: 1 })
    expect(pool.stats().nodes[0]).toMatchObject({ kills: 1, lost: 0 })
  })

  it('B20 a slow reader holds the server back instead of filling the memory', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    let most = 0
    const start = process.memoryUsage().rss
    let seen = 0
    for await (const _ of pool.stream('SELECT seq, REPEAT("x", 500) AS text FROM seq_1_to_100000')) {
      if (++seen % 1_000 === 0) {
        await new Promise((resolve) => setImmediate(resolve))
        most = Math.max(most, process.memoryUsage().rss)
      }
    }
    expect(seen).toBe(100_000)
    // All rows at once would be more than this.
    expect(most - start).toBeLessThan(60 * 1024 * 1024)
  })
})
