import { setImmediate as turn } from 'node:timers/promises'
import { FakeClock, serving } from '@spillway/kit/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as express from '../../src/express.js'
import { MemoryMonitor } from '../../src/index.js'
import { LoopBacklog } from '../../src/sampling/loop-backlog.js'
import { block } from '../support.js'

describe('for how long a request has waited', () => {
  let turns: LoopBacklog
  let clock: FakeClock
  const door = { atDoor: 0, looks: 0, rests: 0, closed: 0 }
  beforeEach(() => {
    Object.assign(door, { atDoor: 0, looks: 0, rests: 0, closed: 0 })
    clock = new FakeClock()
    turns = new LoopBacklog(
      {
        sample: () => door.looks++,
        ofLast: () => door.atDoor,
        ofNext: () => door.atDoor,
        pause: () => door.rests++,
        close: () => door.closed++,
      },
      clock,
    )
  })
  afterEach(() => turns.close())

  it('M42: since the first request of its turn came up, and no longer', async () => {
    turns.start()
    clock.advance(5_000) // other work of this turn: nothing says that a request was there
    expect(turns.waited(false)).toBe(0)
    clock.advance(40)
    expect(turns.waited(false)).toBe(40)
    clock.advance(30)
    expect(turns.waited(false)).toBe(70)
    await turn()
    clock.advance(900)
    expect(turns.waited(false)).toBe(0)
  })

  it('knows the longest piece of work between two requests', () => {
    turns.start()
    for (const piece of [4, 90, 4]) {
      clock.advance(piece)
      turns.waited(false)
    }
    expect(turns.longestTask).toBe(90)
    turns.pause()
    expect(turns.longestTask).toBe(0)
  })

  it('on a new connection, at the door as well', () => {
    turns.start()
    door.atDoor = 300
    expect([turns.waited(false), turns.waited(true)]).toEqual([0, 300])
    clock.advance(400)
    expect([turns.waited(false), turns.waited(true)]).toEqual([400, 400])
  })

  it('nothing is known before it follows, and after rest', async () => {
    door.atDoor = 300
    expect(turns.waited(true)).toBe(0)
    turns.start()
    expect(turns.waited(true)).toBe(300)
    turns.pause()
    expect([turns.waited(true), door.rests]).toEqual([0, 1])
    const { looks } = door
    await turn()
    await turn()
    expect(door.looks).toBe(looks)
  })

  it('keeps no process alive', () => {
    const before = process.getActiveResourcesInfo()
    turns.start()
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
