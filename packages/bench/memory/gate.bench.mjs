const BATCH = 10_000

/** Calls `gate` over and over for the whole round. */
function repeated(gate, close) {
  return {
    async run(ms) {
      const end = performance.now() + ms
      let ops = 0
      while (performance.now() < end) {
        for (let i = 0; i < BATCH; i++) gate()
        ops += BATCH
      }
      return { ops }
    },
    close,
  }
}

const request = { method: 'GET', url: '/', headers: {} }
const response = { setHeader() {} }
const next = () => {}

export const scenarios = [
  {
    title: 'The gate alone, all is well',
    note: 'One call of the middleware, from request to `next`. @fastify/under-pressure by the hook that it adds.',
    baseline: 'toobusy-js',
    rounds: 5,
    roundMs: 500,
    contenders: {
      async '@spillway/memory'() {
        const { MemoryMonitor, shedLoad } = await import('@spillway/memory')
        const monitor = new MemoryMonitor({ marks: { delay: false, utilization: false } })
        const gate = shedLoad(monitor)
        return repeated(
          () => gate(request, response, next),
          () => monitor.close(),
        )
      },
      async 'toobusy-js'() {
        const { default: toobusy } = await import('toobusy-js')
        toobusy.maxLag(60_000)
        return repeated(
          () => toobusy() || next(),
          () => toobusy.shutdown(),
        )
      },
      async '@fastify/under-pressure'() {
        const { default: fastify } = await import('fastify')
        const { default: underPressure } = await import('@fastify/under-pressure')
        const app = fastify()
        let hook
        const add = app.addHook.bind(app)
        app.addHook = (name, fn) => {
          if (name === 'onRequest') hook = fn
          return add(name, fn)
        }
        await app.register(underPressure, {
          maxHeapUsedBytes: 1e12,
          maxRssBytes: 1e12,
          maxEventLoopDelay: 1e9,
        })
        await app.ready()
        const reply = { request: { routeOptions: { config: {} } } }
        const asked = { routeOptions: { config: {} } }
        return repeated(
          () => hook(asked, reply, next),
          () => app.close(),
        )
      },
    },
  },
]
