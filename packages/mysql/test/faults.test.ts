import { eventually, type MariadbServer, startMariadb, startProxy } from '@spillway/testkit'
import type { RowDataPacket } from 'mysql2'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MysqlCommitUnknownError, MysqlPool, type MysqlPoolOptions } from '../src/index.js'

/*
 * The failure table of the package. Each fault ends with a typed outcome, nobody waits for ever, and the pool is
 * whole afterwards.
 */

let server: MariadbServer
const open: MysqlPool[] = []

function poolOf(options: MysqlPoolOptions = {}): MysqlPool {
  const pool = new MysqlPool({ uri: server.url(), connectionLimit: 8, ...options })
  open.push(pool)
  return pool
}

async function whole(pool: MysqlPool): Promise<void> {
  await eventually(() =>
    pool.query('SELECT 1', [], { timeout: '5s' }).then(
      () => true,
      () => false,
    ),
  )
  await Promise.all(Array.from({ length: 16 }, () => pool.query('SELECT 1', [], { timeout: '10s' })))
  expect(pool.stats()).toMatchObject({ active: 0, waiting: 0 })
}

/** A number from 0 to 1 that is the same in every run. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

beforeAll(async () => {
  server = await startMariadb({ flushLog: 2, args: ['--max-connections=40'] })
})
afterAll(() => server?.[Symbol.asyncDispose]())
afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close({ timeout: 0 })
})

describe('the primary is killed', () => {
  it('in the middle of transactions and of COMMIT: each is there as a whole or not at all, and is told so', async () => {
    await server.query('DROP TABLE IF EXISTS pairs', 'CREATE TABLE pairs (round INT, worker INT, part INT)')
    const pool = poolOf({ timeout: '10s', retries: 0, killGrace: 100 })
    const rounds = 4
    const outcomes = new Map<string, 'committed' | 'none' | 'unknown'>()
    const strange: unknown[] = []
    for (let round = 0; round < rounds; round++) {
      // After the restart the pool pauses for a moment, in which the workers would fail before they have begun.
      await eventually(() =>
        pool.query('SELECT 1').then(
          () => true,
          () => false,
        ),
      )
      let working = true
      let started = 0
      const workers = Array.from({ length: 6 }, async (_, worker) => {
        for (let turn = 0; working && turn < 10_000; turn++) {
          const id = worker * 10_000 + turn
          const key = `${round}/${id}`
          started++
          try {
            await pool.transaction(async (tx) => {
              await tx.execute('INSERT INTO pairs VALUES (?, ?, 1)', [round, id])
              await tx.execute('INSERT INTO pairs VALUES (?, ?, 2)', [round, id])
            })
            outcomes.set(key, 'committed')
          } catch (error) {
            outcomes.set(key, error instanceof MysqlCommitUnknownError ? 'unknown' : 'none')
            if (
              !/^ERR_MYSQL_(CONNECTION_LOST|UNAVAILABLE|COMMIT_UNKNOWN|TIMEOUT)$/.test(
                (error as { code: string }).code,
              )
            )
              strange.push(error)
            return
          }
        }
      })
      await eventually(() => started > 30)
      await server.kill()
      await eventually(() => pool.stats().active === 0 && pool.stats().waiting === 0)
      working = false
      await Promise.all(workers)
      await server.start()
    }
    expect(strange).toEqual([])
    const [rows] = await server.query(
      'SELECT round, worker, COUNT(*) AS parts FROM pairs GROUP BY round, worker',
    )
    const there = new Map(rows!.map((row) => [`${row.round}/${row.worker}`, Number(row.parts)]))
    for (const parts of there.values()) expect(parts).toBe(2)
    for (const [key, outcome] of outcomes) {
      if (outcome === 'committed') expect(there.has(key), `${key} was acknowledged`).toBe(true)
      if (outcome === 'none') expect(there.has(key), `${key} was denied`).toBe(false)
    }
    expect([...outcomes.values()].filter((one) => one === 'none').length).toBeGreaterThan(0)
    await whole(pool)
  })

  it('and stays away: calls fail at once with 503, and work again when it is back', async () => {
    const pool = poolOf()
    await pool.query('SELECT 1')
    await server.kill()
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => pool.query('SELECT 1')))
    await server.start()
    for (const one of outcomes) {
      expect(one.status).toBe('rejected')
      expect((one as PromiseRejectedResult).reason.code).toMatch(/^ERR_MYSQL_(UNAVAILABLE|CONNECTION_LOST)$/)
    }
    await whole(pool)
  })
})

describe('the server stands still', () => {
  it('every call ends by its deadline, and the pool is whole when it goes on', async () => {
    const pool = poolOf({ timeout: 300, killGrace: 100, connectTimeout: 500 })
    await eventually(() =>
      pool.query('SELECT 1').then(
        () => true,
        () => false,
      ),
    )
    server.pause()
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => pool.query('SELECT 1')))
    server.resume()
    for (const one of outcomes) {
      expect(one.status).toBe('rejected')
      expect((one as PromiseRejectedResult).reason.code).toMatch(
        /^ERR_MYSQL_(TIMEOUT|ACQUIRE_TIMEOUT|UNAVAILABLE|OVERLOADED)$/,
      )
    }
    await whole(pool)
  })
})

describe('connections end', () => {
  it('by the server, as wait_timeout would: the next calls are served, reads and writes', async () => {
    await server.query('DROP TABLE IF EXISTS idle', 'CREATE TABLE idle (n INT)')
    const pool = poolOf({ connectionLimit: 2 })
    await Promise.all([pool.query('SELECT SLEEP(0.05)'), pool.query('SELECT SLEEP(0.05)')])
    const [ids] = (await server.query(
      "SELECT id FROM information_schema.processlist WHERE user = 'root' AND command = 'Sleep'",
    )) as [RowDataPacket[]]
    for (const { id } of ids) await server.query(`KILL ${id}`).catch(() => {})
    await eventually(() => pool.stats().nodes[0]!.lost >= 2)
    await pool.execute('INSERT INTO idle VALUES (1)')
    expect(await pool.one('SELECT COUNT(*) AS n FROM idle')).toEqual({ n: 1 })
    await whole(pool)
  })

  it('by wait_timeout: idle ones are replaced, those to be kept are kept, a transaction ends with a typed error', async () => {
    await server.query('SET GLOBAL wait_timeout = 2')
    try {
      // Knows nothing of the limit, so that the server is first.
      const careless = poolOf({ session: false, connectionLimit: 1, idleTimeout: false })
      const careful = poolOf({ connectionLimit: 1, minIdle: 1, idleTimeout: false, timeout: '5s' })
      const idOf = async (pool: MysqlPool) => (await pool.one('SELECT CONNECTION_ID() AS id'))?.id
      const kept = await idOf(careful)
      const first = await idOf(careless)
      const idle = (pool: MysqlPool) =>
        pool.transaction(
          async (tx) => {
            await tx.query('SELECT 1')
            // Longer than the server waits for it.
            await eventually(() => careless.stats().nodes[0]!.lost >= 1)
            await eventually(() => pool.stats().nodes[0]!.lost >= 1)
            await tx.query('SELECT 2')
          },
          { retries: 0 },
        )
      await expect(idle(poolOf({ connectionLimit: 1 }))).rejects.toMatchObject({
        code: 'ERR_MYSQL_CONNECTION_LOST',
        inTransaction: true,
        outcome: 'none',
      })
      expect(await idOf(careless)).not.toBe(first)
      expect(await idOf(careful)).toBe(kept)
      expect(careful.stats().nodes[0]).toMatchObject({ lost: 0 })
      // The connection for KILL was closed by the server as well.
      const late = await careful
        .query('SELECT SLEEP(30)', [], { timeout: 200 })
        .catch((error: unknown) => error)
      expect(late).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'run', outcome: 'none' })
      expect(await idOf(careful)).toBe(kept)
    } finally {
      await server.query('SET GLOBAL wait_timeout = 28800')
    }
  })

  it('max_connections is reached: nobody fails, the pool goes on with fewer', async () => {
    await server.query('SET GLOBAL max_connections = 12')
    try {
      const pools = [poolOf(), poolOf()]
      const warnings: string[] = []
      for (const pool of pools) pool.on('warning', ({ message }) => warnings.push(message))
      // One of them is enough for a pool to serve everybody.
      for (const pool of pools) await pool.query('SELECT 1')
      const outcomes = await Promise.allSettled(
        pools.flatMap((pool) => Array.from({ length: 40 }, () => pool.query('SELECT SLEEP(0.005)'))),
      )
      expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
      expect(warnings.join()).toContain('takes no more connections')
    } finally {
      const admin = new MysqlPool({ socketPath: server.socketPath, user: 'root', connectionLimit: 1 })
      for (const pool of open.splice(0)) await pool.close({ timeout: 0 })
      await eventually(() =>
        admin.query('SET GLOBAL max_connections = 40').then(
          () => true,
          () => false,
        ),
      )
      await admin.close()
    }
  })
})

describe('the ledger', () => {
  it('10,000 transfers under random faults: every account balances to the last unit', async () => {
    const accounts = 50
    const transfers = 10_000
    await server.query(
      'DROP TABLE IF EXISTS account, entry',
      'CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)',
      'CREATE TABLE entry (transfer INT NOT NULL PRIMARY KEY, source INT NOT NULL, target INT NOT NULL, amount INT NOT NULL)',
      `INSERT INTO account SELECT seq, 1000 FROM seq_1_to_${accounts}`,
    )
    const proxy = await startProxy({ target: server })
    const pool = poolOf({
      uri: `mysql://root@127.0.0.1:${proxy.port}/test`,
      timeout: '5s',
      acquireTimeout: '10s',
      killGrace: 200,
      retries: 20,
    })
    const random = dice(20_261_125)
    let next = 0
    let done = false
    const unknown = new Set<number>()
    const acknowledged = new Set<number>()
    const failed: unknown[] = []

    async function transfer(id: number): Promise<void> {
      const source = 1 + Math.floor(random() * accounts)
      const target = 1 + ((source + Math.floor(random() * (accounts - 1))) % accounts)
      const amount = 1 + Math.floor(random() * 20)
      // In one order, a deadlock would need bad luck; in theirs it comes by itself.
      await pool.transaction(async (tx) => {
        await tx.execute('UPDATE account SET balance = balance - ? WHERE id = ?', [amount, source])
        await tx.execute('INSERT INTO entry VALUES (?, ?, ?, ?)', [id, source, target, amount])
        await tx.execute('UPDATE account SET balance = balance + ? WHERE id = ?', [amount, target])
      })
      acknowledged.add(id)
    }

    async function worker(): Promise<void> {
      while (next < transfers) {
        const id = next++
        for (let attempt = 0; attempt < 200; attempt++) {
          try {
            await transfer(id)
            break
          } catch (error) {
            if (error instanceof MysqlCommitUnknownError) {
              // What the application does then: look whether it happened, and never guess.
              unknown.add(id)
              const found = await lookUp(id)
              if (found) break
            } else if ((error as { retryable?: boolean }).retryable !== true) {
              failed.push(error)
              break
            }
          }
        }
      }
    }

    async function lookUp(id: number): Promise<boolean> {
      for (let attempt = 0; attempt < 200; attempt++) {
        try {
          return (await pool.one('SELECT 1 FROM entry WHERE transfer = ? FOR UPDATE', [id])) !== undefined
        } catch (error) {
          if (attempt === 199) throw error
        }
      }
      return false
    }

    const faults = (async () => {
      for (let fault = 0; !done && fault < 1_000; fault++) {
        const before = acknowledged.size
        // The next fault comes after some work, whatever the speed of the machine.
        await eventually(() => done || acknowledged.size >= Math.min(transfers, before + 150), {
          timeout: 60_000,
        })
        const kind = fault % 4
        if (kind === 0) proxy.dropConnections()
        else if (kind === 1) await proxy.cutAfter(1 + Math.floor(random() * 400))
        else if (kind === 2) {
          const [rows] = (await server.query(
            "SELECT id FROM information_schema.processlist WHERE db = 'test' AND info IS NOT NULL",
          )) as [RowDataPacket[]]
          for (const { id } of rows.slice(0, 3)) await server.query(`KILL ${id}`).catch(() => {})
        } else {
          await proxy.refuse()
          await proxy.pass()
        }
      }
    })()
    try {
      await Promise.all(Array.from({ length: 8 }, worker))
    } finally {
      done = true
      await faults
    }
    expect(failed).toEqual([])
    await whole(pool)
    const [[total], [entries], wrong] = (await server.query(
      'SELECT SUM(balance) AS sum FROM account',
      'SELECT COUNT(*) AS n FROM entry',
      `SELECT a.id FROM account a WHERE a.balance <> 1000
         - (SELECT COALESCE(SUM(amount), 0) FROM entry WHERE source = a.id)
         + (SELECT COALESCE(SUM(amount), 0) FROM entry WHERE target = a.id)`,
    )) as [RowDataPacket[], RowDataPacket[], RowDataPacket[]]
    expect(Number(total!.sum)).toBe(accounts * 1_000)
    expect(Number(entries!.n)).toBe(transfers)
    expect(wrong).toEqual([])
    expect(acknowledged.size + unknown.size).toBeGreaterThanOrEqual(transfers)
    expect(pool.stats().retries).toBeGreaterThan(0)
    await pool.close()
    await proxy.close()
  }, 120_000)
})
