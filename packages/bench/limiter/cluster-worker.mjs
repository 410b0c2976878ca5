// The worker of cluster.bench.mjs.
const makers = {
  raw() {
    const waiting = new Map()
    let ids = 0
    process.on('message', (message) => {
      if (message?.raw === undefined) return
      waiting.get(message.raw)()
      waiting.delete(message.raw)
    })
    return (key) =>
      new Promise((resolve) => {
        const raw = ++ids
        waiting.set(raw, resolve)
        process.send({ raw, key })
      })
  },
  async spillway() {
    const { clusterStore, RateLimiter } = await import('@spillway/limiter')
    const store = clusterStore({ deadline: '10s' })
    const limiter = new RateLimiter({ capacity: 1e9, refill: { tokens: 1e6, per: '1h' }, store })
    return (key) => limiter.consume(key)
  },
  async flexible() {
    const { RateLimiterCluster } = await import('rate-limiter-flexible')
    const limiter = new RateLimiterCluster({
      keyPrefix: 'bench',
      points: 1e9,
      duration: 3_600,
      timeoutMs: 10_000,
    })
    return (key) => limiter.consume(key)
  },
}

try {
  const consume = await makers[process.argv[2]]()
  await consume('first')
  process.on('message', async (message) => {
    if (message?.bench !== 'run') return
    try {
      const end = performance.now() + message.roundMs
      let ops = 0
      const one = async () => {
        while (performance.now() < end) {
          await consume(`client-${ops % 1_000}`)
          ops++
        }
      }
      await Promise.all(Array.from({ length: 64 }, one))
      process.send({ bench: 'done', ops })
    } catch (error) {
      process.send({ bench: 'done', error: error?.stack ?? String(error) })
    }
  })
  process.send({ bench: 'ready' })
} catch (error) {
  process.send({ bench: 'ready', error: error?.stack ?? String(error) })
}
