import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { NODES } from '../nodes.js'

const fixture = fileURLToPath(new URL('../fixtures/bursts.mjs', import.meta.url))

interface Site extends AsyncDisposable {
  /** The status of an answer; each on a connection of its own, unless an agent keeps some open. */
  ask(milliseconds: number, agent?: Agent): Promise<number>
}

async function serve(node: string, kind: 'gate' | 'none'): Promise<Site> {
  const child = fork(fixture, [kind], { execPath: node, execArgv: [] })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return {
    ask: (milliseconds, agent) =>
      new Promise((resolve, reject) => {
        get({ port, host: '127.0.0.1', path: `/${milliseconds}`, agent: agent ?? false }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode ?? 0))
        }).once('error', reject)
      }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

type Ask = Site['ask']
const many = (count: number, ask: () => Promise<number>) => Promise.all(Array.from({ length: count }, ask))

/** Real loads that a loop has time for; each returns the statuses of what it asked. */
const LOADS: Readonly<Record<string, (ask: Ask) => Promise<number[]>>> = {
  'a turn of 900 ms, an idle loop, then 100 new connections at once': async (ask) => {
    const statuses = [await ask(900)]
    for (const pause of [2_000, 3_000]) {
      await sleep(pause)
      statuses.push(...(await many(100, () => ask(1))))
    }
    return statuses
  },
  'a route of 70 ms now and then, and 80 new connections a second': async (ask) => {
    const statuses: Promise<number>[] = []
    for (let tick = 0; tick < 400; tick++) {
      if (tick % 160 === 0) statuses.push(ask(70))
      statuses.push(ask(1), ask(1))
      await sleep(25)
    }
    return Promise.all(statuses)
  },
  'bursts of 100 new connections with pauses between, each 5 ms of work': async (ask) => {
    const statuses: number[] = []
    for (let burst = 0; burst < 5; burst++) {
      statuses.push(...(await many(100, () => ask(5))))
      await sleep(300)
    }
    return statuses
  },
  'a route of 250 ms every half a second, and kept connections beside it': async (ask) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    const statuses: Promise<number>[] = []
    for (let tick = 0; tick < 100; tick++) {
      if (tick % 5 === 0) statuses.push(ask(250))
      statuses.push(ask(1, agent))
      await sleep(100)
    }
    const all = await Promise.all(statuses)
    agent.destroy()
    return all
  },
  'eight kept connections that ask without a pause': async (ask) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    const end = performance.now() + 5_000
    const statuses: number[] = []
    await many(8, async () => {
      while (performance.now() < end) statuses.push(await ask(2, agent))
      return 0
    })
    agent.destroy()
    return statuses
  },
  'eight clients that ask without a pause, each time on a new connection': async (ask) => {
    const end = performance.now() + 5_000
    const statuses: number[] = []
    await many(8, async () => {
      while (performance.now() < end) statuses.push(await ask(2))
      return 0
    })
    return statuses
  },
}

describe('M42: a gate refuses nothing that is answered in time without it', () => {
  for (const { path: node, version } of NODES) {
    for (const [name, load] of Object.entries(LOADS)) {
      it(`Node ${version}: ${name}`, { timeout: 120_000 }, async () => {
        await using gated = await serve(node, 'gate')
        const statuses = await load(gated.ask)
        expect(statuses.length).toBeGreaterThan(100)
        expect(statuses.filter((status) => status !== 200)).toEqual([])
      })
    }
  }

  it('and without it all of that is answered', { timeout: 60_000 }, async () => {
    await using open = await serve(process.execPath, 'none')
    const statuses = await LOADS['bursts of 100 new connections with pauses between, each 5 ms of work']!(
      open.ask,
    )
    expect(statuses.filter((status) => status !== 200)).toEqual([])
  })

  it('in a lasting overload it refuses, so that what is served has not waited for long', {
    timeout: 120_000,
  }, async () => {
    await using gated = await serve(process.execPath, 'gate')
    let [served, refused] = [0, 0]
    const end = performance.now() + 6_000
    await many(200, async () => {
      while (performance.now() < end) {
        if ((await gated.ask(5)) === 200) served++
        else refused++
      }
      return 0
    })
    expect(refused).toBeGreaterThan(0)
    expect(served).toBeGreaterThan(200)
  })
})
