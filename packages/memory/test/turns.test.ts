import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { serving, until } from '@spillway/kit/testing'
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
  let waiting = 0
  let closed = 0
  beforeEach(() => {
    turns = new Turns(LIMIT, { length: () => waiting, close: () => closed++ })
    waiting = 0
    closed = 0
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
    turns.follow(true) // because of one that was late
    block(LONG)
    expect(turns.backlog(false)).toBe(0)
  })

  it('two late ones are: from then on, what a turn has done so far is the queue', async () => {
    turns.follow(true)
    await late(1)
    block(LONG)
    expect(turns.backlog(false)).toBeGreaterThanOrEqual(LONG)
    turns.follow(true) // already: changes nothing
    expect(turns.backlog(false)).toBeGreaterThanOrEqual(LONG)
  })

  it('late ones are forgotten after two seconds of work', { timeout: 60_000 }, async () => {
    turns.follow(true)
    await late(2)
    expect(turns.backlog(false)).toBeGreaterThan(0)
    await until(
      async () => {
        block(LIMIT / 4)
        await turn()
        return turns.backlog(false) === 0
      },
      'they are forgotten',
      50_000,
    )
    block(LONG)
    expect(turns.backlog(false)).toBe(0)
  })

  it('waiting for work is no work', async () => {
    turns.follow(true)
    await late(1)
    const before = turns.backlog(false)
    await sleep(10 * LONG)
    expect(turns.backlog(false) - before).toBeLessThan(5 * LONG)
  })

  it('the first request of a connection has waited at the door, a turn for each that stands there', async () => {
    turns = new Turns(60_000, { length: () => waiting, close: () => closed++ })
    turns.follow(true)
    const backlogs = async (length: number) => {
      waiting = length
      block(LONG)
      await turn()
      return [turns.backlog(true), turns.backlog(false)]
    }
    expect(await backlogs(0)).toEqual([0, 0])
    expect(await backlogs(7)).toEqual([0, 0]) // a handful comes together by chance
    const [fresh, other] = await backlogs(500)
    expect(fresh).toBeGreaterThan(500 * (LONG / 10))
    expect(other).toBe(0)
    // The last of them have waited for as long as the others took.
    expect((await backlogs(3))[0]).toBeGreaterThanOrEqual(LONG)
    expect(await backlogs(0)).toEqual([0, 0])
  })

  it('nothing is followed any more after rest', async () => {
    turns.follow(true)
    await late(2)
    turns.rest()
    expect(closed).toBe(1)
    block(LONG)
    expect(turns.backlog(true)).toBe(0)
  })

  it('keeps no process alive', () => {
    const before = process.getActiveResourcesInfo()
    turns.follow(true)
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
