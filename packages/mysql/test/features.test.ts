import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { eventually, type MariadbServer, startMariadb } from '@spillway/testkit'
import type { RowDataPacket } from 'mysql2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MysqlPool, rendezvous, ShardedMysql, type SlowEvent } from '../src/index.js'

let server: MariadbServer
let pool: MysqlPool

beforeAll(async () => {
  server = await startMariadb()
  await server.query(
    'CREATE TABLE city (id INT PRIMARY KEY, name VARCHAR(50))',
    "INSERT INTO city SELECT seq, CONCAT('city ', seq) FROM seq_1_to_1000",
    'CREATE TABLE word (word VARCHAR(50) COLLATE utf8mb4_unicode_ci PRIMARY KEY, n BIGINT)',
    "INSERT INTO word VALUES ('Ann', 1), ('Zoë', 9007199254740993)",
  )
  pool = new MysqlPool({ uri: server.url(), connectionLimit: 4 })
})
afterAll(async () => {
  await pool?.close({ timeout: 0 })
  await server?.[Symbol.asyncDispose]()
})

describe('the loader', () => {
  it('makes one query of all lookups of a turn, each key once, and keeps their order', async () => {
    const cities = pool.loader<{ id: number; name: string }, number>({ table: 'city' })
    const before = pool.stats().queries
    const keys = [5, 3, 5, 2_000, 900, 3]
    const rows = await cities.loadMany(keys)
    expect(rows.map((row) => row?.id)).toEqual([5, 3, 5, undefined, 900, 3])
    expect(pool.stats().queries).toBe(before + 1)
    await Promise.all([cities.load(1), Promise.resolve().then(() => cities.load(2))])
    expect(pool.stats().queries).toBe(before + 2)
  })

  it('splits what is too much, and fails those who asked', async () => {
    const cities = pool.loader<{ id: number }, number>({ table: 'city', columns: ['name'], maxBatch: 100 })
    const before = pool.stats().queries
    const rows = await cities.loadMany(Array.from({ length: 250 }, (_, i) => i + 1))
    expect(rows.map((row) => row!.id)).toEqual(Array.from({ length: 250 }, (_, i) => i + 1))
    expect(pool.stats().queries).toBe(before + 3)
    const nowhere = pool.loader({ table: 'nowhere' })
    const outcomes = await Promise.allSettled([nowhere.load(1), nowhere.load(2)])
    for (const one of outcomes) expect(one).toMatchObject({ status: 'rejected', reason: { errno: 1146 } })
  })

  it('finds keys as the collation does', async () => {
    const words = pool.loader<{ word: string; n: string | number }, string>({ table: 'word', key: 'word' })
    const [ann, zoe, none] = await words.loadMany(['ANN', 'zoe', 'bob'])
    expect([ann?.word, zoe?.word, none]).toEqual(['Ann', 'Zoë', undefined])
    expect(zoe?.n).toBe('9007199254740993')
  })
})

