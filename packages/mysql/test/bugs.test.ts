import { createServer, type Server, type Socket } from 'node:net'
import { eventually, type FaultProxy, type MariadbServer, startMariadb, startProxy } from '@spillway/testkit'
import type { ResultSetHeader, RowDataPacket } from 'mysql2'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  MysqlAcquireTimeoutError,
  MysqlConnectionLostError,
  MysqlOverloadedError,
  MysqlPool,
  type MysqlPoolOptions,
  MysqlTimeoutError,
  type Transaction,
} from '../src/index.js'

let server: MariadbServer
const open: MysqlPool[] = []

function poolOf(options: MysqlPoolOptions = {}): MysqlPool {
  const pool = new MysqlPool({ uri: server.url(), ...options })
  open.push(pool)
  return pool
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`it should have failed, and gave ${JSON.stringify(value)}`)
    },
    (error: unknown) => error,
  )
}

function latch(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** Keeps a connection until it is told to give it back. */
async function hold(pool: MysqlPool, sql = 'SELECT 1'): Promise<() => Promise<void>> {
  const taken = latch()
  const back = latch()
  const held = pool.withConnection(async (connection) => {
    await connection.query(sql)
    taken.open()
    await back.opened
  })
  await taken.opened
  return () => {
    back.open()
    return held
  }
}

beforeAll(async () => {
  server = await startMariadb()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  for (const pool of open.splice(0)) await pool.close({ timeout: 0 })
  await server.query(
    'DROP TABLE IF EXISTS t',
    'CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, note VARCHAR(100))',
  )
})
afterAll(async () => {
  for (const pool of open.splice(0)) await pool.close({ timeout: 0 })
})

describe('waiting for a connection', () => {
  it('B1 an exhausted pool answers at acquireTimeout, names the holder, and forgets the waiter', async () => {
    const pool = poolOf({ connectionLimit: 1, acquireTimeout: 1_000 })
    const giveBack = await hold(pool, 'SELECT 42')
    const error = await rejection(pool.query('SELECT 1'))
    expect(error).toBeInstanceOf(MysqlAcquireTimeoutError)
    const { holders, ...rest } = error as MysqlAcquireTimeoutError
    expect(rest).toMatchObject({
      code: 'ERR_MYSQL_ACQUIRE_TIMEOUT',
      status: 503,
      active: 1,
      idle: 0,
      waiting: 0,
    })
    expect(rest.headers).toHaveProperty('Retry-After')
    expect(holders).toHaveLength(1)
    expect(holders[0]).toMatchObject({ sql: 'SELECT 42', inTransaction: false })
    expect(holders[0]!.stack).toContain('bugs.test')
    await giveBack()
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
    expect(pool.stats()).toMatchObject({ waiting: 0, active: 0 })
  })

  it('B2 a connection that is held too long is reported once, with the place that took it', async () => {
    const pool = poolOf({ connectionLimit: 1, leakAfter: 50 })
    const leaks: { sql: string | undefined; stack: string | undefined }[] = []
    pool.on('leak', (leak) => leaks.push(leak))
    const giveBack = await hold(pool, 'SELECT 7')
    await eventually(() => leaks.length > 0)
    // Several more rounds of the check pass meanwhile.
    await server.query('SELECT SLEEP(0.3)')
    expect(leaks).toHaveLength(1)
    expect(leaks[0]).toMatchObject({ sql: 'SELECT 7' })
    expect(leaks[0]!.stack).toContain('bugs.test')
    await giveBack()
    expect(pool.stats().leaks).toBe(1)
  })

  it('B6 a refusal for overload changes nothing in the health of the server', async () => {
    const pool = poolOf({ connectionLimit: 1, queueLimit: 1 })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => pool.query('SELECT SLEEP(0.1)')),
    )
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    expect(refused).toHaveLength(8)
    for (const { reason } of refused) {
      expect(reason).toBeInstanceOf(MysqlOverloadedError)
      expect(reason).toMatchObject({ code: 'ERR_MYSQL_QUEUE_FULL', status: 503 })
    }
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('refuses at once when no connection is free, with waitForConnections: false', async () => {
    const pool = poolOf({ connectionLimit: 1, waitForConnections: false })
    const giveBack = await hold(pool)
    expect(await rejection(pool.query('SELECT 1'))).toMatchObject({ code: 'ERR_MYSQL_QUEUE_FULL' })
    await giveBack()
  })

  it('refuses early what would have to wait longer than it can', async () => {
    const pool = poolOf({ connectionLimit: 1, acquireTimeout: '10s' })
    for (let i = 0; i < 25; i++) await pool.query('SELECT SLEEP(0.02)')
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, () => pool.query('SELECT SLEEP(0.02)', [], { timeout: 300 })),
    )
    const codes = outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'ok'))
    expect(codes).toContain('ok')
    expect(codes).toContain('ERR_MYSQL_OVERLOADED')
  })

  it('B23 a query on the pool inside a transaction of it is refused, joined or allowed, by option', async () => {
    const strict = poolOf({ connectionLimit: 1, acquireTimeout: 2_000 })
    expect(await rejection(strict.transaction(() => strict.query('SELECT 1')))).toMatchObject({
      code: 'ERR_MYSQL_OUTSIDE_TRANSACTION',
    })
    const joining = poolOf({ connectionLimit: 1, acquireTimeout: 2_000, insideTransaction: 'join' })
    await rejection(
      joining.transaction(async () => {
        await joining.execute('INSERT INTO t (id, n) VALUES (1, 1)')
        throw new Error('undo')
      }),
    )
    expect(await joining.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 0 })
    const lax = poolOf({ connectionLimit: 1, acquireTimeout: 1_000, insideTransaction: 'allow' })
    const error = await rejection(lax.transaction(() => lax.query('SELECT 1')))
    expect(error).toBeInstanceOf(MysqlAcquireTimeoutError)
    expect((error as MysqlAcquireTimeoutError).holders[0]!.inTransaction).toBe(true)
    expect(await lax.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('B27 stats tell how many wait, and how long that takes', async () => {
    const pool = poolOf({ connectionLimit: 1 })
    const giveBack = await hold(pool)
    const waiting = [1, 2, 3].map((n) => pool.query('SELECT ?', [n]))
    expect(pool.stats()).toMatchObject({ active: 1, idle: 0, waiting: 3, limit: 1 })
    await server.query('SELECT SLEEP(0.02)')
    await giveBack()
    await Promise.all(waiting)
    const { nodes, queries } = pool.stats()
    expect(queries).toBe(4)
    expect(nodes[0]).toMatchObject({ waiting: 0, acquired: 4 })
    expect(nodes[0]!.waitP99Ms).toBeGreaterThan(10)
  })

  it('B29 who waits for a server that does not answer fails together, not one after the other', async () => {
    const sockets = new Set<Socket>()
    const hole: Server = createServer((socket) => sockets.add(socket.on('error', () => {})))
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve))
    const { port } = hole.address() as { port: number }
    const pool = poolOf({
      uri: `mysql://root@127.0.0.1:${port}/test`,
      connectionLimit: 2,
      connectTimeout: 300,
    })
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => pool.query('SELECT 1')))
    for (const one of outcomes)
      expect(one).toMatchObject({ reason: { code: 'ERR_MYSQL_UNAVAILABLE', status: 503 } })
    // Two connections were tried at once: five times two would have been more.
    expect(sockets.size).toBeLessThanOrEqual(4)
    for (const socket of sockets) socket.destroy()
    hole.close()
  })
})

