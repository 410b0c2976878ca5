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
    "CREATE PROCEDURE turns_on() SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "CREATE PROCEDURE turns_off() SET SESSION sql_mode = ''",
    "CREATE FUNCTION turns_on_too() RETURNS INT BEGIN SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'; RETURN 1; END",
  )
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const poolOf = (options: MysqlPoolOptions = {}) =>
  new MysqlPool({ uri: server.url(), connectionLimit: 1, ...options })

/** In one of the two modes each of them leaves its literal when it is written for the other. */
const HOSTILE = [
  "\\' OR 1=1 -- ",
  "' OR 1=1 -- ",
  "\\\\' OR 1=1 -- ",
  '\\',
  '\\\\',
  "it's\\",
  '\\" OR 1=1 -- ',
  '\u8a93\\',
  "\u2014\\' OR 1=1 -- ",
  '\0\b\t\n\r\x1a"%_\\%\\_',
  '\ud83d\ude00\\\ud83d\ude00',
]

/** Every hostile value comes back as it was, and finds no row. */
async function expectSafe(database: Pick<Queryable, 'query'>, where: string): Promise<void> {
  for (const text of HOSTILE) {
    const [rows] = await database.query<RowDataPacket[]>(
      'SELECT ? AS text, ? AS second, (SELECT COUNT(*) FROM secrets WHERE word = ?) AS found',
      [text, ' OR 1=1 -- ', text],
    )
    expect(rows, `${where}: ${JSON.stringify(text)}`).toEqual([{ text, second: ' OR 1=1 -- ', found: 0 }])
  }
}

const MODES = { 'a backslash escapes': '', 'a backslash means itself': 'NO_BACKSLASH_ESCAPES' }

describe('values in the text protocol', () => {
  for (const [from, before] of Object.entries(MODES)) {
    for (const [to, after] of Object.entries(MODES)) {
      it(`S6 no value leaves its literal when the server goes from "${from}" to "${to}"`, async () => {
        await server.query(`SET GLOBAL sql_mode = '${before}'`)
        await using pool = poolOf({ connectionLimit: 2, maxLifetime: '1s' })
        await expectSafe(pool, 'at first')
        await server.query(`SET GLOBAL sql_mode = '${after}'`)
        await expectSafe(pool, 'on the old connection')
        await Promise.all([1, 2].map(() => pool.withConnection((c) => expectSafe(c, 'on a second one'))))
        await pool.withConnection(async (connection) => {
          await connection.query(`SET SESSION sql_mode = '${before}'`)
          await expectSafe(connection, 'after SET')
          await connection.execute(`SET SESSION sql_mode = '${after}'`)
          await expectSafe(connection, 'after SET in prepared form')
          await Promise.all([
            connection.query(`SET SESSION sql_mode = '${before}'`),
            expectSafe(connection, 'sent behind SET'),
            connection.query(`SET SESSION sql_mode = '${after}'`),
            expectSafe(connection, 'sent behind another SET'),
          ])
        })
        await expectSafe(pool, 'after all that')
        await pool.transaction(async (tx) => {
          await tx.query(`SET SESSION sql_mode = '${before}'`)
          await expectSafe(tx, 'in a transaction')
        })
        for (const text of HOSTILE) {
          const seen: unknown[] = []
          for await (const row of pool.stream('SELECT ? AS text', [text])) seen.push(row)
          expect(seen).toEqual([{ text }])
        }
        await server.query("SET GLOBAL sql_mode = ''")
      })
    }
  }

  it('S6 the status after a stored procedure or function, which may be a lie, is not believed', async () => {
    for (const mode of Object.values(MODES)) {
      await server.query(`SET GLOBAL sql_mode = '${mode}'`)
      for (const call of [
        'CALL turns_on()',
        'CALL turns_off()',
        'DO turns_on_too()',
        'SELECT turns_on_too()',
      ]) {
        await using pool = poolOf()
        await pool.query(call)
        await pool.query('UPDATE secrets SET word = word')
        await expectSafe(pool, `${call} with "${mode}"`)
        await pool.withConnection(async (connection) => {
          await connection.query(call)
          await connection.query('UPDATE secrets SET word = word')
          await expectSafe(connection, `${call} with "${mode}" on one connection`)
        })
      }
    }
    await server.query("SET GLOBAL sql_mode = ''")
  })

  it('S6 a mode that is set where the text does not show it', async () => {
    await using pool = poolOf()
    const hidden = [
      `EXECUTE IMMEDIATE 'SET SESSION sql_mode = "NO_BACKSLASH_ESCAPES"'`,
      "/*!50000 SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES' */",
      "BEGIN NOT ATOMIC SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'; END",
      "SET STATEMENT sql_mode = 'NO_BACKSLASH_ESCAPES' FOR UPDATE secrets SET word = word",
    ]
    for (const sql of hidden) {
      await pool.withConnection(async (connection) => {
        await connection.query(sql)
        await expectSafe(connection, sql)
      })
      await pool.query(sql)
      await expectSafe(pool, `${sql} on the pool`)
    }
    await pool.withConnection(async (connection) => {
      const failing = `BEGIN NOT ATOMIC SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'; SIGNAL SQLSTATE '45000'; END`
      await expect(connection.query(failing)).rejects.toThrow()
      await expectSafe(connection, 'after an error')
    })
  })

  it('S6 several statements in one text: the first may change how the second is read', async () => {
    await using pool = poolOf({ unsafeMultipleStatements: true })
    for (const mode of Object.values(MODES)) {
      for (const text of HOSTILE) {
        const [results] = await pool.query<RowDataPacket[][]>(
          `SET SESSION sql_mode = '${mode}'; SELECT ? AS text, (SELECT COUNT(*) FROM secrets WHERE word = ?) AS found`,
          [text, text],
        )
        expect(results.at(-1)).toEqual([{ text, found: 0 }])
      }
    }
    await pool.withConnection(async (connection) => {
      const failing = "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT * FROM nowhere"
      await expect(connection.query(failing)).rejects.toMatchObject({ errno: 1146 })
      await expectSafe(connection, 'after the second one failed')
    })
  })

  it('S6 a placeholder stands where the server sees it, however a backslash is read', async () => {
    for (const [mode, sql] of [
      ['', "SELECT ? LIKE 'a\\'?' AS first, ? AS second"],
      ['NO_BACKSLASH_ESCAPES', "SELECT ? LIKE '?' ESCAPE '\\' AS first, ? AS second"],
    ] as const) {
      await server.query(`SET GLOBAL sql_mode = '${mode}'`)
      await using pool = poolOf()
      for (const text of HOSTILE) {
        const [rows] = await pool.query<RowDataPacket[]>(sql, ['x', text])
        expect(rows).toEqual([{ first: 0, second: text }])
        expect(await pool.one(sql, ['x', text])).toEqual({ first: 0, second: text })
        await expect(pool.query(sql, ['x'])).rejects.toMatchObject({ code: 'ERR_MYSQL_PARAMETER' })
        await expect(pool.execute(sql, ['x', text, 1])).rejects.toMatchObject({ code: 'ERR_MYSQL_PARAMETER' })
      }
    }
    await server.query("SET GLOBAL sql_mode = ''")
  })

  it('S6 an endpoint that was told nothing gets no literal that depends on its mode', async () => {
    for (const mode of Object.values(MODES)) {
      await server.query(`SET GLOBAL sql_mode = '${mode}'`)
      await using pool = poolOf({ session: false })
      await expectSafe(pool, 'session: false')
      await using text = poolOf({ prepared: false, control: false })
      await expectSafe({ query: (sql, values) => text.execute(sql, values) }, 'prepared: false')
    }
    await server.query("SET GLOBAL sql_mode = ''")
  })
})

