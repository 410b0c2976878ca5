import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { httpLoad } from '../load.mjs'
import { report } from './tasks.mjs'

const TASKS = new URL('./tasks.mjs', import.meta.url)

/** A server with a cheap route and a heavy one (`/heavy`, about 100 ms of CPU), and load on one or both. */
async function server(heavy, close, { loaded = true } = {}) {
  const app = createServer(async (req, res) => {
    if (req.url !== '/heavy') return res.end('cheap')
    try {
      res.end(String(await heavy()))
    } catch (error) {
      res.statusCode = error.status ?? 500
      res.end()
    }
  })
  app.listen(0, '127.0.0.1')
  await once(app, 'listening')
  const origin = `http://127.0.0.1:${app.address().port}`
  return {
    async run(ms) {
      const [cheap, busy] = await Promise.all([
        httpLoad(`${origin}/`, { connections: 4, ms }),
        loaded ? httpLoad(`${origin}/heavy`, { connections: 4, ms }) : { requests: 0 },
      ])
      return {
        ops: cheap.requests,
        'cheap p50 ms': cheap.p50,
        'cheap p99 ms': cheap.p99,
        heavy: busy.requests,
      }
    },
    async close() {
      app.closeAllConnections()
      app.close()
      await close?.()
    },
  }
}

async function piscina(threads) {
  const { Piscina } = await import('piscina')
  return new Piscina({ filename: fileURLToPath(TASKS), minThreads: threads, maxThreads: threads })
}

async function offloader(options) {
  const { Offloader } = await import('@spillway/offload')
  return new Offloader(options)
}

/** Calls arrive at a fixed rate, three times what one thread can do; one that is answered within `PATIENCE` counts. */
const PATIENCE = 500
const EVERY_MS = 7

async function flood(ms, call) {
  const end = performance.now() + ms
  let ops = 0
  let offered = 0
  let failed = 0
  const calls = []
  while (performance.now() < end) {
    const start = performance.now()
    offered++
    calls.push(
      call().then(
        () => {
          if (performance.now() - start <= PATIENCE) ops++
        },
        () => failed++,
      ),
    )
    await delay(EVERY_MS)
  }
  await Promise.all(calls)
  return { ops: Math.max(ops, 0.001), offered, 'refused at once': failed }
}

export const scenarios = [
  {
    title: 'A cheap route while a heavy one is hit',
    baseline: 'inline',
    rounds: 3,
    roundMs: 3_000,
    note: 'Four connections on a cheap route, four on one that computes for about 100 ms; plain node:http, one thread for tasks, load from processes of their own.',
    contenders: {
      'no heavy route': () => server(report, undefined, { loaded: false }),
      inline: () => server(report),
      piscina: async () => {
        const pool = await piscina(1)
        return server(
          () => pool.run(undefined, { name: 'report' }),
          () => pool.destroy(),
        )
      },
      '@spillway/offload': async () => {
        const own = await offloader({ threads: 1 })
        const task = own.task(TASKS, 'report')
        return server(
          () => task(),
          () => own.close(),
        )
      },
    },
  },
  {
    title: 'Three times more work than a thread can do',
    baseline: 'piscina, unbounded',
    rounds: 3,
    roundMs: 3_000,
    note: `20 ms tasks arrive every ${EVERY_MS} ms for one thread. Counted are those answered within ${PATIENCE} ms, per second.`,
    contenders: {
      'piscina, unbounded': async () => {
        const pool = await piscina(1)
        return {
          run: (ms) => flood(ms, () => pool.run(undefined, { name: 'heavy' })),
          close: () => pool.destroy(),
        }
      },
      '@spillway/offload, maxWait 400ms': async () => {
        const own = await offloader({ threads: 1, maxWait: '400ms' })
        const task = own.task(TASKS, 'heavy')
        await own.warm()
        return { run: (ms) => flood(ms, () => task()), close: () => own.close() }
      },
    },
  },
]
