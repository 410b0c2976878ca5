// Load that does not wait for answers, from a process of its own: `node open-loop.mjs <json options>`.
import { spawn } from 'node:child_process'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'

/** A client of ours gives up after this long; what it has waited counts. */
const PATIENCE = 10_000

/**
 * So many requests per second, each sent when its time has come, whether or not those before it were answered: the only
 * load under which an overloaded server looks as bad as it is. Each request has a connection of its own, as from nginx by
 * default, or uses one of `pool` that stay open. Resolves to `{ sent, served, inTime, refused, lost, p50,
 * p99 }`: latencies in milliseconds of all that were not refused, from the moment they were due.
 */
export function openLoop(url, { perSecond, ms, pool = 0, inTime = 1_000 }) {
  const script = fileURLToPath(import.meta.url)
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, JSON.stringify({ url, perSecond, ms, pool, inTime })], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`load exited with ${code}`)),
    )
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url, perSecond, ms, pool, inTime } = JSON.parse(process.argv[2])
  const agent = pool > 0 ? new Agent({ keepAlive: true, maxSockets: pool }) : new Agent()
  const latencies = []
  let [sent, refused, lost, open] = [0, 0, 0, 0]
  const start = performance.now()

  const send = (due) => {
    let over = false
    open++
    const end = (kind) => {
      if (over) return
      over = true
      open--
      if (kind === 'refused') refused++
      else latencies.push(performance.now() - start - due)
      if (kind === 'lost') lost++
    }
    const request = get(url, { agent, timeout: PATIENCE }, (response) => {
      response.resume()
      response.once('end', () => end(response.statusCode === 503 ? 'refused' : 'served'))
    })
    const timer = setTimeout(() => request.destroy(new Error('too late')), PATIENCE)
    request.once('close', () => clearTimeout(timer))
    request.once('error', () => end('lost'))
  }

  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const now = Math.min(ms, performance.now() - start)
      for (; (sent * 1_000) / perSecond < now; sent++) send((sent * 1_000) / perSecond)
      if (now < ms || open > 0) return
      clearInterval(timer)
      resolve()
    }, 2)
  })
  latencies.sort((a, b) => a - b)
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  console.log(
    JSON.stringify({
      sent,
      served: latencies.length - lost,
      inTime: latencies.filter((latency) => latency <= inTime).length,
      refused,
      lost,
      p50: at(0.5),
      p99: at(0.99),
    }),
  )
  process.exit(0)
}
