import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { arrivals } from './arrivals.mjs'
import { heavy, report } from './tasks.mjs'

const TASKS = new URL('./tasks.mjs', import.meta.url)

/** How long a client of the heavy route waits in the overload, in milliseconds. */
const PATIENCE = 500

/**
 * A server with a cheap route and a heavy one. `work(signal)` is what the heavy one does; the signal aborts when the client
 * has gone.
 */
async function serve(work, close) {
  const app = createServer(async (req, res) => {
    if (req.url !== '/heavy') return res.end('cheap')
    const gone = new AbortController()
    res.once('close', () => gone.abort())
    try {
      res.end(String(await work(gone.signal)))
    } catch (error) {
      res.statusCode = error.status ?? 500
      res.end()
    }
  })
  app.listen(0, '127.0.0.1')
  await once(app, 'listening')
  return {
    origin: `http://127.0.0.1:${app.address().port}`,
    async close() {
      app.closeAllConnections()
      app.close()
      await close?.()
    },
  }
}

async function piscina(name, options = {}) {
  const { Piscina } = await import('piscina')
  const pool = new Piscina({ filename: fileURLToPath(TASKS), minThreads: 1, maxThreads: 1, ...options })
  return serve(
    () =>
      pool.run(undefined, { name }).catch((error) => {
        throw Object.assign(error, { status: 503 })
      }),
    () => pool.destroy(),
  )
}

async function offloader(name, options = {}) {
  const { Offloader } = await import('@spillway/offload')
  const own = new Offloader({ threads: 1, ...options })
  const task = own.task(TASKS, name)
  await own.warm()
  return serve(
    (signal) => task(undefined, { signal }),
    () => own.close({ timeout: 0 }),
  )
}

/** 200 cheap requests a second; five heavy ones, which keep half of one core busy. */
async function beside({ origin, close }, heavyPerSecond = 5) {
  const cheap = { name: 'cheap', url: `${origin}/`, perSecond: 200 }
  const busy = { name: 'heavy', url: `${origin}/heavy`, perSecond: heavyPerSecond }
  return {
    async run(ms) {
      const seen = await arrivals({ ms, streams: heavyPerSecond === 0 ? [cheap] : [cheap, busy] })
      return {
        ops: seen.cheap.answered,
        'cheap p50 ms': seen.cheap.p50,
        'cheap p99 ms': seen.cheap.p99,
        'heavy p50 ms': seen.heavy?.p50 ?? 0,
      }
    },
    close,
  }
}

/**
 * Three times as many heavy requests as one thread can serve. Each round has a server of its own, so that what is left in
 * one contender's queue does not take the machine from the next one.
 */
async function overload(open) {
  return {
    async run(ms) {
      const { origin, close } = await open()
      const { cheap, heavy } = await arrivals({
        ms,
        streams: [
          { name: 'cheap', url: `${origin}/`, perSecond: 100 },
          { name: 'heavy', url: `${origin}/heavy`, perSecond: 150, patience: PATIENCE },
        ],
      })
      await close()
      return {
        // Never none: the others are compared with it.
        ops: Math.max(heavy.answered, 0.1),
        offered: heavy.offered,
        'refused at once': heavy.refused,
        'left without an answer': heavy.late,
        'heavy p99 ms': heavy.p99,
        'cheap p99 ms': cheap.p99,
      }
    },
  }
}

export const scenarios = [
  {
    title: 'A cheap route while a heavy one is hit',
    baseline: 'inline',
    rounds: 3,
    roundMs: 4_000,
    note: 'Open loop, from a process of its own: 200 cheap requests and 5 heavy ones (about 100 ms of CPU) a second, each at its time, whatever the answers; latency from the time at which a request was due. Plain node:http, one thread for tasks. What counts is the p99 of the cheap route; how many come is given.',
    contenders: {
      'no heavy route': async () => beside(await serve(), 0),
      inline: async () => beside(await serve(() => report())),
      piscina: async () => beside(await piscina('report')),
      '@spillway/offload': async () => beside(await offloader('report')),
    },
  },
  {
    title: 'Three times more work than a thread can do',
    baseline: 'piscina, unbounded',
    rounds: 3,
    roundMs: 4_000,
    note: `Open loop: 150 requests a second for about 20 ms of CPU each, on one thread; a client leaves after ${PATIENCE} ms. Counted are those that were answered.`,
    contenders: {
      inline: async () => overload(() => serve(() => heavy())),
      'piscina, unbounded': async () => overload(() => piscina('heavy')),
      'piscina, maxQueue 20': async () => overload(() => piscina('heavy', { maxQueue: 20 })),
      '@spillway/offload, maxWait 400ms': async () =>
        overload(() => offloader('heavy', { maxWait: '400ms' })),
    },
  },
]
