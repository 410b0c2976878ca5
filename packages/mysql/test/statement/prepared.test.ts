import type { RowDataPacket } from 'mysql2'
import { describe, expect, it } from 'vitest'
import { Database } from '../database.js'
import { rejection } from '../waiting.js'

const database = new Database()

describe('prepared statements', () => {
  it('B7 lists of all lengths stay within the budget of the process', async () => {
    const [[old]] = (await database.server.query('SELECT @@global.max_prepared_stmt_count AS n')) as [
      RowDataPacket[],
    ]
    await database.server.query('SET GLOBAL max_prepared_stmt_count = 200')
    try {
      const pool = database.pool({ connectionLimit: 4 })
      await Promise.all([1, 2, 3, 4].map(() => pool.query('SELECT SLEEP(0.02)')))
      for (let length = 1; length <= 400; length++) {
        const list = Array.from({ length }, (_, i) => i)
        await Promise.all([
          pool.execute(`SELECT ${length} FROM DUAL WHERE 1 IN (?)`, [list]),
          pool.execute('SELECT 1 FROM DUAL WHERE 1 IN (?)', [list]),
        ])
      }
      const [rows] = await database.server.query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
      expect(Number(rows![0]!.Value)).toBeLessThanOrEqual(50)
    } finally {
      await database.server.query(`SET GLOBAL max_prepared_stmt_count = ${old!.n}`)
    }
  })

  it('B7 a server without room for any is asked in text', async () => {
    await database.server.query('SET GLOBAL max_prepared_stmt_count = 0')
    try {
      expect(await database.pool().one('SELECT ? AS n', [5])).toEqual({ n: 5 })
    } finally {
      await database.server.query('SET GLOBAL max_prepared_stmt_count = 16382')
    }
  })

  it('B8 a list in a prepared statement is expanded, and an empty one refused', async () => {
    const pool = database.pool()
    expect(await pool.one('SELECT 1 AS found FROM DUAL WHERE 2 IN (?)', [[1, 2, 3]])).toEqual({ found: 1 })
    expect(await pool.one('SELECT 1 AS found FROM DUAL WHERE 9 IN (?)', [[1, 2, 3]])).toBeUndefined()
    await pool.execute('INSERT INTO t (id, n, note) VALUES ?', [
      [
        [1, 10, 'a'],
        [2, 20, null],
      ],
    ])
    expect(await pool.one('SELECT SUM(n) AS sum FROM t')).toEqual({ sum: '30' })
    const error = await rejection(pool.execute('SELECT 1 FROM DUAL WHERE 2 IN (?)', [[]]))
    expect(error).toMatchObject({ code: 'ERR_MYSQL_PARAMETER', name: 'TypeError' })
    expect((error as Error).message).toContain('Parameter 0')
  })

  it('B16 LIMIT takes a number', async () => {
    const pool = database.pool()
    const [rows] = await pool.execute<RowDataPacket[]>('SELECT seq FROM seq_1_to_10 LIMIT ?', [3])
    expect(rows).toHaveLength(3)
  })
})