describe('a stream', () => {
  const numbers = 'SELECT seq FROM seq_1_to_1000'
  const done = { done: true, value: undefined }
  const single = () => new MysqlPool({ uri: server.url(), connectionLimit: 1 })

  it('keeps the order of steps that are asked for at once, and stays at its end', async () => {
    await using own = single()
    const rows = own.stream<{ seq: number }>('SELECT seq FROM seq_1_to_3')
    const steps = await Promise.all(Array.from({ length: 6 }, () => rows.next()))
    expect(steps.map((step) => step.value?.seq)).toEqual([1, 2, 3, undefined, undefined, undefined])
    expect(steps.map((step) => step.done)).toEqual([false, false, false, true, true, true])
    expect(await rows.next()).toEqual(done)
    expect(own.stats()).toMatchObject({ active: 0 })
  })

  it('asks nothing before its first step, and nothing more after its last', async () => {
    await using own = single()
    const unused = own.stream(numbers)
    expect(await unused.return()).toEqual(done)
    expect(await unused.next()).toEqual(done)
    expect(own.stats().nodes[0]).toMatchObject({ opened: 0 })
    const mistake = new Error('mistake')
    const rows = own.stream(numbers)
    await rows.next()
    await expect(rows.throw(mistake)).rejects.toBe(mistake)
    expect(await rows.next()).toEqual(done)
    {
      await using scoped = own.stream(numbers)
      await scoped.next()
    }
    // Each has given its connection back, or the only one could not be used.
    expect(await own.one('SELECT 1 AS one', [], { timeout: '5s' })).toEqual({ one: 1 })
  })

  it('ends with the reason of its signal at once, whatever has been read ahead', async () => {
    await using own = single()
    const controller = new AbortController()
    const reason = new Error('nobody reads on')
    const rows = own.stream(numbers, [], { signal: controller.signal, readAhead: 500 })
    await rows.next()
    controller.abort(reason)
    await expect(rows.next()).rejects.toBe(reason)
    expect(await rows.next()).toEqual(done)
    expect(await own.one('SELECT 1 AS one', [], { timeout: '5s' })).toEqual({ one: 1 })
  })

  it('rejects its first step when it cannot begin, and the one that meets an error', async () => {
    await using own = single()
    await expect(own.stream(numbers, [], { readAhead: 0 }).next()).rejects.toMatchObject({
      code: 'ERR_MYSQL_OPTION',
      message: expect.stringContaining('readAhead'),
    })
    await expect(own.stream('BEGIN').next()).rejects.toMatchObject({ code: 'ERR_MYSQL_STATEMENT' })
    await expect(own.stream('SELECT ?').next()).rejects.toMatchObject({ code: 'ERR_MYSQL_PARAMETER' })
    await expect(own.stream('SELECT nope').next()).rejects.toMatchObject({ errno: 1054, sql: 'SELECT nope' })
    await own.transaction(() =>
      expect(own.stream(numbers).next()).rejects.toMatchObject({ code: 'ERR_MYSQL_OUTSIDE_TRANSACTION' }),
    )
    // Fails on its way, after many rows.
    let seen = 0
    const failing = async () => {
      for await (const _ of own.stream(
        'SELECT seq, IF(seq < 50000, 1, (SELECT 1 UNION ALL SELECT seq)) AS n FROM seq_1_to_60000',
      ))
        seen++
    }
    await expect(failing()).rejects.toMatchObject({ errno: 1242 })
    expect(seen).toBeLessThan(50_000)
    expect(own.stats().nodes[0]).toMatchObject({ kills: 0, lost: 0 })
    expect(await own.one('SELECT 1 AS one')).toEqual({ one: 1 })
  })
})

describe('shards', () => {
  it('each key has its home; all are asked together; a transaction stays in one', async () => {
    await server.query('CREATE DATABASE s1', 'CREATE DATABASE s2', 'CREATE DATABASE s3')
    const names = ['s1', 's2', 's3']
    const shards = new ShardedMysql({
      shards: Object.fromEntries(names.map((name) => [name, server.url('root', name)])),
      concurrency: 2,
    })
    try {
      await shards.all((shard) => shard.query('CREATE TABLE item (id INT PRIMARY KEY, n INT)'))
      for (let id = 1; id <= 30; id++)
        await shards.forKey(id).execute('INSERT INTO item VALUES (?, ?)', [id, 31 - id])
      const top = await shards.gather<{ id: number; n: number }>(
        async (shard) =>
          (await shard.query<RowDataPacket[]>('SELECT id, n FROM item'))[0] as unknown as {
            id: number
            n: number
          }[],
        { sort: (a, b) => a.n - b.n, limit: 3 },
      )
      expect(top.map(({ id }) => id)).toEqual([30, 29, 28])
      for (const [name, ids] of shards.groupByShard([1, 2, 3, 4, 5, 6])) {
        for (const id of ids) expect(rendezvous(id, names)).toBe(name)
        const [rows] = await shards
          .shard(name)
          .query<RowDataPacket[]>('SELECT id FROM item WHERE id IN (?)', [ids])
        expect(rows).toHaveLength(ids.length)
      }
      const [one, other] = names.map((name) => shards.shard(name))
      const error = await one!.transaction(() => other!.query('SELECT 1')).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'ERR_MYSQL_CROSS_SHARD' })
      let asked = 0
      const failing = shards.all(
        async (_shard, name) => {
          asked++
          if (name === 's1') throw new Error('first')
          return name
        },
        { concurrency: 1 },
      )
      await expect(failing).rejects.toThrow('first')
      expect(asked).toBe(1)
    } finally {
      await shards.close()
    }
  })
})

