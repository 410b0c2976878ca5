import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'

/** One worker asks the primary, 64 calls in flight over 1,000 keys. CPU is the primary's. */
function asked(name, serve) {
  return async () => {
    const stop = await serve()
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('./cluster-worker.mjs', import.meta.url)),
      args: [name],
    })
    const worker = cluster.fork()
    const answer = (type) =>
      new Promise((resolve, reject) => {
        const onMessage = (message) => {
          if (message?.bench !== type) return
          worker.off('message', onMessage)
          if (message.error) reject(new Error(message.error))
          else resolve(message)
        }
        worker.on('message', onMessage)
      })
    await answer('ready')
    return {
      async run(roundMs) {
        worker.send({ bench: 'run', roundMs })
        const { ops } = await answer('done')
        return { ops }
      },
      async close() {
        worker.kill('SIGKILL')
        await stop?.()
      },
    }
  }
}

const RAW = 'one raw message each'

export const scenarios = [
  {
    title: 'Limiter over node:cluster, one worker, 64 in flight',
    note: 'CPU is that of the primary.',
    baseline: RAW,
    rounds: 5,
    roundMs: 700,
    warmMs: 300,
    contenders: {
      [RAW]: asked('raw', () => {
        cluster.on('message', (worker, message) => {
          if (message?.raw !== undefined) worker.send(message)
        })
      }),
      '@spillway/limiter': asked('spillway', async () => {
        const { serveClusterStore } = await import('@spillway/limiter')
        const server = serveClusterStore()
        return () => server.close()
      }),
      'rate-limiter-flexible': asked('flexible', async () => {
        const { RateLimiterClusterMaster } = await import('rate-limiter-flexible')
        new RateLimiterClusterMaster()
      }),
    },
  },
]
