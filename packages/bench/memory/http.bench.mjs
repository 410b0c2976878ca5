import diagnosticsChannel from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import { httpLoad } from '../load.mjs'

/** A listening server, asked by a process of its own. */
async function served(server, close) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/`
  return {
    async run(ms) {
      const { requests, p99 } = await httpLoad(url, { ms })
      return { ops: requests, 'p99 ms': p99 }
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await close?.()
    },
  }
}

/**
 * One server under one load that never stops; each contender answers it in its rounds. `make` returns
 * `{ listener, close? }`, made for each round: what a monitor does concerns all of its process.
 */
const shifts = (() => {
  let server
  let answer
  let answered = 0
  const start = async () => {
    // The first subscriber of a channel makes V8 compile Node's server anew, and so does the last that leaves. A monitor
    // comes to stay; here it would be all that is measured.
    diagnosticsChannel.subscribe('http.server.request.start', () => {})
    server = createServer((request, response) => {
      answered++
      answer(request, response)
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    void httpLoad(`http://127.0.0.1:${server.address().port}/`, { ms: 3_600_000 }).catch(() => {})
  }
  return (make) => async () => {
    let current
    return {
      async begin() {
        current = await make()
        answer = current.listener
        if (server === undefined) await start()
      },
      async run(ms) {
        const before = answered
        await new Promise((resolve) => setTimeout(resolve, ms))
        return { ops: answered - before }
      },
      async end() {
        answer = idle
        await current.close?.()
      },
    }
  }
})()

/** Between two rounds. */
const idle = (_request, response) => response.end('hello')

async function monitored() {
  const { MemoryMonitor } = await import('@spillway/memory')
  return new MemoryMonitor({ marks: { delay: false, utilization: false } }) // saturated on purpose: nothing is shed
}

const PLAIN = 'without'
const OURS = '@spillway/memory'

/** The same server with something and without it, in one process: what is to be seen is less than two processes differ by. */
const comparison = (title, contenders) => ({
  title,
  note: "One server that is always saturated, and each contender in turns for 150 ms. Monitor, leak detector and gate are on; shedding by the event loop is off, so that all answer. Another subscriber of Node's channel of requests is there in all rounds: the first one makes V8 compile the server anew.",
  baseline: PLAIN,
  shared: true,
  processes: 2,
  rounds: 110,
  roundMs: 150,
  warmMs: 30,
  contenders: Object.fromEntries(Object.entries(contenders).map(([name, make]) => [name, shifts(make)])),
})

const http = comparison('node:http with and without the monitor', {
  [PLAIN]: () => ({ listener: (_request, response) => response.end('hello') }),
  async [OURS]() {
    const { shedLoad } = await import('@spillway/memory')
    const monitor = await monitored()
    const gate = shedLoad(monitor)
    return {
      listener: (request, response) => gate(request, response, () => response.end('hello')),
      close: () => monitor.close(),
    }
  },
})

async function express(gate, close) {
  const { default: make } = await import('express')
  const app = make()
  if (gate) app.use(gate)
  app.get('/', (_request, response) => response.send('hello'))
  return { listener: app, close }
}

const onExpress = comparison('Express with and without the monitor', {
  [PLAIN]: () => express(),
  'an empty middleware': () => express((_request, _response, next) => next()),
  async [OURS]() {
    const { shedLoad } = await import('@spillway/memory/express')
    const monitor = await monitored()
    return express(shedLoad(monitor), () => monitor.close())
  },
  async 'toobusy-js'() {
    const { default: toobusy } = await import('toobusy-js')
    toobusy.maxLag(60_000)
    toobusy.interval(500) // its default; starts it, too
    return express(
      (_request, response, next) => (toobusy() ? response.status(503).end() : next()),
      () => toobusy.shutdown(),
    )
  },
})

async function fastify(plugin, options, close) {
  const { default: make } = await import('fastify')
  const app = make()
  if (plugin) await app.register(plugin, options)
  app.get('/', () => 'hello')
  await app.ready()
  return {
    listener: app.routing,
    async close() {
      await app.close()
      await close?.()
    },
  }
}

/** At the root, as the others are. */
const emptyHook = Object.assign(
  (app, _options, done) => {
    app.addHook('onRequest', (_request, _reply, next) => next())
    done()
  },
  { [Symbol.for('skip-override')]: true },
)

const onFastify = comparison('Fastify with and without the monitor', {
  [PLAIN]: () => fastify(),
  'an empty hook': () => fastify(emptyHook),
  async [OURS]() {
    const { shedLoad } = await import('@spillway/memory/fastify')
    const monitor = await monitored()
    return fastify(shedLoad, { monitor }, () => monitor.close())
  },
  async '@fastify/under-pressure'() {
    const { default: underPressure } = await import('@fastify/under-pressure')
    return fastify(underPressure, { maxHeapUsedBytes: 1e12, maxRssBytes: 1e12, maxEventLoopDelay: 1e9 })
  },
})

/** A server that keeps 200 B of every request: the detector has every reason to look closely. */
async function leaking(leak) {
  const kept = []
  const server = createServer((_request, response) => {
    kept.push({ at: kept.length, values: Array.from({ length: 18 }, (_, n) => kept.length + n) })
    response.end('hello')
  })
  if (leak === undefined) return served(server)
  const { MemoryMonitor } = await import('@spillway/memory')
  const marks = { delay: false, utilization: false }
  const monitor = new MemoryMonitor({ marks, snapshot: false, leak: { warmup: '1s', ...leak } })
  const { run, close } = await served(server, () => monitor.close())
  return {
    close,
    async run(ms) {
      const forcedBefore = monitor.stats().forcedCollections
      const figures = await run(ms)
      const { forcedCollections, leaks } = monitor.stats()
      return { ...figures, 'forced collections': forcedCollections - forcedBefore, 'leaks told': leaks }
    },
  }
}

const forced = {
  title: 'A server that leaks, with and without forced collections',
  note: 'node:http keeps 200 B of each request. The warm-up is a second instead of a minute, all else by default: profile and collections begin in the first round.',
  baseline: PLAIN,
  rounds: 3,
  roundMs: 6_000,
  warmMs: 300,
  contenders: {
    [PLAIN]: () => leaking(),
    'forceCollections: false': () => leaking({ forceCollections: false }),
    [OURS]: () => leaking({}),
  },
}

export const scenarios = [http, onExpress, onFastify, forced]
