import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startRedis } from '../limiter/redis-server.mjs'

/** Four processes of 250 callers each want the same missing key at once; a load takes 200 ms. Fewer loads are better. */

function stampede(name) {
  return async () => {
    const redis = await startRedis()
    const children = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const child = fork(fileURLToPath(new URL('./stampede-worker.mjs', import.meta.url)), [
          name,
          `redis://127.0.0.1:${redis.port}`,
        ])
        await answer(child, 'ready')
        return child
      }),
    )
    let round = 0
    return {
      async run() {
        const key = `round:${round++}`
        for (const child of children) child.send({ key, callers: 250 })
        const results = await Promise.all(children.map((child) => answer(child, 'done')))
        return { ops: 1_000, loads: results.reduce((sum, { loads }) => sum + loads, 0) }
      },
      async close() {
        for (const child of children) child.kill('SIGKILL')
        await redis.stop()
      },
    }
  }
}

function answer(child, type) {
  return new Promise((resolve, reject) => {
    const onMessage = (message) => {
      if (message.bench !== type) return
      child.off('message', onMessage)
      if (message.error) reject(new Error(message.error))
      else resolve(message)
    }
    child.on('message', onMessage)
  })
}

const NAMES = ['@spillway/cache', 'async-cache-dedupe', 'cache-manager', 'cacheable', 'bentocache']

export const scenarios = [
  {
    title: 'Cache: stampede, 4 processes of 250 callers over one Redis',
    note: '`loads` is how often the loader ran in all four together.',
    baseline: '@spillway/cache',
    rounds: 3,
    roundMs: 1,
    contenders: Object.fromEntries(NAMES.map((name) => [name, stampede(name)])),
  },
]
