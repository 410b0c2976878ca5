import { pair, ROWS } from './server.mjs'

await pair()

const READ = 'SELECT id, name, stock FROM item WHERE id = ?'
const WRITE = 'UPDATE item SET stock = ? WHERE id = ?'
const POOL = 4
const CONCURRENCY = 4

async function pool(options) {
  const { MysqlPool } = await import('@spillway/mysql')
  const { primary, replica } = await pair()
  const db = new MysqlPool({ primary, replicas: [replica], connectionLimit: POOL, ...options })
  // The first probe tells that there is a replica to read from.
  while (db.stats().nodes[1].role === 'unknown') await new Promise((resolve) => setTimeout(resolve, 5))
  return db
}

/** Each of a few loops has rows of its own, so that what it wrote last is what it must read. */
function loops(open) {
  return async () => {
    const { turn, close, figures = () => ({}) } = await open()
    const next = Array.from({ length: CONCURRENCY }, () => 0)
    return {
      async run(roundMs) {
        const end = performance.now() + roundMs
        let ops = 0
        let stale = 0
        const loop = async (_, worker) => {
          while (performance.now() < end) {
            const n = ++next[worker]
            const id = 1 + ((n * CONCURRENCY + worker) % ROWS)
            if (!(await turn(id, n))) stale++
            ops++
          }
        }
        await Promise.all(Array.from({ length: CONCURRENCY }, loop))
        return { ops, ...figures(stale, ops) }
      },
      close,
    }
  }
}

const staleShare = (stale, ops) => ({ 'stale, %': (100 * stale) / ops })

/** A write on the primary, then a read of the same row as the contender reads. */
const writing = (options, read) =>
  loops(async () => {
    const db = await pool(options)
    return {
      turn: async (id, n) => {
        const session = db.session()
        await session.execute(WRITE, [n, id])
        const row = await read(session, id)
        return row?.stock === n
      },
      close: () => db.close(),
      figures: staleShare,
    }
  })

const one = (session, id, options) => session.one(READ, [id], options)

/** By hand on mysql2: ask where the write was, ask the replica to wait for that, read. */
const byHand = loops(async () => {
  const { createPool } = await import('mysql2/promise')
  const { primary, replica } = await pair()
  const writes = createPool({ ...primary, connectionLimit: POOL, trace: false })
  const reads = createPool({ ...replica, connectionLimit: POOL, trace: false })
  return {
    turn: async (id, n) => {
      const connection = await writes.getConnection()
      await connection.execute(WRITE, [n, id])
      const [[{ position }]] = await connection.execute('SELECT @@last_gtid AS position')
      connection.release()
      await reads.execute('SELECT MASTER_GTID_WAIT(?, 1) AS state', [position])
      const [[row]] = await reads.execute(READ, [id])
      return row?.stock === n
    },
    close: () => Promise.all([writes.end(), reads.end()]),
    figures: staleShare,
  }
})

export const scenarios = [
  {
    title: 'GTID read-your-writes: a read whose position the replica is known to have',
    note: 'What the check costs a read by primary key that needs no wait, 4 at a time. No round trip is added.',
    baseline: 'spillway, eventual',
    rounds: 7,
    roundMs: 500,
    warmMs: 300,
    contenders: {
      'spillway, eventual': loops(async () => {
        const db = await pool({ reads: { consistency: 'eventual' } })
        return { turn: async (id) => (await one(db, id))?.id === id, close: () => db.close() }
      }),
      'spillway, session with a token': loops(async () => {
        const db = await pool()
        const writer = db.session()
        await writer.execute(WRITE, [1, 1])
        const session = db.session({ token: writer.token })
        return { turn: async (id) => (await one(session, id))?.id === id, close: () => db.close() }
      }),
      'mysql2 trace: false, replica': loops(async () => {
        const { createPool } = await import('mysql2/promise')
        const { replica } = await pair()
        const reads = createPool({ ...replica, connectionLimit: POOL, trace: false })
        const turn = async (id) => (await reads.execute(READ, [id]))[0][0]?.id === id
        return { turn, close: () => reads.end() }
      }),
    },
  },
  {
    title: 'GTID read-your-writes: a write, then a read of it',
    note: 'Each turn is a write on the primary and a read of the same row at once, 4 at a time; all servers and clients share the machine. Only the first contender may read what is stale.',
    baseline: 'any replica',
    rounds: 7,
    roundMs: 500,
    warmMs: 300,
    contenders: {
      'any replica': writing({ reads: { consistency: 'eventual' } }, one),
      'by position': writing({ reads: { wait: '2s' } }, one),
      'from the primary': writing({}, (session, id) => one(session, id, { on: 'primary' })),
      'mysql2, by hand': byHand,
    },
  },
]
