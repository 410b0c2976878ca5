import fc from 'fast-check'
import { escape as escapeValue } from 'mysql2'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DemoEngine } from '../src/database/demo-engine.js'
import { toSqlite } from '../src/database/dialect.js'

// The engine is for demonstrations; these tests are about it, and nothing else is tested or measured with it.
describe('the demo engine', () => {
  let engine: DemoEngine
  let url: string
  beforeAll(async () => {
    engine = new DemoEngine()
    url = await engine.listen()
  })
  afterAll(() => engine.close())

  const run = async (sql: string, values: unknown[] = []) => {
    const connection = await createConnection(url)
    try {
      const [rows] = await connection.query<RowDataPacket[]>(sql, values)
      return rows
    } finally {
      await connection.end()
    }
  }

  it('holds the real data set', async () => {
    expect(engine.cities).toBeGreaterThan(130_000)
    const [first] = await run(
      'SELECT id, name, country, population FROM cities WHERE name LIKE ? ORDER BY population DESC LIMIT 1',
      ['ber%'],
    )
    expect(first).toMatchObject({ id: 2950159, name: 'Berlin', country: 'DE' })
    expect(first?.population).toBeGreaterThan(3_000_000)
  })

  it('answers many statements on one connection, in order, errors among them', async () => {
    const connection = await createConnection(url)
    try {
      for (let i = 0; i < 50; i++) {
        const [rows] = await connection.query<RowDataPacket[]>('SELECT ? AS n, ? AS word, NULL AS none', [
          i,
          `it's \\ ${i}`,
        ])
        expect(rows).toEqual([{ n: i, word: `it's \\ ${i}`, none: null }])
      }
      await expect(connection.query('SELEKT')).rejects.toMatchObject({ errno: 1064 })
      await expect(connection.query('BEGIN')).rejects.toMatchObject({ errno: 1235 })
      await connection.query('SET NAMES utf8mb4')
      await connection.ping()
      const [rows] = await connection.query<RowDataPacket[]>('SELECT id FROM cities WHERE id = -1')
      expect(rows).toEqual([])
    } finally {
      await connection.end()
    }
  })

  it('writes', async () => {
    const result = await run('INSERT INTO checkins (city_id, who) VALUES (?, ?)', [1, 'Ada'])
    expect(result).toMatchObject({ affectedRows: 1, insertId: expect.any(Number) })
    expect(await run('SELECT city_id, who FROM checkins')).toEqual([{ city_id: 1, who: 'Ada' }])
  })
})

describe('the dialect', () => {
  it('keeps any string that mysql2 escapes as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const literal = toSqlite(escapeValue(text))
        expect(literal.slice(1, -1).replaceAll("''", "'")).toBe(text)
        expect(literal.slice(1, -1).replaceAll("''", '')).not.toContain("'")
      }),
    )
  })

  it('turns names in backticks into standard ones, and leaves the rest alone', () => {
    expect(toSqlite("SELECT `a b` FROM t WHERE x = 'a\\'b' AND y = 2")).toBe(
      `SELECT "a b" FROM t WHERE x = 'a''b' AND y = 2`,
    )
  })

  it('turns texts in hexadecimal, as a careful client sends them, into texts in quotes', async () => {
    const hex = Buffer.from("O'Hara \\ \u{1f30d}").toString('hex')
    expect(toSqlite(`SELECT _utf8mb4 X'${hex}' AS name, X'4142' AS bytes`)).toBe(
      `SELECT 'O''Hara \\ \u{1f30d}' AS name, X'4142' AS bytes`,
    )
  })
})
