// HTTP load from a process of its own, so that the contender's CPU time is its own: `node load.mjs <json options>`.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Bounded load on a local URL. Resolves to `{ requests, p50, p99, errors, non2xx }`; latencies in milliseconds. */
export function httpLoad(url, { connections = 32, ms = 1_000, headers = {} } = {}) {
  const { promise, resolve, reject } = withResolvers()
  const child = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), JSON.stringify({ url, connections, ms, headers })],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.on('error', reject)
  child.on('close', (code) =>
    code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`load exited with ${code}`)),
  )
  return promise
}

function withResolvers() {
  let resolve
  let reject
  const promise = new Promise((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { default: autocannon } = await import('autocannon')
  const { url, connections, ms, headers } = JSON.parse(process.argv[2])
  const result = await autocannon({ url, connections, duration: ms / 1_000, headers, sampleInt: 100 })
  console.log(
    JSON.stringify({
      requests: result.requests.total,
      p50: result.latency.p50,
      p99: result.latency.p99,
      errors: result.errors,
      non2xx: result.non2xx,
    }),
  )
}
