import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const WORKERS = 2
const run = promisify(execFile)
const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const bin = (name) => here(`../node_modules/.bin/${name}`)
const APP = here('./app.mjs')

/**
 * `await supervisors[name](env)`: the app under this supervisor on a port of its own. `pid()` is the supervisor's;
 * `reload` is absent where there is no such thing.
 */
export const supervisors = {
  async 'node:cluster'(env) {
    const started = await inForeground([here('./plain.mjs'), APP, String(WORKERS)], env)
    const reload = async () => {
      const before = await pids(started.url)
      process.kill(started.pid(), 'SIGUSR2')
      for (let i = 0; i < 200; i++) {
        const now = await pids(started.url)
        if (now.size === WORKERS && [...now].every((pid) => !before.has(pid))) return
        await sleep(50)
      }
    }
    return { ...started, reload }
  },
  throng: (env) => inForeground([here('./throng.mjs'), pathToFileURL(APP).href, String(WORKERS)], env),
  async pm2(env) {
    const home = mkdtempSync(join(tmpdir(), 'bench-pm2-'))
    const port = await freePort()
    const options = { env: { ...process.env, ...env, PM2_HOME: home, PORT: String(port) } }
    await run(bin('pm2'), ['start', APP, '-i', String(WORKERS), '--name', 'bench'], options)
    const url = `http://127.0.0.1:${port}`
    if (!env?.FORKS_FILE) await answers(url)
    return {
      url,
      pid: () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8')),
      reload: () => run(bin('pm2'), ['reload', 'bench'], options),
      async close() {
        await run(bin('pm2'), ['kill'], options).catch(() => {})
        rmSync(home, { recursive: true, force: true })
      },
    }
  },
  async '@spillway/cluster'(env) {
    const home = mkdtempSync(join(tmpdir(), 'bench-spillway-'))
    const own = { ...env, SPILLWAY_HOME: home }
    const args = [bin('spillway'), 'start', APP, '-i', String(WORKERS), '--name', 'bench']
    const started = await inForeground(spillway(args), own)
    return {
      ...started,
      reload: () =>
        run(process.execPath, spillway(['', 'reload', 'bench']), { env: { ...process.env, ...own } }),
      async close() {
        await started.close()
        rmSync(home, { recursive: true, force: true })
      },
    }
  },
}

/** The CLI itself: `.bin/spillway` may be a shell script. */
function spillway([, ...args]) {
  return [here('../node_modules/@spillway/cluster/bin/spillway.js'), ...args]
}

async function inForeground(args, env) {
  const port = await freePort()
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const url = `http://127.0.0.1:${port}`
  if (!env?.FORKS_FILE) await answers(url)
  return {
    url,
    pid: () => child.pid,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await gone
      clearTimeout(force)
    },
  }
}

/** The pids that answer on fresh connections; one that hangs does not. */
export async function pids(url) {
  const seen = new Set()
  for (let i = 0; i < 3 * WORKERS; i++) {
    const signal = AbortSignal.timeout(500)
    const pid = await fetch(`${url}/pid`, { headers: { connection: 'close' }, signal })
      .then((response) => response.text())
      .catch(() => undefined)
    if (pid !== undefined) seen.add(Number(pid))
  }
  return seen
}

async function answers(url) {
  for (let i = 0; i < 400; i++) {
    if ((await pids(url)).size >= WORKERS) return
    await sleep(50)
  }
  throw new Error(`${url} does not answer`)
}

async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** CPU time of a supervisor and its workers so far, in microseconds. */
export function cpuOf(supervisor) {
  const workers = readdirSync(`/proc/${supervisor}/task`).flatMap((thread) =>
    readFileSync(`/proc/${supervisor}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean),
  )
  let nanoseconds = 0
  for (const pid of [supervisor, ...workers]) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    }
  }
  return nanoseconds / 1_000
}

/** Resident memory in megabytes. */
export function rssOf(pid) {
  const line = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) / 1024
}
