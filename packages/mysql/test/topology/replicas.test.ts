import { eventually, type ReplicaPair, startReplicaPair } from '@spillway/testkit'
import type { RowDataPacket } from 'mysql2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MysqlPool, type MysqlPoolOptions } from '../../src/index.js'

let pair: ReplicaPair
const open: MysqlPool[] = []

/** As `app`, which `read_only` binds. */
function poolOf(options: MysqlPoolOptions = {}): MysqlPool {
  const pool = new MysqlPool({
    primary: pair.primary.url('app'),
    replicas: [pair.replica.url('app')],
    connectionLimit: 4,
    ...options,
    reads: options.reads === false ? false : { probe: 50, ...options.reads },
  })
  open.push(pool)
  return pool
}

const served = async (
  pool: MysqlPool | ReturnType<MysqlPool['session']>,
  sql = 'SELECT @@server_id AS id',
) => {
  // A variable makes it unclear where it may run, so the server is asked through a view of its own.
  const [[row]] = await pool.query<RowDataPacket[]>(sql.replace('@@server_id', 'which_server()'))
  return Number(row!.id)
}

async function startAgain(): Promise<void> {
  pair = await startReplicaPair()
  await pair.primary.query(
    'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)',
    'CREATE FUNCTION which_server() RETURNS INT NOT DETERMINISTIC NO SQL RETURN @@server_id',
  )
  await pair.waitForReplica()
}

beforeAll(startAgain)
afterAll(() => pair?.[Symbol.asyncDispose]())
beforeEach(async () => {
  await pair.primary.query('TRUNCATE t')
  await pair.waitForReplica()
})
afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close({ timeout: 0 })
})

async function ready(pool: MysqlPool): Promise<void> {
  await eventually(async () => (await served(pool)) === 2)
}

describe('where statements go', () => {
  it('plain reads go to the replica; writes and everything unclear to the primary', async () => {
    const pool = poolOf()
    await ready(pool)
    expect(await served(pool, 'SELECT @@server_id AS id FOR UPDATE')).toBe(1)
    const [[row]] = await pool.query<RowDataPacket[]>('SELECT which_server() AS id', [], { on: 'primary' })
    expect(row).toEqual({ id: 1 })
    await pool.execute('INSERT INTO t (n) VALUES (1)')
    expect(await pool.transaction((tx) => tx.one('SELECT which_server() AS id'))).toEqual({ id: 1 })
    const all = poolOf({ reads: false })
    expect(await served(all)).toBe(1)
  })
})

