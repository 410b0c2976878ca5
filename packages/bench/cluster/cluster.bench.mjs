import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'undici'
import { httpLoad } from '../load.mjs'
import { cpuOf, pids, rssOf, supervisors } from './supervisors.mjs'

const ALL = Object.keys(supervisors)
const contenders = (names, make) =>
  Object.fromEntries(names.map((name) => [name, () => make(supervisors[name])]))

function throughput(headers) {
  return async (start) => {
    const running = await start()
    return {
      async run(ms) {
        const before = cpuOf(running.pid())
        const { requests, p99, errors, non2xx } = await httpLoad(running.url, {
          connections: 16,
          ms,
          headers,
        })
        return {
          ops: requests,
          'server CPU us each': (cpuOf(running.pid()) - before) / requests,
          'p99 ms': p99,
          failed: errors + non2xx,
          'supervisor MB': rssOf(running.pid()),
        }
      },
      close: () => running.close(),
    }
  }
}

/** Clients that count what fails or has no answer after 5 s, until `stop()`; nothing is repeated. */
function clients(url) {
  let stopped = false
  const tally = { requests: 0, failed: 0 }
  async function one({ path = '/', think = 0, keepAlive = true }) {
    const client = new Client(url, {
      pipelining: 1,
      keepAliveTimeout: 60_000,
      keepAliveMaxTimeout: 600_000,
      headersTimeout: 5_000,
      bodyTimeout: 5_000,
    })
    while (!stopped) {
      tally.requests++
      try {
        const { statusCode, body } = await client.request({ path, method: 'GET', reset: !keepAlive })
        await body.dump()
        if (statusCode !== 200) tally.failed++
      } catch {
        tally.failed++
        await sleep(10)
      }
      await sleep(think)
    }
    await client.destroy()
  }
  const all = [
    ...Array.from({ length: 2 }, () => one({ keepAlive: false, think: 5 })),
    ...Array.from({ length: 20 }, () => one({ think: 100 })),
    ...Array.from({ length: 4 }, () => one({ path: '/slow' })),
  ]
  return async () => {
    stopped = true
    await Promise.all(all)
    return tally
  }
}

async function reloads(start) {
  const running = await start()
  return {
    async run() {
      const stop = clients(running.url)
      await sleep(300)
      for (let i = 0; i < 2; i++) await running.reload()
      await sleep(300)
      const { requests, failed } = await stop()
      return { ops: 2, requests, failed }
    },
    close: () => running.close(),
  }
}

/** How long a killed worker is waited for. Milliseconds. */
const LONGEST_DEATH = 10_000

async function replacement(start) {
  const running = await start()
  return {
    async run() {
      const before = await pids(running.url)
      const [victim] = before
      const begin = performance.now()
      // A supervisor that has died itself has nobody left.
      if (victim !== undefined) process.kill(victim, 'SIGKILL')
      while (performance.now() - begin < LONGEST_DEATH) {
        const now = await pids(running.url)
        if ([...now].some((pid) => !before.has(pid))) break
        await sleep(2)
      }
      return { ops: 1, 'ms until replaced': performance.now() - begin }
    },
    close: () => running.close(),
  }
}

/** How long a hung worker is waited for. Milliseconds. */
const LONGEST_HANG = 30_000

async function hang(start) {
  const running = await start()
  let rounds = 0
  let victim
  return {
    async run() {
      // The harness warms up; there is nothing to warm up here, and a worker can hang only once.
      if (rounds++ === 0) return { ops: 1 }
      const before = await pids(running.url)
      const begin = performance.now()
      const answer = await fetch(`${running.url}/hang`, { headers: { connection: 'close' } })
      victim = Number(await answer.text())
      let replaced = false
      while (!replaced && performance.now() - begin < LONGEST_HANG) {
        const now = await pids(running.url)
        replaced = [...now].some((pid) => !before.has(pid))
        await sleep(50)
      }
      return { ops: 1, replaced: Number(replaced), 'seconds waited': (performance.now() - begin) / 1_000 }
    },
    async close() {
      // One that hangs outlives most supervisors.
      if (victim !== undefined && existsSync(`/proc/${victim}`)) process.kill(victim, 'SIGKILL')
      await running.close()
    },
  }
}

/** `crashes` is when: as app.mjs has it in its environment. */
function crashLoop(crashes) {
  return async (start) => {
    let rounds = 0
    return {
      async run() {
        if (rounds++ === 0) return { ops: 1 }
        const folder = mkdtempSync(join(tmpdir(), 'bench-forks-'))
        const file = join(folder, 'forks')
        const running = await start({ FORKS_FILE: file, ...crashes })
        await sleep(10_000)
        const forks = readFileSync(file, 'utf8').length
        await running.close()
        rmSync(folder, { recursive: true, force: true })
        return { ops: forks, forks }
      },
    }
  }
}

export const scenarios = [
  {
    title: 'cluster: throughput over keep-alive connections (2 workers, 16 connections)',
    note: 'The load comes from the same two cores: the CPU time of supervisor and workers per request is the steadier figure.',
    baseline: 'node:cluster',
    processes: 4,
    rounds: 4,
    roundMs: 800,
    contenders: contenders(ALL, throughput({})),
  },
  {
    title: 'cluster: throughput over fresh connections (2 workers, 16 connections)',
    note: 'The load comes from the same two cores: the CPU time of supervisor and workers per request is the steadier figure.',
    baseline: 'node:cluster',
    processes: 4,
    rounds: 4,
    roundMs: 800,
    contenders: contenders(ALL, throughput({ connection: 'close' })),
  },
  {
    title: 'cluster: two rolling reloads under load (fresh, keep-alive with pauses, slow handlers)',
    note: 'throng has no reload. `failed` counts requests without a complete 200 within 5 s; nothing is repeated.',
    baseline: 'node:cluster',
    rounds: 3,
    contenders: contenders(['node:cluster', 'pm2', '@spillway/cluster'], reloads),
  },
  {
    title: 'cluster: replacing a killed worker',
    note: 'Until a new process answers; 10,000 ms when none did.',
    baseline: 'node:cluster',
    rounds: 5,
    contenders: contenders(ALL, replacement),
  },
  {
    title: 'cluster: replacing a worker whose event loop hangs (30 s at most)',
    note: '@spillway/cluster with its defaults: a heartbeat deadline of 10 s. The others never look.',
    baseline: '@spillway/cluster',
    rounds: 1,
    contenders: contenders(ALL, hang),
  },
  {
    title: 'cluster: forks in 10 s of a version that crashes at boot (2 workers)',
    note: '@spillway/cluster gives a first version up at once, with exit code 1 and the error of the worker.',
    baseline: 'node:cluster',
    rounds: 1,
    contenders: contenders(ALL, crashLoop({ CRASH_AT_BOOT: '1' })),
  },
  {
    title: 'cluster: forks in 10 s of a version that crashes 300 ms after it listens (2 workers)',
    baseline: 'node:cluster',
    rounds: 1,
    contenders: contenders(ALL, crashLoop({ CRASH_AFTER: '300' })),
  },
]