describe('insight', () => {
  it('counts by form of statement, and sums up what is too much', async () => {
    await using own = new MysqlPool({ uri: server.url(), statementStats: 2 })
    for (const id of [1, 2, 3]) await own.query(`SELECT name FROM city WHERE id = ${id}`)
    await own.execute('SELECT name FROM city WHERE id = ?', [4])
    await own.query('SELECT nope FROM city').catch(() => {})
    await own.query('SELECT 1')
    await own.query('SELECT 1 + 1')
    const { statements } = own.stats()
    const first = statements.find(({ statement }) => statement === 'SELECT NAME FROM CITY WHERE ID = ?')
    expect(first).toMatchObject({ count: 4, rows: 4, errors: 0 })
    expect(first!.p99Ms).toBeGreaterThan(0)
    expect(statements.find(({ statement }) => statement === 'SELECT NOPE FROM CITY')).toMatchObject({
      errors: 1,
    })
    expect(statements.find(({ statement }) => statement === '(others)')).toMatchObject({ count: 2 })
    expect(statements).toHaveLength(3)
  })

  it('explains a slow statement, and says that an index is missing', async () => {
    await using own = new MysqlPool({ uri: server.url(), slowQuery: 0, explain: true })
    const slow: SlowEvent[] = []
    own.on('slow', (event) => slow.push(event))
    await own.execute("SELECT id FROM city WHERE name = ? AND 'secret' = 'secret'", ['city 7'])
    await eventually(() => slow.length === 1)
    expect(slow[0]!.hint).toMatch(/^city is read in full, about \d+ rows: no index fits the condition$/)
    expect(JSON.stringify(slow[0])).not.toContain('secret')
  })

  it("leaves mysql2's own channel of executions to those who trace, and prepares nothing twice for it", async () => {
    await using own = new MysqlPool({ uri: server.url(), connectionLimit: 1 })
    const prepared = async () => {
      const [rows] = await server.query("SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'")
      return Number(rows![0]!.Value)
    }
    await own.execute('SELECT ? AS n', [1])
    const before = await prepared()
    const traced: unknown[] = []
    const listen = (message: unknown) => traced.push((message as { query: unknown }).query)
    subscribe('tracing:mysql2:execute:start', listen)
    try {
      expect(await own.one('SELECT ? AS n', [2])).toEqual({ n: 2 })
    } finally {
      unsubscribe('tracing:mysql2:execute:start', listen)
    }
    expect(await own.one('SELECT ? AS n', [3])).toEqual({ n: 3 })
    expect(traced).toEqual(['SELECT ? AS n'])
    expect(await prepared()).toBe(before)
  })

  it('publishes what it decides on channels', async () => {
    const messages: [string, object][] = []
    const listen = (message: unknown, name: string | symbol) =>
      messages.push([String(name), message as object])
    const names = ['acquire', 'query', 'kill'].map((event) => `spillway:mysql:${event}`)
    for (const name of names) subscribe(name, listen)
    try {
      await using own = new MysqlPool({ uri: server.url(), name: 'own' })
      await own.query("SELECT 'private', SLEEP(20)", [], { timeout: 200 }).catch(() => {})
    } finally {
      for (const name of names) unsubscribe(name, listen)
    }
    const of = (event: string) => messages.find(([name]) => name === `spillway:mysql:${event}`)?.[1]
    expect(of('acquire')).toMatchObject({ pool: 'own', granted: true })
    expect(of('query')).toMatchObject({ statement: 'SELECT ?, SLEEP(?)', rows: 0 })
    expect(of('kill')).toMatchObject({ reason: 'timeout', how: 'stopped' })
    expect(JSON.stringify(messages)).not.toContain('private')
  })
})

it('a pool ages its connections, and keeps as many as it is told', async () => {
  await using own = new MysqlPool({ uri: server.url(), minIdle: 2, maxLifetime: 1_000, idleTimeout: 40 })
  await Promise.all(Array.from({ length: 5 }, () => own.query('SELECT SLEEP(0.05)')))
  await eventually(() => own.stats().idle === 2)
  const { opened } = own.stats().nodes[0]!
  // They are replaced when they are old, without anybody asking for one.
  await eventually(() => own.stats().nodes[0]!.opened > opened)
  await eventually(() => own.stats().idle === 2)
})