describe('deadlines', () => {
  it('B14 a statement over time is stopped on the server; its connection and its transaction live on', async () => {
    const pool = poolOf({ connectionLimit: 1 })
    await pool.transaction(async (tx) => {
      await tx.execute('INSERT INTO t (id, n) VALUES (1, 1)')
      const before = tx.threadId
      const error = await rejection(tx.query('SELECT SLEEP(20)', [], { timeout: 200 }))
      expect(error).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'run', outcome: 'none' })
      const [sleeping] = await server.query(
        "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(20)%' AND info NOT LIKE '%processlist%'",
      )
      expect(sleeping).toEqual([])
      expect(tx.threadId).toBe(before)
      await tx.execute('INSERT INTO t (id, n) VALUES (2, 2)')
    })
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 2 })
  })

  it('B14 a write whose preparation took all its time is not run any more', async () => {
    const pool = poolOf({ connectionLimit: 1, killGrace: '20s' })
    // The connection for kills is there from now on.
    await rejection(pool.query('SELECT SLEEP(20)', [], { timeout: 50 }))
    await server.pause()
    const asked = rejection(pool.execute('INSERT INTO t (id, n) VALUES (?, 1)', [1], { timeout: 100 }))
    try {
      await eventually(() => pool.stats().nodes[0]!.kills === 2)
    } finally {
      await server.resume()
    }
    expect(await asked).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'run', outcome: 'none' })
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 0 })
    // Prepared it is, and the connection is as good as before.
    await pool.execute('INSERT INTO t (id, n) VALUES (?, 1)', [2])
    expect(await pool.one('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 1 })
    expect(pool.stats().nodes[0]).toMatchObject({ lost: 0 })
  })

  it('an aborted statement rejects with the reason of its signal, and is stopped on the server', async () => {
    const pool = poolOf({ connectionLimit: 1 })
    await pool.query('SELECT 1')
    const controller = new AbortController()
    const reason = new Error('nobody wants it any more')
    const asked = rejection(pool.query('SELECT SLEEP(21)', [], { signal: controller.signal }))
    await eventually(async () => {
      const [rows] = await server.query(
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
    const pool = poolOf({ connectionLimit: 1 })
    const giveBack = await hold(pool)
    const asked = rejection(pool.query('SELECT 1', [], { signal: AbortSignal.timeout(20) }))
    expect(pool.stats().waiting).toBe(1)
    expect(await asked).toMatchObject({ name: 'TimeoutError' })
    expect(pool.stats().waiting).toBe(0)
    await giveBack()
  })

  it('a kill never hits the next statement: 600 statements that end at their deadline', async () => {
    const pool = poolOf({ connectionLimit: 4, killGrace: '5s' })
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

describe('a network that swallows bytes', () => {
  let proxy: FaultProxy
  beforeEach(async () => {
    proxy = await startProxy({ target: server })
    return () => proxy.close()
  })
  const through = (options: MysqlPoolOptions = {}) =>
    poolOf({
      uri: `mysql://root@127.0.0.1:${proxy.port}/test`,
      connectionLimit: 2,
      timeout: 300,
      killGrace: 100,
      connectTimeout: 500,
      ...options,
    })

  /** Both connections are there and work, however slow the machine is. */
  const working = (pool: MysqlPool) =>
    eventually(() =>
      Promise.all([1, 2].map(() => pool.query('SELECT 1', [], { timeout: '10s' }))).then(
        () => true,
        () => false,
      ),
    )

  it('every call ends, running or waiting, and the pool is whole afterwards', async () => {
    const pool = through()
    await working(pool)
    await proxy.stall()
    const errors = await Promise.all(Array.from({ length: 6 }, () => rejection(pool.query('SELECT 1'))))
    for (const error of errors)
      expect((error as { code: string }).code).toMatch(/^ERR_MYSQL_(TIMEOUT|ACQUIRE_TIMEOUT|UNAVAILABLE)$/)
    await proxy.pass()
    await working(pool)
    expect(pool.stats()).toMatchObject({ active: 0, waiting: 0 })
  })

  it('B21 a stream over it ends', async () => {
    const pool = through()
    await working(pool)
    let seen = 0
    const error = await rejection(
      (async () => {
        for await (const _ of pool.stream('SELECT seq, REPEAT("x", 500) AS text FROM seq_1_to_300000')) {
          if (++seen === 100) await proxy.stall()
        }
      })(),
    )
    expect(error).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'stream' })
    await proxy.pass()
    expect(await pool.one('SELECT 1 AS one', [], { timeout: '10s' })).toEqual({ one: 1 })
  })

  it('B21 a stream whose connection is reset ends with a typed error', async () => {
    const pool = through({ timeout: '10s' })
    await pool.query('SELECT 1')
    let seen = 0
    const error = await rejection(
      (async () => {
        for await (const _ of pool.stream('SELECT seq, REPEAT("x", 500) AS text FROM seq_1_to_300000')) {
          if (++seen === 100) proxy.dropConnections()
        }
      })(),
    )
    expect(error).toBeInstanceOf(MysqlConnectionLostError)
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('B3 a read on an idle connection that was reset meanwhile is answered', async () => {
    const pool = through({ timeout: '10s', control: false })
    await pool.query('SELECT 1')
    proxy.dropConnections()
    expect(await pool.one('SELECT 5 AS five')).toEqual({ five: 5 })
  })
})

it('B3 a connection that the server closed for being idle is not used', async () => {
  const pool = poolOf({ connectionLimit: 1 })
  const [[first]] = await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id')
  await server.query(`KILL ${first!.id}`)
  await eventually(() => pool.stats().nodes[0]!.lost === 1)
  const [[second]] = await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id')
  expect(second!.id).not.toBe(first!.id)
})

it('B3 a connection that was idle for long is asked before it is used', async () => {
  const proxy = await startProxy({ target: server })
  try {
    const uri = `mysql://root@127.0.0.1:${proxy.port}/test`
    const pool = poolOf({ uri, connectionLimit: 1, validateAfterIdle: 0, killGrace: 100, control: false })
    const result = await pool.execute<ResultSetHeader>('INSERT INTO t (id, n) VALUES (1, 1)')
    expect(result[0].affectedRows).toBe(1)
    await proxy.stall()
    const write = pool.execute('INSERT INTO t (id, n) VALUES (2, 2)')
    // The old connection does not answer the question, so the write goes over a new one.
    await eventually(() => pool.stats().nodes[0]!.lost === 1)
    await proxy.pass()
    proxy.dropConnections()
    const outcome = await write.then(
      () => 'written',
      (error: { code: string }) => error.code,
    )
    const row = await poolOf().one('SELECT COUNT(*) AS n FROM t WHERE id = 2')
    expect([outcome, row]).toEqual(
      outcome === 'written' ? ['written', { n: 1 }] : ['ERR_MYSQL_UNAVAILABLE', { n: 0 }],
    )
  } finally {
    await proxy.close()
  }
})

describe('prepared statements', () => {
  it('B7 lists of all lengths stay within the budget of the process', async () => {
    const [[old]] = (await server.query('SELECT @@global.max_prepared_stmt_count AS n')) as [RowDataPacket[]]
    await server.query('SET GLOBAL max_prepared_stmt_count = 200')
    try {
      const pool = poolOf({ connectionLimit: 4 })
      await Promise.all([1, 2, 3, 4].map(() => pool.query('SELECT SLEEP(0.02)')))
      for (let length = 1; length <= 400; length++) {
        const list = Array.from({ length }, (_, i) => i)
        await Promise.all([
          pool.execute(`SELECT ${length} FROM DUAL WHERE 1 IN (?)`, [list]),
          pool.execute('SELECT 1 FROM DUAL WHERE 1 IN (?)', [list]),
        ])
      }
      const [rows] = await server.query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
      expect(Number(rows![0]!.Value)).toBeLessThanOrEqual(50)
    } finally {
      await server.query(`SET GLOBAL max_prepared_stmt_count = ${old!.n}`)
    }
  })

  it('B7 a server without room for any is asked in text', async () => {
    await server.query('SET GLOBAL max_prepared_stmt_count = 0')
    try {
      expect(await poolOf().one('SELECT ? AS n', [5])).toEqual({ n: 5 })
    } finally {
      await server.query('SET GLOBAL max_prepared_stmt_count = 16382')
    }
  })

  it('B8 a list in a prepared statement is expanded, and an empty one refused', async () => {
    const pool = poolOf()
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
    const pool = poolOf()
    const [rows] = await pool.execute<RowDataPacket[]>('SELECT seq FROM seq_1_to_10 LIMIT ?', [3])
    expect(rows).toHaveLength(3)
  })
})

describe('values', () => {
  it('B9 big integers, decimals and insert ids are exact', async () => {
    await server.query(
      'DROP TABLE IF EXISTS big',
      'CREATE TABLE big (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, b BIGINT, d DECIMAL(30, 10)) AUTO_INCREMENT = 9007199254740995',
    )
    for (const method of ['query', 'execute'] as const) {
      const pool = poolOf()
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
      const exact = poolOf({ bigint: 'bigint' })
      const [[big]] = await exact[method]<RowDataPacket[]>('SELECT b FROM big LIMIT 1')
      expect(big).toEqual({ b: 9007199254740993n })
      const [[text]] = await poolOf({ bigint: 'string' })[method]<RowDataPacket[]>(
        'SELECT COUNT(*) AS n FROM seq_1_to_5',
      )
      expect(text).toEqual({ n: '5' })
    }
  })

  it('B17 an object, NaN or undefined as a value is refused before anything is sent, with its index', async () => {
    const pool = poolOf()
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
    await server.query(
      'DROP TABLE IF EXISTS dates',
      'CREATE TABLE dates (id INT PRIMARY KEY, d DATE, dt DATETIME(3), ts TIMESTAMP(3) NULL)',
    )
    const instant = new Date('2026-03-29T01:30:00.250Z')
    const pool = poolOf()
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
    const pool = poolOf()
    const error = await rejection(pool.query('INSERT INTO t (id, nope) VALUES (?, ?)', [1, 'a secret']))
    expect(error).toMatchObject({ errno: 1054, sql: 'INSERT INTO t (id, nope) VALUES (?, ?)' })
    expect(JSON.stringify(Object.entries(error as object)) + String(error)).not.toContain('a secret')
    const wrong = poolOf({ uri: `mysql://nobody:hush@127.0.0.1:${server.port}/test` })
    const denied = await rejection(wrong.query('SELECT 1'))
    expect(denied).toMatchObject({ errno: 1045 })
    expect(JSON.stringify(Object.entries(denied as object)) + String(denied)).not.toContain('hush')
  })

  it('several statements in one text need the option with unsafe in its name', async () => {
    expect(await rejection(poolOf().query('SELECT 1; SELECT 2'))).toMatchObject({ errno: 1064 })
    const [results] = await poolOf({ unsafeMultipleStatements: true }).query('SELECT 1 AS a; SELECT 2 AS b')
    expect(results).toEqual([[{ a: 1 }], [{ b: 2 }]])
  })
})

describe('sessions', () => {
  it('B11 the next user gets a clean session: variables, modes, tables, locks and transactions are gone', async () => {
    const pool = poolOf({ connectionLimit: 1 })
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
    const [free] = await server.query("SELECT IS_FREE_LOCK('spillway-test') AS free")
    expect(free).toEqual([{ free: 1 }])
    const [count] = await server.query('SELECT COUNT(*) AS n FROM t')
    expect(count).toEqual([{ n: 0 }])
    expect(warnings.join()).toContain('rolled back')
    expect(pool.stats().nodes[0]).toMatchObject({ rollbacks: 1 })
  })

  it('B11 a session keeps its character set over being cleaned', async () => {
    const pool = poolOf({ connectionLimit: 1 })
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
    const pool = poolOf({ connectionLimit: 1 })
    await pool.query('SELECT 1')
    await pool.execute('INSERT INTO t (id, n) VALUES (1, 1)')
    await pool.transaction((tx) => tx.execute('UPDATE t SET n = n + 1'))
    await pool.transaction((tx) => tx.execute('SELECT 1'), { isolation: 'serializable', readOnly: true })
    expect(pool.stats().nodes[0]).toMatchObject({ resets: 0 })
    expect(await pool.one('SELECT @@tx_isolation AS level')).toEqual({ level: 'REPEATABLE-READ' })
  })

  it('B12 a transaction in a transaction is a savepoint', async () => {
    const pool = poolOf()
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
    const pool = poolOf()
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
    await server.query(
      'INSERT INTO t (id, n) VALUES (1, 0), (2, 0)',
      'DROP TABLE IF EXISTS log',
      'CREATE TABLE log (who CHAR(1), step INT)',
    )
    const pool = poolOf()
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
    await server.query('INSERT INTO t (id, n) VALUES (1, 0), (2, 0), (3, 0)')
    const pool = poolOf()
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
    const pool = poolOf()
    let runs = 0
    const work = (tx: Transaction) => async () => {
      runs++
      await tx.execute('INSERT INTO t (id, n) VALUES (1, 1)')
      if (runs === 1) await server.query(`KILL ${tx.threadId}`)
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

describe('the end', () => {
  it('B19 drain lets a transaction commit, and what waits run', async () => {
    const pool = poolOf({ connectionLimit: 1 })
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
    const pool = poolOf({ connectionLimit: 2 })
    await pool.query('SELECT 1')
    const slow = rejection(pool.query('SELECT SLEEP(22)'))
    await eventually(async () => {
      const [rows] = await server.query(
        "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(22)'",
      )
      return rows!.length === 1
    })
    expect(await pool.drain({ timeout: 50 })).toEqual({ finished: false, killed: 1, destroyed: 1 })
    expect(await slow).toBeInstanceOf(Error)
    const [rows] = await server.query(
      "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(22)'",
    )
    expect(rows).toEqual([])
  })

  it('B20 leaving a stream early frees its connection soon', async () => {
    const pool = poolOf({ connectionLimit: 1 })
    let seen = 0
    for await (const _ of pool.stream('SELECT seq, REPEAT("x", 1000) AS text FROM seq_1_to_300000')) {
      if (++seen === 10) break
    }
    const [[row]] = await pool.query<RowDataPacket[]>('SELECT 1 AS one', [], { timeout: '5s' })
    expect(row).toEqual({ one: 1 })
    expect(pool.stats().nodes[0]).toMatchObject({ kills: 1, lost: 0 })
  })

  it('B20 a slow reader holds the server back instead of filling the memory', async () => {
    const pool = poolOf({ connectionLimit: 1 })
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
