import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { serving } from '@spillway/kit/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as express from '../src/express.js'
import { MemoryMonitor } from '../src/index.js'
import { Turns } from '../src/turns.js'

const LIMIT = 200
const LONG = 300

function block(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

describe('turns of the event loop', () => {
  let turns: Turns
  beforeEach(() => {
    turns = new Turns(LIMIT)
  })
  afterEach(() => turns.rest())

  /** Long turns, one after the other; ends within the one that follows. */
  async function late(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      block(LONG)
      await turn()
    }
  }

  it('M15: a late one alone is no crowd', async () => {
    turns.follow() // because of one that was late
    block(LONG)
    expect(turns.backlog()).toBe(0)
  })

  it('two late ones are: from then on, what a turn has done so far is the queue', async () => {
    turns.follow()
    await late(1)
    block(LONG)
    expect(turns.backlog()).toBeGreaterThanOrEqual(LONG)
    turns.follow() // already: changes nothing
    expect(turns.backlog()).toBeGreaterThanOrEqual(LONG)
  })

  it('a turn that is on time ends it', async () => {
    turns.follow()
    await late(2)
    await expect.poll(() => turns.backlog(), { timeout: 20_000 }).toBe(0)
    block(LONG)
    expect(turns.backlog()).toBe(0)
  })

  it('waiting for work is no work', async () => {
    turns.follow()
    await late(1)
    const before = turns.backlog()
    await sleep(10 * LONG)
    expect(turns.backlog() - before).toBeLessThan(5 * LONG)
  })

  it('nothing is followed any more after rest', async () => {
    turns.follow()
    await late(2)
    turns.rest()
    block(LONG)
    expect(turns.backlog()).toBe(0)
  })

  it('keeps no process alive', () => {
    const before = process.getActiveResourcesInfo()
    turns.follow()
    expect(process.getActiveResourcesInfo()).toEqual(before)
  })
})

it('M15, M16: a loop that was pinned: all who waited are served, and it is alive and ready at once', {
  timeout: 60_000,
}, async () => {
  await using monitor = new MemoryMonitor({
    startupGrace: 0,
    sampleEvery: 20,
    marks: { delay: { elevated: [1_000, 2_000], critical: [2_000, 2_500] }, utilization: false },
  })
  const site = {
    routes: {
      'GET /': () => ({}),
      'GET /pin': () => {
        block(3_000)
        return {}
      },
    },
    mounts: {
      express: (app) => {
        app.get('/healthz', express.health(monitor))
        app.get('/readyz', express.readiness(monitor))
        app.use(express.shedLoad(monitor))
      },
      fastify: () => {},
      koa: () => {},
    },
  } satisfies Parameters<typeof serving>[1]
  await serving('express5', site, async (app) => {
    await app.ask('/')
    const paths = ['/pin', '/healthz', '/readyz', '/', '/', '/', '/']
    const answers = await Promise.all(paths.map((path) => app.ask(path)))
    expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 200))
    for (let i = 0; i < 20; i++) expect((await app.ask('/')).status).toBe(200)
    expect(monitor.stats().refused).toBe(0)
    expect(monitor.level).toBe('ok')
  })
})
