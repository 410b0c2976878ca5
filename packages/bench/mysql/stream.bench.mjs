import { database } from './server.mjs'

await database()

const ROWS_STREAMED = 300_000
const SQL = `SELECT seq AS id, REPEAT('x', 100) AS text FROM seq_1_to_${ROWS_STREAMED}`

/** Streams the rows once a round; the peak of the resident memory over its start is a column. */
function streaming(open) {
  return async () => {
    const { rows, close } = await open(await database())
    return {
      async run() {
        globalThis.gc?.()
        const start = process.memoryUsage.rss()
        let peak = start
        let ops = 0
        for await (const row of rows()) {
          if (row.id !== ++ops) throw new Error(`row ${row.id} came as number ${ops}`)
          if (ops % 5_000 === 0) peak = Math.max(peak, process.memoryUsage.rss())
        }
        if (ops !== ROWS_STREAMED) throw new Error(`${ops} rows`)
        return { ops, 'peak RSS above start, MB': (peak - start) / 2 ** 20 }
      },
      close,
    }
  }
}

/** Takes a connection and gives it back, without a statement. */
function borrowing(open) {
  return async () => {
    const { once, close } = await open(await database())
    await once()
    return {
      async run(roundMs) {
        const end = performance.now() + roundMs
        let ops = 0
        while (performance.now() < end) {
          for (let i = 0; i < 100; i++) await once()
          ops += 100
        }
        return { ops, 'us each': (roundMs * 1_000) / ops }
      },
      close,
    }
  }
}

export const scenarios = [
  {
    title: 'Streaming 300,000 rows',
    baseline: 'mysql2 trace: false',
    rounds: 3,
    contenders: {
      'mysql2 trace: false': streaming(async (server) => {
        const { createConnection } = await import('mysql2')
        const connection = createConnection({ ...server, trace: false })
        return {
          rows: () => connection.query(SQL).stream({ highWaterMark: 64 }),
          close: () => connection.destroy(),
        }
      }),
      spillway: streaming(async (server) => {
        const { MysqlPool } = await import('@spillway/mysql')
        const pool = new MysqlPool({ ...server, connectionLimit: 1 })
        return { rows: () => pool.stream(SQL), close: () => pool.close() }
      }),
    },
  },
  {
    title: 'Taking a connection from the pool and giving it back',
    baseline: 'mysql2 trace: false',
    rounds: 5,
    roundMs: 500,
    contenders: {
      'mysql2 trace: false': borrowing(async (server) => {
        const { createPool } = await import('mysql2/promise')
        const pool = createPool({ ...server, connectionLimit: 10, trace: false })
        return { once: async () => (await pool.getConnection()).release(), close: () => pool.end() }
      }),
      spillway: borrowing(async (server) => {
        const { MysqlPool } = await import('@spillway/mysql')
        const pool = new MysqlPool({ ...server, connectionLimit: 10 })
        return { once: () => pool.withConnection(() => {}), close: () => pool.close() }
      }),
    },
  },
]
