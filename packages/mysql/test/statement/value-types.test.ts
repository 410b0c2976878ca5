import type { ResultSetHeader, RowDataPacket } from 'mysql2'
import { describe, expect, it } from 'vitest'
import { Database } from '../database.js'
import { rejection } from '../waiting.js'

const database = new Database()

describe('values', () => {
  it('B9 big integers, decimals and insert ids are exact', async () => {
    await database.server.query(
      'DROP TABLE IF EXISTS big',
      'CREATE TABLE big (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, b BIGINT, d DECIMAL(30, 10)) AUTO_INCREMENT = 9007199254740995',
    )
    for (const method of ['query', 'execute'] as const) {
      const pool = database.pool()
      const [result] = await pool[method]<ResultSetHeader>('INSERT INTO big (b, d) VALUES (?, ?)', [
        9007199254740993n,
        '12345678901234567890.0123456789',
      ])
      expect(typeof result.insertId).toBe('string')
      expect(String(result.insertId)).toMatch(/^900719925474099[5-9]$/)
      const [[row]] = await pool[method]<RowDataPacket[]>('SELECT b, d, 7 AS small FROM big WHERE id = ?', [
        result.insertId,
      ])
      expect(row).toEqual({ b: '9007199254740993', d: '12345678901234567890.0123456789', small: 7 })
      const exact = database.pool({ bigint: 'bigint' })
      const [[big]] = await exact[method]<RowDataPacket[]>('SELECT b FROM big LIMIT 1')
      expect(big).toEqual({ b: 9007199254740993n })
      const [[text]] = await database
        .pool({ bigint: 'string' })
        [method]<RowDataPacket[]>('SELECT COUNT(*) AS n FROM seq_1_to_5')
      expect(text).toEqual({ n: '5' })
    }
  })

  it('B17 an object, NaN or undefined as a value is refused before anything is sent, with its index', async () => {
    const pool = database.pool()
    for (const method of ['query', 'execute'] as const) {
      for (const bad of [
        { pw: 1 },
        Number.NaN,
        Number.POSITIVE_INFINITY,
        undefined,
        Symbol('s'),
        new Map(),
        [{ a: 1 }],
      ]) {
        const error = await rejection(pool[method]('SELECT 1 FROM DUAL WHERE 1 = ? AND 2 = ?', [1, bad]))
        expect(error).toMatchObject({ code: 'ERR_MYSQL_PARAMETER' })
        expect((error as Error).message).toContain('Parameter 1')
      }
      expect(await rejection(pool[method]('SELECT ?', []))).toMatchObject({ code: 'ERR_MYSQL_PARAMETER' })
    }
    expect(pool.stats().queries).toBe(0)
  })

  it('dates keep their day and their instant, whatever the zone of the process', async () => {
    await database.server.query(
      'DROP TABLE IF EXISTS dates',
      'CREATE TABLE dates (id INT PRIMARY KEY, d DATE, dt DATETIME(3), ts TIMESTAMP(3) NULL)',
    )
    const instant = new Date('2026-03-29T01:30:00.250Z')
    const pool = database.pool()
    for (const [id, method] of [
      [1, 'query'],
      [2, 'execute'],
    ] as const) {
      await pool[method]('INSERT INTO dates VALUES (?, ?, ?, ?)', [id, '2026-03-29', instant, instant])
      const [[row]] = await pool[method]<RowDataPacket[]>(
        'SELECT d, dt, ts, UNIX_TIMESTAMP(ts) AS unix FROM dates WHERE id = ?',
        [id],
      )
      expect(row).toMatchObject({ d: '2026-03-29', dt: instant, ts: instant })
      expect(Number(row!.unix)).toBe(instant.getTime() / 1000)
    }
  })

  it('a failed statement shows the text and not the values, and no password', async () => {
    const pool = database.pool()
    const error = await rejection(pool.query('INSERT INTO t (id, nope) VALUES (?, ?)', [1, 'a secret']))
    expect(error).toMatchObject({ errno: 1054, sql: 'INSERT INTO t (id, nope) VALUES (?, ?)' })
    expect(JSON.stringify(Object.entries(error as object)) + String(error)).not.toContain('a secret')
    const wrong = database.pool({ uri: `mysql://nobody:hush@127.0.0.1:${database.server.port}/test` })
    const denied = await rejection(wrong.query('SELECT 1'))
    expect(denied).toMatchObject({ errno: 1045 })
    expect(JSON.stringify(Object.entries(denied as object)) + String(denied)).not.toContain('hush')
  })

  it('several statements in one text need the option with unsafe in its name', async () => {
    expect(await rejection(database.pool().query('SELECT 1; SELECT 2'))).toMatchObject({ errno: 1064 })
    const [results] = await database
      .pool({ unsafeMultipleStatements: true })
      .query('SELECT 1 AS a; SELECT 2 AS b')
    expect(results).toEqual([[{ a: 1 }], [{ b: 2 }]])
  })
})