describe('reading your own writes', () => {
  it('B24 a read after a write is never stale; without a session it is', async () => {
    const pool = poolOf({ reads: { wait: '2s' } })
    // A replica that is behind is found and left alone, so this pool must know it from before.
    const careless = poolOf({ reads: { consistency: 'eventual', maxLag: '1h' } })
    await Promise.all([ready(pool), ready(careless)])
    await pair.replica.stopReplication()
    try {
      await pool.execute('INSERT INTO t (n) VALUES (42)')
      const [[row]] = await pool.query<RowDataPacket[]>('SELECT n, which_server() AS id FROM t WHERE n = 42')
      expect(row).toEqual({ n: 42, id: 1 })
      await careless.execute('INSERT INTO t (n) VALUES (43)')
      expect(await careless.one('SELECT n FROM t WHERE n = 43')).toBeUndefined()
    } finally {
      await pair.replica.startReplication()
    }
    await pair.waitForReplica()
    await eventually(async () => (await served(pool)) === 2)
  })

  it('B24 600 pairs of a write and a read of it: none stale, most of them from the replica', async () => {
    const pool = poolOf({ reads: { wait: '1s' } })
    await ready(pool)
    let stale = 0
    let fromReplica = 0
    const worker = async () => {
      for (let i = 0; i < 150; i++) {
        const session = pool.session()
        const [{ insertId }] = (await session.execute('INSERT INTO t (n) VALUES (?)', [i])) as unknown as [
          { insertId: number },
        ]
        const row = await session.one('SELECT n, which_server() AS id FROM t WHERE id = ?', [insertId])
        if (row?.n !== i) stale++
        if (row?.id === 2) fromReplica++
      }
    }
    await Promise.all([worker(), worker(), worker(), worker()])
    expect(stale).toBe(0)
    expect(fromReplica).toBeGreaterThan(300)
  })

  it('the token of a session is what another process needs to read the same', async () => {
    const here = poolOf()
    const there = poolOf({ reads: { wait: 0 } })
    await ready(there)
    await pair.replica.stopReplication()
    try {
      const session = here.session()
      await session.execute('INSERT INTO t (n) VALUES (7)')
      expect(session.token).toMatch(/^0-1-\d+$/)
      expect(await there.session({ token: session.token }).one('SELECT n FROM t')).toEqual({ n: 7 })
      expect(await there.session().one('SELECT n FROM t')).toBeUndefined()
      expect(await served(there.session({ token: 'not a token' }))).toBe(1)
    } finally {
      await pair.replica.startReplication()
    }
  })

  it('a transaction, a procedure and RETURNING move the token too', async () => {
    const pool = poolOf()
    const session = pool.session()
    await session.transaction((tx) => tx.execute('INSERT INTO t (n) VALUES (1)'))
    const first = session.token
    expect(first).toMatch(/^0-1-\d+$/)
    await session.query('INSERT INTO t (n) VALUES (2) RETURNING id')
    expect(session.token).toBe('primary')
    await session.execute('INSERT INTO t (n) VALUES (3)')
    expect(session.token).toMatch(/^0-1-\d+$/)
    expect(session.token).not.toBe(first)
    // Of its own: a connection tells a later session of a RETURNING that was on it.
    const untouched = poolOf().session()
    await untouched.query('SELECT n FROM t')
    await untouched.transaction((tx) => tx.one('SELECT 1'))
    expect(untouched.token).toBe('')
  })

  it('a write whose position is not told sends later reads to the primary', async () => {
    const pool = poolOf({ session: false, driver: { flags: ['-SESSION_TRACK'] } })
    await ready(pool)
    const session = pool.session()
    expect(await served(session)).toBe(2)
    await session.execute('INSERT INTO t (n) VALUES (1)')
    expect(session.token).toBe('primary')
    expect(await served(session)).toBe(1)
  })
})

