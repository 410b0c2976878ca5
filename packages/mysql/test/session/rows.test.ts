import { eventually, type MariadbServer, type ReplicaPair, startReplicaPair } from '@spillway/testkit'
import type { RowDataPacket } from 'mysql2'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type LoaderKey, MysqlPool, type MysqlPoolOptions } from '../../src/index.js'

let pair: ReplicaPair
let server: MariadbServer
const open: MysqlPool[] = []

beforeAll(async () => {
  pair = await startReplicaPair()
  server = pair.primary
  await server.query(
    `CREATE TABLE moments (id INT PRIMARY KEY, d6 DATETIME(6), t6 TIMESTAMP(6) NULL, d3 DATETIME(3), d0 DATETIME,
      c6 TIME(6), day DATE, big BIGINT, KEY (d6))`,
    `INSERT INTO moments VALUES
      (1, '2026-01-02 03:04:05.123456', '2026-01-02 03:04:05.123456', '2026-01-02 03:04:05.123', '2026-01-02 03:04:05',
        '-12:00:00.123456', '2026-01-02', 9007199254740993),
      (2, '2026-01-02 03:04:05.123457', '2026-01-02 03:04:05.120000', '2026-01-02 03:04:05', '2026-01-02 00:00:00',
        '12:00:00.500000', '2026-01-02', 1),
      (3, '2026-01-02 03:04:05.000000', NULL, NULL, NULL, NULL, NULL, NULL)`,
    'CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(20))',
    'CREATE TABLE posts (id INT PRIMARY KEY, user INT, name VARCHAR(20))',
    "INSERT INTO users VALUES (1, 'ann')",
    "INSERT INTO posts VALUES (10, 1, 'first')",
    'CREATE FUNCTION which_server() RETURNS INT NOT DETERMINISTIC NO SQL RETURN @@server_id',
  )
  await pair.waitForReplica()
})
afterAll(() => pair?.[Symbol.asyncDispose]())
afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close({ timeout: 0 })
})

function poolOf(options: MysqlPoolOptions = {}): MysqlPool {
  const pool = new MysqlPool({ uri: server.url(), ...options })
  open.push(pool)
  return pool
}

/** The same rows by each way there is. */
function ways(pool: MysqlPool): Readonly<Record<string, (sql: string) => Promise<object[]>>> {
  return {
    query: async (sql) => (await pool.query<RowDataPacket[]>(sql))[0],
    execute: async (sql) => (await pool.execute<RowDataPacket[]>(sql))[0],
    stream: async (sql) => {
      const rows: object[] = []
      for await (const row of pool.stream(sql)) rows.push(row)
      return rows
    },
    transaction: (sql) => pool.transaction(async (tx) => (await tx.execute<RowDataPacket[]>(sql))[0]),
    connection: (sql) => pool.withConnection(async (c) => (await c.query<RowDataPacket[]>(sql))[0]),
  }
}

const ALL = 'SELECT d6, t6, d3, d0, day FROM moments ORDER BY id'
const second = Date.UTC(2026, 0, 2, 3, 4, 5)
const EXACT = [
  {
    d6: '2026-01-02 03:04:05.123456',
    t6: '2026-01-02 03:04:05.123456',
    d3: new Date(second + 123),
    d0: new Date(second),
    day: '2026-01-02',
  },
  {
    d6: '2026-01-02 03:04:05.123457',
    t6: '2026-01-02 03:04:05.120000',
    d3: new Date(second),
    d0: new Date(Date.UTC(2026, 0, 2)),
    day: '2026-01-02',
  },
  { d6: '2026-01-02 03:04:05.000000', t6: null, d3: null, d0: null, day: null },
]

