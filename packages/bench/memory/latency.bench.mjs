import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { httpLoad } from '../load.mjs'

/** An Express app in front of something slow: each request waits 5 to 20 ms, and takes `work` ms of the event loop. */
async function served({ work, connections, gate, close, refused = () => 0 }) {
  const app = express()
  app.set('env', 'production')
  if (gate) app.use(gate)
  let asked = 0
  app.get('/', async (_request, response) => {
    await sleep(5 + (asked++ % 16))
    const end = performance.now() + work
    while (performance.now() < end);
    response.send('done')
  })
  app.use((error, _request, response, _next) => response.status(error.status ?? 500).end())
  const server = createServer(app)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/`
  return {
    async run(ms) {
      const before = refused()
      const { requests, non2xx, p99 } = await httpLoad(url, { connections, ms })
      return { ops: requests - non2xx, 'p99 ms': p99, refused: refused() - before }
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await close?.()
    },
  }
}

/** All by default, but from the first second on. */
async function monitored(load, options = {}) {
  const { MemoryMonitor } = await import('@spillway/memory')
  const { shedLoad } = await import('@spillway/memory/express')
  const monitor = new MemoryMonitor({ startupGrace: 0, ...options })
  const refused = () => monitor.stats().refused
  return served({ ...load, gate: shedLoad(monitor), close: () => monitor.close(), refused })
}

const scenario = (title, load, note) => ({
  title,
  note: `Each request waits 5 to 20 ms for a timer and takes ${load.work} ms of the event loop; ${load.connections} connections ask without a pause. Monitor and gate by default, once with a health function that says elevated all the time. ${note}`,
  baseline: 'without',
  rounds: 6,
  roundMs: 5_000,
  warmMs: 1_000,
  contenders: {
    without: () => served(load),
    '@spillway/memory': () => monitored(load),
    '@spillway/memory, elevated': () => monitored(load, { health: () => 'elevated' }),
  },
})

export const scenarios = [
  scenario(
    'Express in front of something slow, with and without the monitor',
    { work: 0.2, connections: 12 },
    'The loop has time to spare: what the monitor costs is seen in the CPU of a request.',
  ),
  scenario(
    'Express in front of something slow, its loop always busy, with and without the monitor',
    { work: 1, connections: 16 },
    'The loop never waits for work, which is where the gate looks closely.',
  ),
]