describe('health', () => {
  it('B26 a replica that does not replicate is out of rotation once it is too far behind, and comes back', async () => {
    const pool = poolOf({ reads: { maxLag: 200, consistency: 'eventual' } })
    await ready(pool)
    await pair.replica.query('STOP SLAVE SQL_THREAD')
    try {
      await eventually(async () => {
        await pair.primary.query('INSERT INTO t (n) VALUES (1)')
        return (await served(pool)) === 1
      })
      expect(pool.stats().nodes[1]).toMatchObject({ state: 'lagging' })
    } finally {
      await pair.replica.query('START SLAVE SQL_THREAD')
    }
    await eventually(async () => (await served(pool)) === 2)
    expect(pool.stats().nodes[1]).toMatchObject({ state: 'up', lagMs: 0 })
  })

  it('B5 B25 reads survive the death of the replica, on the primary, and go back to it', async () => {
    const pool = poolOf()
    await ready(pool)
    await pair.replica.kill()
    for (let i = 0; i < 20; i++) expect(await served(pool)).toBe(1)
    await pair.replica.start()
    await eventually(async () => (await served(pool)) === 2)
    await pair.waitForReplica()
  })

  it('B5 a replica that is rebuilt from nothing serves no read before it has everything', async () => {
    const pool = poolOf({ reads: { maxLag: 0 } })
    await ready(pool)
    await pool.query('INSERT INTO t (n) SELECT seq FROM seq_1_to_50')
    await pair.waitForReplica()
    await ready(pool)
    const wrong: unknown[] = []
    const servers = new Set<unknown>()
    let reading = true
    const reader = async () => {
      while (reading) {
        // A session of its own, which has written nothing, and may read from wherever the pool thinks right.
        const row = await pool
          .session()
          .one('SELECT COUNT(*) AS n, which_server() AS server FROM t')
          .catch((error: unknown) => ({ n: error, server: 0 }))
        servers.add(row?.server)
        if (row?.n !== 50) wrong.push(row)
      }
    }
    const readers = [reader(), reader()]
    await pair.replica.restartEmpty()
    await eventually(() => pool.stats().nodes[1]!.state === 'lagging')
    expect(pool.stats().nodes[1]).toMatchObject({ lagMs: Number.POSITIVE_INFINITY })
    servers.clear()
    await eventually(() => servers.size > 0)
    expect([...servers]).toEqual([1])
    await pair.replica.follow()
    await eventually(() => servers.has(2))
    reading = false
    await Promise.all(readers)
    expect(wrong).toEqual([])
    expect(pool.stats().nodes[1]).toMatchObject({ state: 'up', lagMs: 0 })
  })

  it('B25 reads go on while the primary is down, and writes fail at once with a typed error', async () => {
    const pool = poolOf()
    await ready(pool)
    await pair.primary.kill()
    try {
      for (let i = 0; i < 10; i++) expect(await served(pool)).toBe(2)
      await eventually(async () => {
        const error: unknown = await pool
          .execute('INSERT INTO t (n) VALUES (1)')
          .catch((reason: unknown) => reason)
        return (error as { code?: string }).code === 'ERR_MYSQL_UNAVAILABLE'
      })
    } finally {
      await pair.primary.start()
    }
    await eventually(() =>
      pool.execute('INSERT INTO t (n) VALUES (1)').then(
        () => true,
        () => false,
      ),
    )
    await pair.waitForReplica()
  })

  it('B4 a switch of roles under load: no acknowledged write is lost or there twice, and writes go on', async () => {
    const pool = poolOf({ connectionLimit: 4, timeout: '10s' })
    await ready(pool)
    const acknowledged: number[] = []
    const strange: unknown[] = []
    let next = 0
    let writing = true
    const writer = async () => {
      while (writing) {
        const n = ++next
        try {
          await pool.execute('INSERT INTO t (n) VALUES (?)', [n])
          acknowledged.push(n)
        } catch (error) {
          // Nothing else is expected of the old primary: it lives, and refuses.
          if ((error as { errno?: number }).errno !== 1290) strange.push(error)
        }
      }
    }
    const writers = [writer(), writer(), writer()]
    try {
      await eventually(() => acknowledged.length > 100)
      await pair.primary.query('SET GLOBAL read_only = 1')
      await pair.waitForReplica()
      const before = acknowledged.length
      await pair.replica.query('STOP SLAVE', 'SET GLOBAL read_only = 0')
      await eventually(() => acknowledged.length > before + 100)
      writing = false
      await Promise.all(writers)
      expect(strange).toEqual([])
      const [rows] = await pair.replica.query('SELECT n, COUNT(*) AS times FROM t GROUP BY n')
      const times = new Map(rows!.map((row) => [Number(row.n), Number(row.times)]))
      for (const n of acknowledged) expect(times.get(n), `write ${n}`).toBe(1)
      expect(times.size).toBe(acknowledged.length)
    } finally {
      writing = false
      await Promise.all(writers)
      await pool.close()
      await pair[Symbol.asyncDispose]()
      await startAgain()
    }
  })

  it('B4 after a switch of roles the writes follow', async () => {
    const events: string[] = []
    const pool = poolOf()
    pool.on('node', ({ node, from, to }) => events.push(`${node}: ${from} -> ${to}`))
    await ready(pool)
    await pool.execute('INSERT INTO t (n) VALUES (1)')
    await pair.waitForReplica()
    await pair.primary.query('SET GLOBAL read_only = 1')
    await pair.replica.query('STOP SLAVE', 'SET GLOBAL read_only = 0')
    try {
      let refused = 0
      await eventually(() =>
        pool.execute('INSERT INTO t (n) VALUES (2)').then(
          () => true,
          (error: { errno: number }) => {
            expect(error.errno).toBe(1290)
            refused++
            return false
          },
        ),
      )
      // From here on not one write is refused.
      for (let i = 0; i < 20; i++) await pool.execute('INSERT INTO t (n) VALUES (3)')
      const [rows] = await pair.replica.query('SELECT COUNT(*) AS n FROM t WHERE n > 1')
      expect(rows).toEqual([{ n: 21 }])
      expect(events.join('\n')).toContain(`-> writes to ${pair.replica.host}:${pair.replica.port}`)
      expect(refused).toBeGreaterThanOrEqual(0)
    } finally {
      await pool.close()
      await pair[Symbol.asyncDispose]()
      await startAgain()
    }
  })
})
