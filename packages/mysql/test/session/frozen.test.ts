import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import {
  eventually,
  type FaultProxy,
  type MariadbServer,
  type ReplicaPair,
  startMariadb,
  startProxy,
  startReplicaPair,
} from '@spillway/testkit'
import type { RowDataPacket } from 'mysql2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MysqlPool, type MysqlPoolOptions } from '../../src/index.js'

// What is moved is over long before this; what is not fails by it, and the test with it.
const PATIENT = { timeout: '8s', acquireTimeout: '8s' } as const

describe('a replica that answers nothing more', () => {
  let pair: ReplicaPair
  let proxy: FaultProxy
  let pool: MysqlPool

  beforeAll(async () => {
    pair = await startReplicaPair()
    await pair.primary.query(
      'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)',
      'INSERT INTO t (n) SELECT seq FROM seq_1_to_1000',
      'CREATE FUNCTION which_server() RETURNS INT NOT DETERMINISTIC NO SQL RETURN @@server_id',
    )
    await pair.waitForReplica()
    proxy = await startProxy({ target: { port: pair.replica.port } })
  })
  afterAll(async () => {
    await proxy?.close()
    await pair?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    pool = poolOf()
    await eventually(async () => (await server()) === 2)
  })
  afterEach(async () => {
    await pool.close({ timeout: 0 })
  })

  const poolOf = (options: MysqlPoolOptions = {}) =>
    new MysqlPool({
      primary: pair.primary.url(),
      replicas: [`mysql://root@127.0.0.1:${proxy.port}/test`],
      connectionLimit: 3,
      ...PATIENT,
      ...options,
    })
  const server = async () => (await pool.one<{ id: number }>('SELECT which_server() AS id'))?.id
  const state = () => pool.stats().nodes[1]

  /** Reads of each kind: some run, the others wait for a connection. */
  function reads(): Promise<unknown>[] {
    const slow = () =>
      pool.query<RowDataPacket[]>('SELECT COUNT(*) AS n, SLEEP(0.3) AS s FROM t WHERE id = 1')
    const rows = async () => {
      let count = 0
      for await (const _ of pool.stream('SELECT id, SLEEP(IF(id = 1, 0.3, 0)) AS s FROM t')) count++
      return count
    }
    const byKey = pool.loader({ table: 't' })
    return [
      slow(),
      rows(),
      pool.execute('SELECT COUNT(*) AS n, SLEEP(0.3) AS s FROM t WHERE id = ?', [1]),
      slow(),
      rows(),
      byKey.load(7),
      pool.withConnection((c) => c.one('SELECT which_server() AS id'), { on: 'replica' }),
      ...Array.from({ length: 12 }, () => pool.one('SELECT COUNT(*) AS n FROM t')),
    ]
  }

  const FAULTS: Readonly<Record<string, { begin(): Promise<void>; end(): Promise<void> }>> = {
    frozen: { begin: () => pair.replica.pause(), end: () => pair.replica.resume() },
    'behind a network that stalls': {
      begin: () => proxy.stall(),
      async end() {
        await proxy.pass()
        proxy.dropConnections()
      },
    },
    killed: { begin: () => pair.replica.kill(), end: async () => void (await pair.replica.start()) },
    'refusing connections': { begin: () => proxy.refuse(), end: () => proxy.pass() },
    restarting: { begin: () => pair.replica.restart(), end: async () => {} },
  }
  for (const [name, fault] of Object.entries(FAULTS)) {
    it(`B42 ${name}: its queue and its running reads go to the primary, and none fails`, async () => {
      const during = reads()
      // The first ones are on their way to the replica.
      await eventually(() => state()?.active === 3)
      await fault.begin()
      try {
        const after = reads()
        const all = await Promise.allSettled([...during, ...after])
        const failed = all.filter((one) => one.status === 'rejected').map((one) => one.reason)
        expect(failed).toEqual([])
        const values = all.map((one) => (one as PromiseFulfilledResult<unknown>).value)
        expect(values.filter((value) => value === 1_000)).toHaveLength(4)
        expect(state()?.waiting).toBe(0)
      } finally {
        await fault.end()
      }
      await eventually(async () => (await server()) === 2)
    })
  }

  it('B42 a stream that has given rows is not begun again, and a held connection is its user\u2019s', async () => {
    const writer = pool.withConnection(
      async (connection) => {
        expect(await connection.one('SELECT which_server() AS id')).toEqual({ id: 2 })
        await pair.replica.pause()
        return connection.query('SELECT which_server() AS id', [], { timeout: '3s' })
      },
      { on: 'replica' },
    )
    const seen: number[] = []
    const reading = (async () => {
      for await (const { id } of pool.stream<{ id: number }>(
        'SELECT id, SLEEP(IF(id = 3, 9, 0)) AS s FROM t',
        [],
        {
          timeout: '3s',
          readAhead: 1,
        },
      ))
        seen.push(id)
    })()
    const [held, stream] = await Promise.allSettled([writer, reading])
    await pair.replica.resume()
    expect(held).toMatchObject({ status: 'rejected', reason: { code: expect.stringMatching(/^ERR_MYSQL_/) } })
    expect(new Set(seen).size).toBe(seen.length)
    if (seen.length < 1_000) expect(stream.status).toBe('rejected')
    await eventually(async () => (await server()) === 2)
  })

  it('B42 how soon it is noticed follows the options', async () => {
    await pool.close({ timeout: 0 })
    const states: string[] = []
    pool = poolOf({ reads: { probe: '1h', patience: '1h' } })
    pool.on('node', ({ to }) => states.push(to))
    await eventually(async () => (await server()) === 2)
    const quick = poolOf({ reads: { probe: 20, patience: 300 } })
    try {
      const noticed = new Promise((resolve) => quick.on('node', ({ to }) => to === 'down' && resolve(to)))
      await eventually(async () => (await quick.one<{ id: number }>('SELECT which_server() AS id'))?.id === 2)
      await pair.replica.pause()
      expect(await noticed).toBe('down')
      expect(quick.stats().nodes[1]).toMatchObject({ state: 'down' })
      // Only one of both was told to look.
      expect(states).toEqual([])
      expect(state()).toMatchObject({ state: 'up' })
    } finally {
      await pair.replica.resume()
      await quick.close({ timeout: 0 })
    }
  })

  it('B42 reads of a frozen primary go to a replica that has what they must see', async () => {
    await pair.replica.stopReplication()
    // The replica does not have this, so what comes next is asked of the primary.
    await pool.query('INSERT INTO t (n) VALUES (1)')
    const slow = Array.from({ length: 6 }, () => pool.one('SELECT which_server() AS id, SLEEP(3) AS s'))
    await eventually(() => pool.stats().nodes[0]?.active === 3)
    await pair.replica.startReplication()
    await pair.waitForReplica()
    await pair.primary.pause()
    try {
      const all = await Promise.all(slow)
      expect(all.map((row) => row?.id)).toContain(2)
      expect(pool.stats().nodes[0]).toMatchObject({ state: 'down', waiting: 0 })
    } finally {
      await pair.primary.resume()
      await pair.primary.query('DELETE FROM t WHERE id > 1000')
    }
  })
})