describe('character sets in which a backslash may be half of a character', () => {
  it('S6 are refused by name', () => {
    for (const charset of ['gbk', 'GBK_CHINESE_CI', 'sjis', 'big5', 'cp932', 'gb18030', 'gb18030_bin']) {
      for (const options of [
        { charset },
        { driver: { charset } },
        { uri: `mysql://h/d?charset=${charset}` },
      ]) {
        expect(() => new MysqlPool(options as MysqlPoolOptions), charset).toThrow(
          expect.objectContaining({ code: 'ERR_MYSQL_OPTION' }),
        )
      }
    }
    expect(() => new MysqlPool({ charset: 'nonsense' })).toThrow(
      expect.objectContaining({ code: 'ERR_MYSQL_OPTION' }),
    )
  })

  it('S6 a session that is switched to one gets literals of plain ASCII, and is not used again', async () => {
    await using pool = poolOf()
    for (const charset of ['gbk', 'sjis', 'big5', 'cp932']) {
      const id = await pool.withConnection(async (connection) => {
        await connection.query(`SET NAMES ${charset}`)
        for (const text of HOSTILE) {
          const [[row]] = await connection.query<RowDataPacket[]>(
            'SELECT HEX(CONVERT(? USING utf8mb4)) AS text, (SELECT COUNT(*) FROM secrets WHERE word = ?) AS found',
            [text, text],
          )
          expect(row).toEqual({ text: Buffer.from(text).toString('hex').toUpperCase(), found: 0 })
        }
        const [[plain]] = await connection.query<RowDataPacket[]>('SELECT 1 AS ??', ['na`me'])
        expect(plain).toEqual({ 'na`me': 1 })
        await expect(connection.query('SELECT 1 AS ??', ['\u2014'])).rejects.toMatchObject({
          code: 'ERR_MYSQL_PARAMETER',
        })
        return connection.threadId
      })
      expect(await pool.withConnection((connection) => connection.threadId)).not.toBe(id)
      await expectSafe(pool, `after ${charset}`)
    }
  })

  it('S6 a server that does not listen to the client about its character set is told by SET NAMES', async () => {
    await using gbk = await startMariadb({
      args: ['--skip-character-set-client-handshake', '--character-set-server=gbk'],
    })
    await gbk.query(
      'CREATE TABLE secrets (word VARCHAR(200) CHARACTER SET utf8mb4)',
      "INSERT INTO secrets VALUES ('one')",
    )
    await using pool = new MysqlPool({ uri: gbk.url(), connectionLimit: 1 })
    await expectSafe(pool, 'a server of GBK')
    await using proxied = new MysqlPool({ uri: gbk.url(), connectionLimit: 1, session: false })
    const [[row]] = await proxied.query<RowDataPacket[]>(
      'SELECT COUNT(*) AS found FROM secrets WHERE word = ?',
      ["\u2014\\' OR 1=1 -- "],
    )
    expect(row).toEqual({ found: 0 })
  })

  it('S6 the character set that was chosen is kept over a reset', async () => {
    await using pool = poolOf({ charset: 'utf8mb4_general_ci' })
    const ask = () => pool.one('SELECT @@collation_connection AS name')
    expect(await ask()).toEqual({ name: 'utf8mb4_general_ci' })
    await pool.query('SET @a = 1')
    expect(await ask()).toEqual({ name: 'utf8mb4_general_ci' })
    expect(pool.stats().nodes[0]).toMatchObject({ resets: 1, lost: 0, opened: 1 })
    await expectSafe(pool, 'another collation')
  })
})
