import { type MariadbServer, startMariadb } from '@spillway/testkit'
import type { RowDataPacket } from 'mysql2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MysqlPool, type MysqlPoolOptions, type Queryable } from '../../src/index.js'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
  await server.query(
    'CREATE TABLE secrets (id INT PRIMARY KEY, word VARCHAR(200))',
    "INSERT INTO secrets VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    'CREATE PROCEDURE speaks_gbk() SET NAMES gbk',
    'CREATE PROCEDURE quotes_names() SET SESSION sql_mode = "ANSI_QUOTES"',
  )
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const poolOf = (options: MysqlPoolOptions = {}) =>
  new MysqlPool({ uri: server.url(), connectionLimit: 1, ...options })

const HOSTILE = [
  "\\' UNION SELECT word, 1, 1 FROM secrets -- ",
  "' UNION SELECT word, 1, 1 FROM secrets -- ",
  '" UNION SELECT word, 1, 1 FROM secrets -- ',
  '\\" UNION SELECT word, 1, 1 FROM secrets -- ',
  '` UNION SELECT word, 1, 1 FROM secrets -- ',
  '*/ UNION SELECT word, 1, 1 FROM secrets -- ',
  '\u7e17\\',
  "\u7e17' OR 1=1 -- ",
  '\u00bf\\',
  "\u00bf' OR 1=1 -- ",
  '\u8868\\',
  "\u8868\\' OR 1=1 -- ",
  '\u529f\\',
  '?',
  '12:30 :name ::x :1',
]
const BYTES = [Buffer.from("\\' OR 1=1 -- "), Buffer.from([0xbf, 0x27, 0x5c, 0x00, 0xbf, 0x5c, 0x27])]

/** Each value comes back as it was, as one value of one row. */
async function expectSafe(database: Pick<Queryable, 'query'>, where: string): Promise<void> {
  for (const text of HOSTILE) {
    const [rows] = await database.query<RowDataPacket[]>('SELECT ? AS a, 2 AS b, ? IN (?) AS c', [
      text,
      text,
      ['x', text],
    ])
    expect(rows, `${where}: ${JSON.stringify(text)}`).toEqual([{ a: text, b: 2, c: 1 }])
  }
  for (const bytes of BYTES) {
    const [rows] = await database.query<RowDataPacket[]>('SELECT HEX(?) AS a, 2 AS b', [bytes])
    expect(rows, `${where}: bytes`).toEqual([{ a: bytes.toString('hex').toUpperCase(), b: 2 }])
  }
  const at = new Date('2026-02-03T04:05:06.789Z')
  const [[row]] = await database.query<[RowDataPacket]>('SELECT CAST(? AS CHAR) AS a', [at])
  expect(row.a, where).toBe('2026-02-03 04:05:06.789')
}

/** What turns the session into one that reads a text in another way. */
const SWITCHES = [
  'SET NAMES gbk',
  'SET NAMES sjis',
  'SET NAMES big5',
  'SET CHARACTER SET gbk',
  'SET character_set_client = gbk',
  'SET character_set_connection = gbk',
  'SET character_set_results = NULL',
  'SET @@session.character_set_client = cp932',
  "SET sql_mode = 'ANSI_QUOTES'",
  "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
  "SET sql_mode = 'ANSI,PIPES_AS_CONCAT,EMPTY_STRING_IS_NULL'",
  "SET sql_mode = 'ORACLE'",
  "SET sql_mode = 'MSSQL'",
  "/*!40101 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */",
  '/*M!100100 SET NAMES gbk */',
  'CALL speaks_gbk()',
  'CALL quotes_names()',
  "BEGIN NOT ATOMIC SET NAMES sjis; SET sql_mode = 'NO_BACKSLASH_ESCAPES'; END",
  "PREPARE s FROM 'SET NAMES gbk'; EXECUTE s",
  "EXECUTE IMMEDIATE 'SET NAMES gbk'",
]

