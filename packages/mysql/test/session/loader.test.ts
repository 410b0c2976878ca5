import { type MariadbServer, startMariadb } from '@spillway/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type LoaderKey, MysqlPool } from '../../src/index.js'

let server: MariadbServer
let pool: MysqlPool

beforeAll(async () => {
  server = await startMariadb()
  await server.query(
    'CREATE TABLE exact (word VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, n INT)',
    'CREATE TABLE loose (word VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci PRIMARY KEY, n INT)',
    'CREATE TABLE unpadded (word VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY, n INT)',
    'CREATE TABLE numbers (id BIGINT PRIMARY KEY, n INT)',
    'CREATE TABLE times (at DATETIME PRIMARY KEY, n INT)',
    'CREATE TABLE moments (at DATETIME(6) PRIMARY KEY, n INT)',
    'CREATE TABLE bytes (id BINARY(4) PRIMARY KEY, n INT)',
    "INSERT INTO exact VALUES ('admin', 1), ('Stra\u00dfe', 2), ('\u00e9', 3)",
    "INSERT INTO loose VALUES ('admin', 1), ('Stra\u00dfe', 2), ('\u00e9', 3), ('7', 7)",
    "INSERT INTO unpadded VALUES ('admin', 1)",
    'INSERT INTO numbers VALUES (7, 7), (8, 8), (9007199254740993, 9)',
    "INSERT INTO times VALUES ('2026-01-02 03:04:05', 1)",
    "INSERT INTO moments VALUES ('2026-01-02 03:04:05.123456', 1), ('2026-01-02 03:04:05.120000', 2)",
    "INSERT INTO bytes VALUES (X'00ff2780', 1)",
  )
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})
beforeEach(() => {
  pool = new MysqlPool({ uri: server.url() })
})
afterEach(() => pool.close())

const table = (name: string, key: string) => pool.loader<{ n: number }, LoaderKey>({ table: name, key })

describe('loader', () => {
  it('S5 a key that is none fails its own call, and nobody else\u2019s', async () => {
    const numbers = table('numbers', 'id')
    const wrong: unknown[] = [
      Number.NaN,
      undefined,
      null,
      {},
      [],
      [7],
      true,
      Symbol('7'),
      () => 7,
      new Date(Number.NaN),
      Number.POSITIVE_INFINITY,
      'x'.repeat(100_000),
      Buffer.alloc(100_000),
    ]
    const [good, ...bad] = await Promise.allSettled([
      numbers.load(7),
      ...wrong.map((key) => numbers.load(key as LoaderKey)),
    ])
    expect(good).toMatchObject({ status: 'fulfilled', value: { n: 7 } })
    for (const [i, one] of bad.entries()) {
      expect(one, String(i)).toMatchObject({ status: 'rejected', reason: { code: 'ERR_MYSQL_PARAMETER' } })
      expect((one as PromiseRejectedResult).reason).toBeInstanceOf(TypeError)
    }
    expect(await numbers.loadMany([8, '7', 7n, 9])).toMatchObject([{ n: 8 }, { n: 7 }, { n: 7 }, undefined])
  })

  it('S5 a row answers the keys that are equal to it for the server, and no other', async () => {
    const words = [
      'admin',
      'ADMIN',
      '\u00e4dmin',
      'admin ',
      'admin  ',
      'STRASSE',
      'strasse',
      '\u00c9',
      'e',
      'e\u0301',
      ' admin',
      '',
    ]
    for (const name of ['exact', 'loose', 'unpadded']) {
      const expected: (number | undefined)[] = []
      for (const word of words) {
        expected.push((await pool.one<{ n: number }>(`SELECT n FROM ${name} WHERE word = ?`, [word]))?.n)
      }
      const together = await table(name, 'word').loadMany(words)
      expect(
        together.map((row) => row?.n),
        name,
      ).toEqual(expected)
      for (const [i, word] of words.entries())
        expect((await table(name, 'word').load(word))?.n).toBe(expected[i])
    }
    expect(await table('exact', 'word').loadMany(['admin', 'ADMIN'])).toMatchObject([{ n: 1 }, undefined])
  })

  it('S5 keys of several types do not share a comparison', async () => {
    const numbers = await table('numbers', 'id').loadMany([
      7,
      '7',
      7n,
      '07',
      '8.0',
      9007199254740993n,
      '9007199254740993',
      'x',
    ])
    expect(numbers.map((row) => row?.n)).toEqual([7, 7, 7, 7, 8, 9, 9, undefined])
    // Compared as numbers, every word would be 0.
    const words = await table('loose', 'word').loadMany(['7', 'admin', 7, 'ADMIN', 'nobody'])
    expect(words.map((row) => row?.n)).toEqual([7, 1, 7, 1, undefined])
  })

  it('S5 dates and bytes are keys as well', async () => {
    const at = new Date(Date.UTC(2026, 0, 2, 3, 4, 5))
    const text = '2026-01-02 03:04:05'
    const times = await table('times', 'at').loadMany([at, text, new Date(0), new Date(at)])
    expect(times.map((row) => row?.n)).toEqual([1, 1, undefined, 1])
    const moments = await table('moments', 'at').loadMany([
      `${text}.123456`,
      `${text}.12`,
      new Date(at.getTime() + 120),
      at,
    ])
    expect(moments.map((row) => row?.n)).toEqual([1, 2, 2, undefined])
    const bytes = await table('bytes', 'id').loadMany([
      Buffer.from('00ff2780', 'hex'),
      new Uint8Array([0, 255, 39, 128]),
      Buffer.from('00ff2781', 'hex'),
    ])
    expect(bytes.map((row) => row?.n)).toEqual([1, 1, undefined])
  })

  it('S5 numbers are still one query, found and missing ones alike', async () => {
    await table('numbers', 'id').loadMany([1, 2, 7, 8, 9])
    expect(pool.stats().queries).toBe(1)
  })

  it('S5 the name of the key may be written in another case than the column\u2019s', async () => {
    expect(await table('numbers', 'ID').loadMany([7, 1])).toMatchObject([{ n: 7 }, undefined])
    expect(pool.stats().queries).toBe(1)
  })

  it('S5 keys whose sum would be too large for one statement go in several', async () => {
    const long = Array.from({ length: 300 }, (_, i) => String(i).padEnd(60_000, 'x'))
    expect(await table('loose', 'word').loadMany([...long, 'admin'])).toHaveLength(301)
    expect(pool.stats().errors).toBe(0)
  })
})
