// Open-loop HTTP load from a process of its own: requests leave at fixed times, whether or not earlier ones have been
// answered, and latency counts from the time at which a request was due. A generator that waits for answers before it
// asks again sees a blocked server once instead of as often as its users do.
// `node arrivals.mjs <json>`: { ms, streams: [{ name, url, perSecond, patience? }] }
import { spawn } from 'node:child_process'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'

/** Resolves to `{ [name]: { offered, answered, refused, late, p50, p99 } }`; milliseconds, over those answered in time. */
export function arrivals(options) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`arrivals exited with ${code}`)),
    )
  })
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

/** How one request ended, and after how many milliseconds. The client leaves when its patience is over. */
function request(url, due, patience) {
  return new Promise((resolve) => {
    const end = (how) => resolve({ how, ms: performance.now() - due })
    const req = get(url, { agent }, (res) => {
      res.resume().once('end', () => {
        clearTimeout(timer)
        end(res.statusCode === 200 ? 'answered' : 'refused')
      })
    })
    const timer =
      patience === undefined ? undefined : setTimeout(() => req.destroy(), due + patience - performance.now())
    req.once('error', () => end('late'))
  })
}

async function stream({ url, perSecond, patience }, start, ms) {
  const every = 1_000 / perSecond
  const pending = []
  for (let i = 0; i * every < ms; i++) {
    const due = start + i * every
    const early = due - performance.now()
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
    // Timers have whole milliseconds, and may be a fraction early.
    pending.push(request(url, Math.min(due, performance.now()), patience))
  }
  const ends = await Promise.all(pending)
  const count = (how) => ends.filter((end) => end.how === how).length
  const times = ends.filter(({ how }) => how === 'answered').map(({ ms }) => ms)
  times.sort((a, b) => a - b)
  const percentile = (p) => times[Math.min(times.length - 1, Math.floor(times.length * p))] ?? 0
  return {
    offered: ends.length,
    answered: times.length,
    refused: count('refused'),
    late: count('late'),
    p50: percentile(0.5),
    p99: percentile(0.99),
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { ms, streams } = JSON.parse(process.argv[2])
  // Both streams start when connections and code are warm.
  await Promise.all(streams.map(({ url }) => request(url, performance.now())))
  const start = performance.now() + 50
  const seen = await Promise.all(streams.map((one) => stream(one, start, ms)))
  console.log(JSON.stringify(Object.fromEntries(streams.map(({ name }, i) => [name, seen[i]]))))
  agent.destroy()
}