describe('a network that stalls while the connection for KILL is still being opened', () => {
  let database: MariadbServer
  beforeAll(async () => {
    database = await startMariadb()
  })
  afterAll(() => database?.[Symbol.asyncDispose]())

  /** Hands on what the first connection says; the others, and after `stall` the first one, too, hear nothing. */
  class OneWay implements AsyncDisposable {
    readonly #sockets: Socket[] = []
    readonly #server = createServer((client) => {
      this.#sockets.push(client)
      client.on('error', () => {})
      if (this.#sockets.length > 1) return
      this.#upstream = connect(database.port, database.host)
      this.#upstream.on('error', () => {})
      client.pipe(this.#upstream).pipe(client)
    })
    #upstream: Socket | undefined

    async port(): Promise<number> {
      this.#server.listen(0, '127.0.0.1')
      await once(this.#server, 'listening')
      return (this.#server.address() as AddressInfo).port
    }

    get connections(): number {
      return this.#sockets.length
    }

    stall(): void {
      const [client] = this.#sockets
      client?.unpipe()
      this.#upstream?.unpipe()
    }

    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of this.#sockets) socket.destroy()
      this.#upstream?.destroy()
      this.#server.close()
    }
  }

  // Long rows, so that some of them come before the pause.
  const SQL = "SELECT seq, REPEAT('x', 2000) AS text, SLEEP(IF(seq = 500, 20, 0)) AS s FROM seq_1_to_100000"

  async function poolThrough(network: OneWay): Promise<MysqlPool> {
    return new MysqlPool({
      uri: `mysql://root@127.0.0.1:${await network.port()}/test`,
      connectionLimit: 1,
      // If anything waited for the opening, the test would never end.
      connectTimeout: '1h',
      acquireTimeout: '1s',
      timeout: '500ms',
    })
  }

  it('B43 leaving a stream takes no longer than the grace of a kill', async () => {
    await using network = new OneWay()
    const pool = await poolThrough(network)
    for await (const _ of pool.stream(SQL)) {
      await eventually(() => network.connections > 1)
      network.stall()
      break
    }
    expect(pool.stats()).toMatchObject({ active: 0, nodes: [{ lost: 1 }] })
    await pool.close({ timeout: 0 })
  })

  it('B43 a stream, a call and a transaction end by their deadline', async () => {
    const works: ((pool: MysqlPool) => Promise<unknown>)[] = [
      async (pool) => {
        for await (const _ of pool.stream(SQL));
      },
      (pool) => pool.query('SELECT SLEEP(20)'),
      (pool) => pool.transaction((tx) => tx.query('SELECT SLEEP(20)')),
      (pool) => pool.withConnection((c) => c.execute('SELECT SLEEP(20)')),
    ]
    for (const work of works) {
      await using network = new OneWay()
      const pool = await poolThrough(network)
      await pool.query('SELECT 1')
      await eventually(() => network.connections > 1)
      const ended = work(pool).catch((error: unknown) => error)
      network.stall()
      expect(await ended).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT' })
      await pool.close({ timeout: 0 })
    }
  })

  it('B43 closing the pool does not wait for it', async () => {
    await using network = new OneWay()
    const pool = await poolThrough(network)
    await pool.query('SELECT 1')
    await eventually(() => network.connections > 1)
    const ended = pool.query('SELECT SLEEP(20)', [], { timeout: false }).catch((error: unknown) => error)
    await eventually(() => pool.stats().active === 1)
    expect(await pool.drain({ timeout: 0 })).toEqual({ finished: false, killed: 0, destroyed: 1 })
    expect(await ended).toMatchObject({ code: 'ERR_MYSQL_CLOSED' })
  })
})