describe('values in a session that its user has changed', () => {
  for (const by of ['query', 'execute'] as const) {
    it(`S6 each value stays one value after each change made by ${by}`, async () => {
      await using pool = poolOf({ unsafeMultipleStatements: true })
      for (const change of SWITCHES) {
        if (by === 'execute' && /^PREPARE|^BEGIN|^EXECUTE/.test(change)) continue
        await pool.withConnection(async (connection) => {
          await connection[by](change)
          // What the results are sent in is the user's own wish.
          if (!/NAMES|character|speaks/i.test(change)) await expectSafe(connection, change)
          else {
            for (const text of HOSTILE) {
              const [rows] = await connection.query<RowDataPacket[]>('SELECT LENGTH(?) AS a, 2 AS b', [text])
              expect(rows, `${change}: ${JSON.stringify(text)}`).toEqual([{ a: expect.any(Number), b: 2 }])
            }
          }
        })
        await expectSafe(pool, `after ${change}`)
      }
    })
  }

  it('S6 what the server makes of each new session changes nothing', async () => {
    await server.query("CREATE USER guest@'%' IDENTIFIED BY 'pass'", "GRANT ALL ON *.* TO guest@'%'")
    for (const init of [
      'SET NAMES gbk',
      "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
      "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
      "SET NAMES sjis; SET sql_mode = 'ORACLE'",
      "SET session_track_system_variables = ''; SET NAMES big5",
    ]) {
      await server.query(`SET GLOBAL init_connect = "${init}"`)
      // The user is made without SUPER, for whom nothing of this runs.
      await server.query("REVOKE SUPER, CONNECTION ADMIN ON *.* FROM guest@'%'")
      await using pool = new MysqlPool({
        uri: `mysql://guest:pass@127.0.0.1:${server.port}/test`,
        connectionLimit: 1,
      })
      await expectSafe(pool, init)
      await pool.withConnection(async (connection) => {
        await connection.query('SET @x = 1')
        await expectSafe(connection, `${init}, dirty`)
      })
      await expectSafe(pool, `${init}, after a reset`)
    }
    await server.query("SET GLOBAL init_connect = ''")
  })
})

it('S6 a value with a backslash is compared and joined with others on a session whose mode is not sure', async () => {
  await using pool = poolOf()
  await pool.withConnection(async (connection) => {
    for (const mode of ['', 'NO_BACKSLASH_ESCAPES', 'ANSI_QUOTES']) {
      await connection.query(`SET sql_mode = '${mode}'`)
      const [rows] = await connection.query<RowDataPacket[]>(
        "SELECT CONCAT('<', ?, '>', ?) AS a, ? IN (?) AS b, ? LIKE CONCAT('%', ?) AS c",
        ['C:\\dir', "it's", 'C:\\dir', ['x', 'C:\\dir'], 'a', 'a'],
      )
      expect(rows).toEqual([{ a: "<C:\\dir>it's", b: 1, c: 1 }])
    }
  })
})

describe('placeholders in a text that can be read in two ways', () => {
  const value = '" AS a, (SELECT GROUP_CONCAT(word) FROM secrets) AS stolen -- '

  it('S6 a value never ends the name that ANSI_QUOTES makes of a text', async () => {
    await using pool = poolOf()
    await pool.withConnection(async (connection) => {
      await connection.query("SET sql_mode = 'ANSI_QUOTES'")
      for (const sql of ['SELECT 1 AS "\\", ? AS "a?b"', 'SELECT 1 AS "\\", "?" -- "']) {
        const answer = await connection
          .query(sql, [value])
          .then(([rows]) => JSON.stringify(rows))
          .catch((error: Error) => error.message)
        expect(answer, sql).not.toMatch(/one,two|stolen"/)
      }
    })
  })

  it('S6 a value never ends what stands in a comment that the server executes', async () => {
    await using pool = poolOf()
    for (const sql of ["SELECT /*! '*/', '?' */ AS a", "SELECT /*M! '*/', '?' */ AS a"]) {
      const answer = await pool
        .query(sql, ["', (SELECT GROUP_CONCAT(word) FROM secrets), '"])
        .then(([rows]) => JSON.stringify(rows))
        .catch((error: Error) => error.message)
      expect(answer, sql).not.toMatch(/one,two/)
    }
  })

  it('S6 names are one name, whatever is in them', async () => {
    await using pool = poolOf()
    for (const name of ['a`, (SELECT 1) AS `b', 'a"b', "a'b", 'a\\', 'a?b', '??', 'a*/b', '-- a']) {
      const [rows] = await pool.query<RowDataPacket[]>('SELECT 1 AS ??', [name])
      expect(rows).toEqual([{ [name]: 1 }])
      await pool.withConnection(async (connection) => {
        await connection.query("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
        expect((await connection.query('SELECT 1 AS ??', [name]))[0]).toEqual([{ [name]: 1 }])
      })
    }
  })
})

describe('a driver that is told to format values itself', () => {
  it('S6 does not look for placeholders in what has been written already', async () => {
    for (const driver of [
      { namedPlaceholders: true },
      { stringifyObjects: true },
      { decimalNumbers: true },
    ]) {
      await using pool = poolOf({ driver })
      await expectSafe(pool, JSON.stringify(driver))
    }
  })
})