describe('dates with more digits than a Date', () => {
  for (const bigint of ['auto', 'string', 'bigint'] as const) {
    it(`B44 come as text, the others as Dates, by each way (bigint: ${bigint})`, async () => {
      const pool = poolOf({ bigint })
      for (const [way, ask] of Object.entries(ways(pool))) expect(await ask(ALL), way).toEqual(EXACT)
      const [row] = (await pool.query<RowDataPacket[]>('SELECT big FROM moments WHERE id = 1'))[0]
      expect(row!.big).toBe(bigint === 'bigint' ? 9007199254740993n : '9007199254740993')
    })
  }

  it('B44 find their own row, and page without a repetition', async () => {
    const pool = poolOf()
    const { d6, t6, c6 } = (await pool.one<{ d6: string; t6: string; c6: string }>(
      'SELECT d6, t6, c6 FROM moments WHERE id = 1',
    ))!
    for (const ask of [
      pool.one.bind(pool),
      async (sql: string, values: unknown[]) => (await pool.query<RowDataPacket[]>(sql, values))[0][0],
    ]) {
      expect(await ask('SELECT id FROM moments WHERE d6 = ? AND t6 = ? AND c6 = ?', [d6, t6, c6])).toEqual({
        id: 1,
      })
    }
    const seen: number[] = []
    for (let after = '0001-01-01'; ; ) {
      const row = await pool.one<{ id: number; d6: string }>(
        'SELECT id, d6 FROM moments WHERE d6 > ? ORDER BY d6 LIMIT 1',
        [after],
      )
      if (row === undefined) break
      seen.push(row.id)
      after = row.d6
    }
    expect(seen).toEqual([3, 1, 2])
    const byTime = pool.loader<{ id: number }, LoaderKey>({ table: 'moments', key: 'd6' })
    expect(await byTime.loadMany([d6, '2026-01-02 03:04:05'])).toMatchObject([{ id: 1 }, { id: 3 }])
  })

  it('B44 expressions and several results are read in the same way; Dates as values stay what they were', async () => {
    const pool = poolOf({ unsafeMultipleStatements: true })
    const sql =
      "SELECT CAST('2026-01-02 03:04:05.1' AS DATETIME(6)) AS a, MAX(d6) AS b, CAST(? AS DATETIME(3)) AS c FROM moments"
    const expected = {
      a: '2026-01-02 03:04:05.100000',
      b: '2026-01-02 03:04:05.123457',
      c: new Date(second + 7),
    }
    expect(await pool.one(sql, [new Date(second + 7)])).toEqual(expected)
    expect((await pool.query<RowDataPacket[]>(sql, [new Date(second + 7)]))[0]).toEqual([expected])
    const [results] = await pool.query<RowDataPacket[][]>(
      'SELECT d0 FROM moments WHERE id = 1; SELECT d6 FROM moments WHERE id = 1',
    )
    expect(results).toEqual([[{ d0: new Date(second) }], [{ d6: '2026-01-02 03:04:05.123456' }]])
  })

  it('B44 the option says otherwise', async () => {
    const dates = poolOf({ dates: 'date' })
    const texts = poolOf({ dates: 'string' })
    for (const [way, ask] of Object.entries(ways(dates))) {
      expect((await ask(ALL))[0], way).toEqual({
        ...EXACT[0],
        d6: new Date(second + 123),
        t6: new Date(second + 123),
      })
    }
    for (const [way, ask] of Object.entries(ways(texts))) {
      expect((await ask('SELECT d6, d3, d0 FROM moments WHERE id = 1'))[0], way).toEqual({
        d6: '2026-01-02 03:04:05.123456',
        d3: '2026-01-02 03:04:05.123',
        d0: '2026-01-02 03:04:05',
      })
    }
    const own = poolOf({
      driver: {
        typeCast: (field: { type: string }, next: () => unknown) =>
          field.type === 'DATETIME' ? 'mine' : next(),
      },
    })
    expect(await own.one('SELECT d6, d0 FROM moments WHERE id = 1')).toEqual({ d6: 'mine', d0: 'mine' })
    expect(() => new MysqlPool({ dates: 'text' as never })).toThrow(
      expect.objectContaining({ code: 'ERR_MYSQL_OPTION' }),
    )
  })
})

