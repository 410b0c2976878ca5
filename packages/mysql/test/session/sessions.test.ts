import { describe, expect, it } from 'vitest'
import { MysqlConnectionLostError, type Transaction } from '../../src/index.js'
import { Database } from '../database.js'
import { latch, rejection } from '../waiting.js'

const database = new Database()

describe('sessions', () => {
  it('B11 the next user gets a clean session: variables, modes, tables, locks and transactions are gone', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    const warnings: string[] = []
    pool.on('warning', ({ message }) => warnings.push(message))
    const id = await pool.withConnection(async (connection) => {
      await connection.query('SET @tenant = 7')
      await connection.query("SET SESSION sql_mode = ''")
      await connection.query('CREATE TEMPORARY TABLE mine (id INT)')
      await connection.query("SELECT GET_LOCK('spillway-test', 1)")
      await connection.query('BEGIN')
      await connection.query('INSERT INTO t (id, n) VALUES (1, 1)')
      return connection.threadId
    })
    const row = await pool.one(
      'SELECT @tenant AS tenant, @@in_transaction AS open, @@sql_mode AS mode, CONNECTION_ID() AS id, @@time_zone AS zone',
    )
    expect(row).toMatchObject({ tenant: null, open: 0, id, zone: '+00:00' })
    expect(row!.mode).toContain('STRICT')
    expect(await rejection(pool.query('SELECT * FROM mine'))).toMatchObject({ errno: 1146 })
    const [free] = await database.server.query("SELECT IS_FREE_LOCK('spillway-test') AS free")
    expect(free).toEqual([{ free: 1 }])
    const [count] = await database.server.query('SELECT COUNT(*) AS n FROM t')
    expect(count).toEqual([{ n: 0 }])
    expect(warnings.join()).toContain('rolled back')
    expect(pool.stats().nodes[0]).toMatchObject({ rollbacks: 1 })
  })

  it('B11 a session keeps its character set over being cleaned', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    await pool.query('SET @x = 1')
    expect(
      await pool.one(
        "SELECT 'Ω🙂' AS text, @@character_set_client AS client, @@collation_connection AS collation",
      ),
    ).toEqual({
      text: 'Ω🙂',
      client: 'utf8mb4',
      collation: 'utf8mb4_unicode_ci',
    })
  })

  it('B11 a clean session costs nothing: no reset after reads and writes', async () => {
    const pool = database.pool({ connectionLimit: 1 })
    await pool.query('SELECT 1')
    await pool.execute('INSERT INTO t (id, n) VALUES (1, 1)')
    await pool.transaction((tx) => tx.execute('UPDATE t SET n = n + 1'))
    await pool.transaction((tx) => tx.execute('SELECT 1'), { isolation: 'serializable', readOnly: true })
    expect(pool.stats().nodes[0]).toMatchObject({ resets: 0 })
    expect(await pool.one('SELECT @@tx_isolation AS level')).toEqual({ level: 'REPEATABLE-READ' })
  })

  it('B12 a transaction in a transaction is a savepoint', async () => {
    const pool = database.pool()
    await pool.transaction(async (tx) => {
      await tx.execute('INSERT INTO t (id, n) VALUES (1, 1)')
      await rejection(
        tx.transaction(async (inner) => {
          await inner.execute('INSERT INTO t (id, n) VALUES (2, 2)')
          throw new Error('inner')
        }),
      )
      await tx.transaction((inner) => inner.execute('INSERT INTO t (id, n) VALUES (3, 3)'))
    })
    const [rows] = await pool.query('SELECT id FROM t ORDER BY id')
    expect(rows).toEqual([{ id: 1 }, { id: 3 }])
    await rejection(
      pool.transaction(async (tx) => {
        await tx.transaction((inner) => inner.execute('INSERT INTO t (id, n) VALUES (4, 4)'))
        throw new Error('outer')
      }),
    )
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 2 })
  })

  it('B12 what would end the transaction behind its back is refused', async () => {
    const pool = database.pool()
    for (const sql of [
      'BEGIN',
      'COMMIT',
      '/* x */ rollback',
      'START TRANSACTION',
      'CREATE TABLE x (id INT)',
      'TRUNCATE t',
      'SET autocommit = 1',
    ]) {
      expect(await rejection(pool.transaction((tx) => tx.query(sql))), sql).toMatchObject({
        code: 'ERR_MYSQL_STATEMENT',
      })
    }
    expect(await rejection(pool.query('BEGIN'))).toMatchObject({ code: 'ERR_MYSQL_STATEMENT' })
    let escaped: Transaction | undefined
    await pool.transaction((tx) => {
      escaped = tx
    })
    expect(await rejection(escaped!.query('SELECT 1'))).toMatchObject({ code: 'ERR_MYSQL_RELEASED' })
  })

  it('B13 after a deadlock the whole function runs again, and nothing of the first run stays', async () => {
    await database.server.query(
      'INSERT INTO t (id, n) VALUES (1, 0), (2, 0)',
      'DROP TABLE IF EXISTS log',
      'CREATE TABLE log (who CHAR(1), step INT)',
    )
    const pool = database.pool()
    const both = [latch(), latch()]
    let runs = 0
    const work = (who: string, first: number, second: number, own: number) =>
      pool.transaction(async (tx) => {
        runs++
        await tx.execute('INSERT INTO log VALUES (?, 1)', [who])
        await tx.execute('UPDATE t SET n = n + 1 WHERE id = ?', [first])
        both[own]!.open()
        await both[1 - own]!.opened
        await tx.execute('UPDATE t SET n = n + 1 WHERE id = ?', [second])
        await tx.execute('INSERT INTO log VALUES (?, 2)', [who])
      })
    await Promise.all([work('a', 1, 2, 0), work('b', 2, 1, 1)])
    expect(runs).toBe(3)
    const [rows] = await pool.query('SELECT who, COUNT(*) AS n FROM log GROUP BY who ORDER BY who')
    expect(rows).toEqual([
      { who: 'a', n: 2 },
      { who: 'b', n: 2 },
    ])
    const [sums] = await pool.query('SELECT n FROM t ORDER BY id')
    expect(sums).toEqual([{ n: 2 }, { n: 2 }])
    expect(pool.stats().retries).toBe(1)
  })

  it('B13 a deadlock that the function swallows still runs it again: nothing is written outside', async () => {
    await database.server.query('INSERT INTO t (id, n) VALUES (1, 0), (2, 0), (3, 0)')
    const pool = database.pool()
    const both = [latch(), latch()]
    const swallowed: unknown[] = []
    const work = (first: number, second: number, own: number) =>
      pool.transaction(async (tx) => {
        await tx.execute('UPDATE t SET n = n + 1 WHERE id = ?', [first])
        both[own]!.open()
        await both[1 - own]!.opened
        await tx
          .execute('UPDATE t SET n = n + 1 WHERE id = ?', [second])
          .catch((error) => swallowed.push(error))
        await tx.execute('UPDATE t SET n = n + 1 WHERE id = 3').catch((error) => swallowed.push(error))
      })
    await Promise.all([work(1, 2, 0), work(2, 1, 1)])
    expect(swallowed).toHaveLength(2)
    const [sums] = await pool.query('SELECT n FROM t ORDER BY id')
    expect(sums).toEqual([{ n: 2 }, { n: 2 }, { n: 2 }])
  })

  it('B30 a connection lost in a transaction: the function runs again, from its start, or rejects', async () => {
    const pool = database.pool()
    let runs = 0
    const work = (tx: Transaction) => async () => {
      runs++
      await tx.execute('INSERT INTO t (id, n) VALUES (1, 1)')
      if (runs === 1) await database.server.query(`KILL ${tx.threadId}`)
      await tx.execute('INSERT INTO t (id, n) VALUES (2, 2)')
    }
    const error = await rejection(pool.transaction((tx) => work(tx)(), { retries: 0 }))
    expect(error).toBeInstanceOf(MysqlConnectionLostError)
    expect(error).toMatchObject({ inTransaction: true, outcome: 'none', retryable: true })
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 0 })
    runs = 0
    await pool.transaction((tx) => work(tx)())
    expect(runs).toBe(2)
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 2 })
  })
})
