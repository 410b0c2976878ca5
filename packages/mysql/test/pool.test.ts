import { type MariadbServer, startMariadb } from '@spillway/testkit'
import type { ResultSetHeader, RowDataPacket } from 'mysql2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MysqlPool, MysqlTimeoutError } from '../src/index.js'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
  await server.query('CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100))')
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('MysqlPool', () => {
  it('answers in the shapes of mysql2', async () => {
    await using pool = new MysqlPool(server.url())
    const [inserted] = await pool.execute<ResultSetHeader>('INSERT INTO t (name) VALUES (?)', ['ann'])
    expect(inserted.affectedRows).toBe(1)
    const [rows, fields] = await pool.query<RowDataPacket[]>('SELECT id, name FROM t WHERE id = ?', [
      inserted.insertId,
    ])
    expect(rows).toEqual([{ id: inserted.insertId, name: 'ann' }])
    expect(fields.map(({ name }) => name)).toEqual(['id', 'name'])
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
    expect(await pool.one('SELECT 1 FROM t WHERE id = -1')).toBeUndefined()
  })

  it('stops a statement on the server at its deadline, and goes on with the same connection', async () => {
    await using pool = new MysqlPool({ uri: server.url(), connectionLimit: 1, timeout: 200 })
    const [[before]] = await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id')
    const error = await pool.query('SELECT SLEEP(20)').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(MysqlTimeoutError)
    expect(error).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', status: 504, phase: 'run', outcome: 'none' })
    const [[after]] = await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id', [], { timeout: '5s' })
    expect(after!.id).toBe(before!.id)
    const [sleeping] = await server.query(
      "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'",
    )
    expect(sleeping).toEqual([])
  })

  it('commits what returns and rolls back what throws', async () => {
    await using pool = new MysqlPool(server.url())
    await pool.transaction((tx) => tx.execute('INSERT INTO t (name) VALUES (?)', ['kept']))
    const mistake = new Error('mistake')
    await expect(
      pool.transaction(async (tx) => {
        await tx.execute('INSERT INTO t (name) VALUES (?)', ['undone'])
        throw mistake
      }),
    ).rejects.toBe(mistake)
    const [rows] = await pool.query<RowDataPacket[]>("SELECT name FROM t WHERE name IN ('kept', 'undone')")
    expect(rows).toEqual([{ name: 'kept' }])
  })

  it('streams rows', async () => {
    await using pool = new MysqlPool({ uri: server.url(), connectionLimit: 1 })
    const seen: unknown[] = []
    for await (const { seq } of pool.stream('SELECT seq FROM seq_1_to_100000')) {
      seen.push(seq)
      if (seen.length === 10) break
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(await pool.one('SELECT 1 AS one')).toEqual({ one: 1 })
    let count = 0
    for await (const _ of pool.stream('SELECT seq FROM seq_1_to_5000')) count++
    expect(count).toBe(5_000)
  })
})
