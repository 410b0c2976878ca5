import { createServer } from 'node:http'
import { openLoop } from './open-loop.mjs'

/** What a request costs: so many milliseconds of a busy event loop. 250 requests fill a second. */
const WORK_MS = 4
const CAPACITY = 1_000 / WORK_MS

function work() {
  const end = performance.now() + WORK_MS
  while (performance.now() < end);
  return 'done'
}

/** Connections of a proxy that keeps them open. */
const POOL = 256

/** A first round of half the load warms up; then one of three times what the server can do. */
async function served(server, pool, close) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/`
  let warm = false
  return {
    async run(ms) {
      if (!warm) {
        warm = true
        await openLoop(url, { perSecond: CAPACITY / 2, ms: 2_000, pool })
        return { ops: 1 }
      }
      const { sent, inTime, refused, lost, p50, p99 } = await openLoop(url, {
        perSecond: 3 * CAPACITY,
        ms,
        pool,
      })
      return {
        ops: inTime,
        'served in 1 s, % of capacity': (inTime / ((CAPACITY * ms) / 1_000)) * 100,
        'p50 ms': p50,
        'p99 ms': p99,
        'refused %': (refused / sent) * 100,
        'lost %': (lost / sent) * 100,
      }
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await close?.()
    },
  }
}

async function express(gate, close) {
  const { default: make } = await import('express')
  const app = make()
  app.set('env', 'production')
  if (gate) app.use(gate)
  app.get('/', (_request, response) => response.send(work()))
  app.use((error, _request, response, _next) => response.status(error.status ?? 500).end())
  return served(createServer(app), 0, close)
}

async function fastify(plugin, options, close) {
  const { default: make } = await import('fastify')
  const app = make()
  if (plugin) await app.register(plugin, options)
  app.get('/', () => work())
  await app.ready()
  return served(app.server, POOL, close)
}

async function monitored() {
  const { MemoryMonitor } = await import('@spillway/memory')
  return new MemoryMonitor({ startupGrace: 0 }) // all else by default
}

const note = `Each request takes ${WORK_MS} ms of the event loop; three times as many come as can be served, for 10 s, from a process that does not wait for answers and gives up after 10 s. Latencies are of all that were not refused, the lost included. Per second: served within a second.`

export const scenarios = [
  {
    title: 'Overload times three: Express, each request on a new connection',
    note,
    baseline: 'unprotected',
    rounds: 1,
    roundMs: 10_000,
    contenders: {
      unprotected: () => express(),
      async '@spillway/memory'() {
        const { shedLoad } = await import('@spillway/memory/express')
        const monitor = await monitored()
        return express(shedLoad(monitor), () => monitor.close())
      },
      async 'toobusy-js'() {
        const { default: toobusy } = await import('toobusy-js')
        return express(
          (_request, response, next) => (toobusy() ? response.status(503).end() : next()),
          () => toobusy.shutdown(),
        )
      },
    },
  },
  {
    title: 'Overload times three: Fastify, over 256 connections that stay open',
    note: `${note} @fastify/under-pressure with \`maxEventLoopDelay: 200\`, what @spillway/memory calls elevated.`,
    baseline: 'unprotected',
    rounds: 1,
    roundMs: 10_000,
    contenders: {
      unprotected: () => fastify(),
      async '@spillway/memory'() {
        const { shedLoad } = await import('@spillway/memory/fastify')
        const monitor = await monitored()
        return fastify(shedLoad, { monitor }, () => monitor.close())
      },
      async '@fastify/under-pressure'() {
        const { default: underPressure } = await import('@fastify/under-pressure')
        return fastify(underPressure, { maxEventLoopDelay: 200 })
      },
    },
  },
]