describe('the shape of rows', () => {
  const JOIN =
    'SELECT users.id, posts.id, users.name, posts.name FROM users JOIN posts ON posts.user = users.id'
  const LIST = [1, 10, 'ann', 'first']
  const NESTED = { users: { id: 1, name: 'ann' }, posts: { id: 10, name: 'first' } }

  it('B47 is an option of a call, in each protocol and place', async () => {
    const pool = poolOf()
    const session = pool.session()
    for (const place of [pool, session]) {
      for (const act of ['query', 'execute'] as const) {
        for (let round = 0; round < 2; round++) {
          expect((await place[act](JOIN, [], { rowsAsArray: true }))[0]).toEqual([LIST])
          expect((await place[act](JOIN, [], { nestTables: true }))[0]).toEqual([NESTED])
          expect((await place[act](JOIN, [], { nestTables: '_' }))[0]).toEqual([
            { users_id: 1, users_name: 'ann', posts_id: 10, posts_name: 'first' },
          ])
          expect((await place[act](JOIN))[0]).toEqual([{ id: 10, name: 'first' }])
        }
      }
      expect(await place.one(JOIN, [], { rowsAsArray: true })).toEqual(LIST)
      const rows: object[] = []
      for await (const row of place.stream(JOIN, [], { rowsAsArray: true })) rows.push(row)
      expect(rows).toEqual([LIST])
      expect(await place.transaction((tx) => tx.one(JOIN, [], { nestTables: true }))).toEqual(NESTED)
    }
    const [exact] = await pool.execute('SELECT d6, d0 FROM moments WHERE id = 1', [], { rowsAsArray: true })
    expect(exact).toEqual([['2026-01-02 03:04:05.123456', new Date(second)]])
  })

  const DRIVERS: readonly Readonly<Record<string, unknown>>[] = [
    { rowsAsArray: true },
    { nestTables: true },
    { nestTables: '.' },
    { typeCast: false },
    { typeCast: () => 'cast' },
    { dateStrings: true },
    { namedPlaceholders: true },
    { supportBigNumbers: false, bigNumberStrings: false },
    { decimalNumbers: true },
    { jsonStrings: true },
    { stringifyObjects: true },
    { charset: 'latin1_swedish_ci' },
    { timezone: '+02:00' },
    { disableEval: true },
    { compress: true },
  ]
  for (const driver of DRIVERS) {
    const told = JSON.stringify(driver, (_name, value) =>
      typeof value === 'function' ? 'a function' : value,
    )
    it(`B47 what the driver is told (${told}) changes nothing for the statements of the pool`, async () => {
      const pool = poolOf({
        replicas: [pair.replica.url()],
        driver,
        reads: { probe: 50 },
        slowQuery: 0,
        explain: true,
      })
      const warnings: unknown[] = []
      pool.on('warning', (event) => warnings.push(event))
      const slow = new Promise<unknown>((resolve) => pool.on('slow', ({ plan }) => plan && resolve(plan)))
      // The replica is known, has a position, and serves reads.
      await eventually(() => {
        const [, replica] = pool.stats().nodes
        return replica?.state === 'up' && replica.role === 'read-only' && replica.position !== ''
      })
      await eventually(async () => {
        await pool.query('SELECT COUNT(*) FROM moments')
        return pool.stats().nodes[1]!.acquired > 0
      })
      await pool.query("UPDATE users SET name = IF(name = 'ann', 'bob', 'ann')")
      await pool.query("UPDATE users SET name = 'ann'")
      expect(pool.session({ token: pool.stats().nodes[0]!.position }).token).toMatch(/^0-1-\d+$/)
      expect(await slow).toMatchObject([{ table: 'moments' }])
      // A statement that is stopped is stopped, and its connection stays.
      await expect(pool.query('SELECT SLEEP(20)', [], { timeout: 100 })).rejects.toMatchObject({
        outcome: 'none',
      })
      if (typeof driver.typeCast !== 'function' && driver.typeCast !== false) {
        const byId = pool.loader<RowDataPacket, LoaderKey>({ table: 'users' })
        expect(await byId.loadMany([1, 2])).toEqual([{ id: 1, name: 'ann' }, undefined])
        const byName = pool.loader<RowDataPacket, LoaderKey>({ table: 'users', key: 'name' })
        expect(await byName.loadMany(['ann', 'ANN', 'bob'])).toMatchObject([{ id: 1 }, { id: 1 }, undefined])
      }
      expect(warnings).toEqual([])
    })
  }

  it('B47 what the driver is told holds for the statements of the user', async () => {
    expect((await poolOf({ driver: { rowsAsArray: true } }).query(JOIN))[0]).toEqual([LIST])
    expect((await poolOf({ driver: { nestTables: true } }).execute(JOIN))[0]).toEqual([NESTED])
    const other = poolOf({ driver: { rowsAsArray: true } })
    expect((await other.execute(JOIN, [], { rowsAsArray: false }))[0]).toEqual([{ id: 10, name: 'first' }])
  })
})

describe('a call in the form of another library', () => {
  it('B53 is refused by an error that says what to do', async () => {
    const pool = poolOf()
    const called: unknown[] = []
    const callback = (...all: unknown[]) => called.push(all)
    const calls: ((place: never) => unknown)[] = [
      (place: MysqlPool) => place.query({ sql: 'SELECT 1' } as never),
      (place: MysqlPool) => place.execute({ sql: 'SELECT ?', values: [1] } as never),
      (place: MysqlPool) => place.query(undefined as never),
      (place: MysqlPool) => place.query(null as never),
      (place: MysqlPool) => place.query(7 as never),
      (place: MysqlPool) => place.query(['SELECT 1'] as never),
      (place: MysqlPool) => place.one(Symbol('x') as never),
      (place: MysqlPool) => place.query('SELECT 1', callback as never),
      (place: MysqlPool) => place.query('SELECT ?', [1], callback as never),
      (place: MysqlPool) => place.execute('SELECT 1', callback as never),
      (place: MysqlPool) => place.one('SELECT 1', [], callback as never),
      (place: MysqlPool) => place.query('SELECT :a', { a: 1 } as never),
    ] as never
    const refused = {
      name: 'TypeError',
      code: expect.stringMatching(/^ERR_MYSQL_(STATEMENT|PARAMETER)$/),
      message: expect.not.stringContaining('slice'),
    }
    for (const call of calls) {
      await expect(call(pool as never)).rejects.toMatchObject(refused)
      await expect(call(pool.session() as never)).rejects.toMatchObject(refused)
      await expect(pool.transaction(async (tx) => call(tx as never))).rejects.toMatchObject(refused)
      await expect(pool.withConnection(async (c) => call(c as never))).rejects.toMatchObject(refused)
    }
    await expect(pool.stream({ sql: 'SELECT 1' } as never).next()).rejects.toMatchObject(refused)
    await expect(pool.stream('SELECT 1', callback as never).next()).rejects.toMatchObject(refused)
    expect(called).toEqual([])
  })
})
