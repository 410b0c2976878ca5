// HTTP load from a process of its own, so that the contender's CPU time is its own.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(import.meta.url)
const waiting = new Map()
let generator
let last = 0

/**
 * Bounded load on a local URL. Resolves to `{ requests, p50, p99, errors, non2xx }`; latencies in milliseconds. The
 * process that sends it is started once and stays: rounds would otherwise measure how a cold one comes to speed.
 */
export function httpLoad(url, { connections = 32, ms = 1_000, headers = {} } = {}) {
  generator ??= start()
  const id = ++last
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject })
    generator.send({ id, url, connections, ms, headers })
  })
}

function start() {
  const child = fork(script, ['--generate'], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  child.on('message', ({ id, result }) => {
    waiting.get(id).resolve(result)
    waiting.delete(id)
  })
  child.on('exit', (code) => {
    generator = undefined
    for (const { reject } of waiting.values()) reject(new Error(`load exited with ${code}`))
    waiting.clear()
  })
  return child
}

if (process.argv[1] === script && process.argv[2] === '--generate') {
  process.on('disconnect', () => process.exit(0))
  const { default: autocannon } = await import('autocannon')
  process.on('message', async ({ id, url, connections, ms, headers }) => {
    const { requests, latency, errors, non2xx } = await autocannon({
      url,
      connections,
      duration: ms / 1_000,
      headers,
      sampleInt: 100,
    })
    process.send({
      id,
      result: { requests: requests.total, p50: latency.p50, p99: latency.p99, errors, non2xx },
    })
  })
}
