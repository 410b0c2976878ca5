import { createServer, get } from 'node:http'
import { httpLoad } from '../load.mjs'

/** What recording costs a request: the same route with nothing, with prom-client by hand, and with us. */
async function onExpress(use) {
  const { default: express } = await import('express')
  const app = express()
  await use(app)
  app.get('/cities/:id', (req, res) => res.send(req.params.id))
  const server = createServer(app)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/cities/7`
  return {
    async run(ms) {
      const { requests, p50, p99, errors, non2xx } = await httpLoad(url, { ms })
      if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} not 2xx`)
      return { ops: requests, p50, p99 }
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

const byHand = async (app) => {
  const { Histogram, Registry, collectDefaultMetrics } = await import('prom-client')
  const register = new Registry()
  collectDefaultMetrics({ register })
  const histogram = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Response time',
    labelNames: ['method', 'route', 'status'],
    registers: [register],
  })
  app.use((req, res, next) => {
    const end = histogram.startTimer({ method: req.method })
    res.once('finish', () => end({ route: req.baseUrl + (req.route?.path ?? ''), status: res.statusCode }))
    next()
  })
  app.get('/metrics', async (_req, res) => res.type(register.contentType).send(await register.metrics()))
}

const ours = async (app) => {
  const { Metrics } = await import('@spillway/metrics')
  const { metrics } = await import('@spillway/metrics/express')
  app.use(metrics(new Metrics()))
}

/** One scrape after another of a registry with 200 routes. */
async function scraping(prepare) {
  const { url, close } = await prepare()
  return {
    async run(ms) {
      const end = performance.now() + ms
      let ops = 0
      for (; performance.now() < end; ops++) await body(url)
      return { ops }
    },
    close,
  }
}

function body(url) {
  return new Promise((resolve, reject) => {
    get(url, (response) => response.resume().once('end', resolve)).once('error', reject)
  })
}

async function listening(listener) {
  const server = createServer(listener)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${server.address().port}/metrics`, close }
}

const ROUTES = Array.from({ length: 200 }, (_, i) => `/route/${i}`)
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

export const scenarios = [
  {
    title: 'Recording requests, Express 5',
    baseline: 'bare',
    roundMs: 2_000,
    contenders: {
      bare: () => onExpress(() => {}),
      '@spillway/metrics': () => onExpress(ours),
      'prom-client by hand': () => onExpress(byHand),
    },
  },
  {
    title: 'A scrape of 200 routes',
    baseline: 'prom-client by hand',
    contenders: {
      'prom-client by hand': () =>
        scraping(async () => {
          const { Histogram, Registry } = await import('prom-client')
          const register = new Registry()
          const labelNames = ['method', 'route', 'status']
          const config = { name: 'http_request_duration_seconds', help: 'Response time', buckets: BUCKETS }
          const histogram = new Histogram({ ...config, labelNames, registers: [register] })
          for (const route of ROUTES) histogram.labels('GET', route, '200').observe(0.01)
          return listening(async (_req, res) => res.end(await register.metrics()))
        }),
      '@spillway/metrics': () =>
        scraping(async () => {
          const { Metrics, requestListener } = await import('@spillway/metrics')
          const metrics = new Metrics({ processMetrics: false, events: false })
          for (const route of ROUTES) metrics.requests.begin()({ method: 'GET', route, status: 200 })
          return listening(requestListener(metrics))
        }),
    },
  },
]
