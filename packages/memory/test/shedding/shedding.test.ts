import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { ask, start, until } from '@spillway/kit/testing'
import Fastify from 'fastify'
import { afterEach, describe, expect, it, vi } from 'vitest'
import * as fastifyAdapter from '../../src/fastify.js'
import { type Level, OverloadedError, RejectedError, shedLoad } from '../../src/index.js'
import * as koaAdapter from '../../src/koa.js'
import { closeAll, FakeSystem, GB, MB, stand } from '../support.js'

afterEach(closeAll)

/** A machine with 1 GB for the process, of which a share is in use. */
function machine(share = 0.1): FakeSystem {
  const system = new FakeSystem()
  system.ram = GB
  system.usage.rss = share * GB
  return system
}

function changes(monitor: ReturnType<typeof stand>['monitor']): Level[] {
  const seen: Level[] = []
  monitor.on('level', (level) => seen.push(level))
  return seen
}

describe('levels', () => {
  it('M13: a sawtooth around the mark changes the level at most once', () => {
    const { system, monitor, pass } = stand({}, machine())
    const seen = changes(monitor)
    let step = 0
    // The collector's sawtooth: up for a second, down at once, between 73 % and 83 %, for a minute.
    pass(60_000, () => {
      system.usage.rss = (0.73 + 0.025 * (step++ % 5)) * GB
    })
    expect(seen.length).toBeLessThanOrEqual(1)
  })

  it('M13: a step up and a step down are one change each', () => {
    const { system, monitor, pass } = stand({}, machine())
    const seen = changes(monitor)
    system.usage.rss = 0.95 * GB
    pass(5_000)
    system.usage.rss = 0.1 * GB
    pass(10_000)
    expect(seen).toEqual(['critical', 'ok'])
  })

  it('M13: a slow ramp and its return pass through every level once', () => {
    const { system, monitor, pass } = stand({}, machine())
    const seen = changes(monitor)
    let step = 0
    const ramp = () => {
      system.usage.rss = (0.5 + 0.5 * Math.sin((step++ / 400) * Math.PI)) * GB
    }
    pass(100_000, ramp)
    expect(seen).toEqual(['elevated', 'critical', 'elevated', 'ok'])
  })

  it('M14: heals leaveAfter after the last bad sample, and says with which numbers it was bad', () => {
    const { system, monitor, pass, clock } = stand({ leaveAfter: '3s' }, machine())
    const told: unknown[] = []
    monitor.on('level', (level, reasons) => told.push([level, clock.now(), reasons]))
    system.usage.rss = 0.95 * GB
    pass(1_000)
    system.usage.rss = 0.2 * GB
    pass(4_000)
    expect(told).toEqual([
      [
        'critical',
        750,
        [
          {
            signal: 'memory',
            level: 'critical',
            value: 0.95 * GB,
            limit: GB,
            unit: 'bytes',
            source: 'ram',
          },
        ],
      ],
      ['ok', 4_250, []],
    ])
  })

  it('M14: one bad sample is no level', () => {
    const { system, monitor, pass } = stand({}, machine())
    const seen = changes(monitor)
    system.usage.rss = 0.99 * GB
    pass(250)
    system.usage.rss = 0.1 * GB
    pass(10_000)
    expect(seen).toEqual([])
  })

  it('M17: Buffers are a signal of their own: 700 MB of them in 1 GB, with an idle heap', () => {
    const { system, monitor, pass } = stand({}, machine())
    system.usage.external = system.usage.arrayBuffers = 700 * MB
    pass(1_000)
    expect(monitor.reasons.map(({ signal, level }) => [signal, level])).toEqual([['external', 'elevated']])
  })

  it('the app has a say, and a broken say says nothing', () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    let answer: () => Level = () => 'elevated'
    const { monitor, pass } = stand({ health: () => answer() }, machine())
    pass(1_000)
    expect(monitor.level).toBe('elevated')
    answer = () => {
      throw new Error('no answer')
    }
    pass(4_000)
    expect(monitor.level).toBe('ok')
    expect(warned).toHaveBeenCalledTimes(1)
  })

  it('a listener that throws breaks nothing', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { system, monitor, pass } = stand({}, machine())
    monitor.on('level', () => {
      throw new Error('mine')
    })
    system.usage.rss = 0.99 * GB
    pass(1_000)
    expect(monitor.overloaded).toBe(true)
    expect(warned).toHaveBeenCalled()
  })
})

describe('the event loop', () => {
  const late = (p99: number) => ({ p50: 0, p99, max: p99, utilization: 0.5 })

  it('M15: a single block of 900 ms refuses nobody', () => {
    const { system, monitor, pass } = stand({}, machine())
    // Both histograms have seen it: two samples tell of one block.
    system.loop = late(900)
    pass(500)
    system.loop = late(0)
    for (let i = 0; i < 100; i++) {
      expect(monitor.verdict().error).toBeUndefined()
      pass(250)
    }
  })

  const crowded = (p99: number) => ({ p50: 0, p99, max: p99, utilization: 1 })

  it('M15: lasting lateness in an overload refuses a growing share, and none of it half a minute later', () => {
    const { system, monitor, pass } = stand({}, machine())
    system.loop = crowded(300)
    pass(5_000)
    expect(monitor.stats().shedShare).toBe(0) // a busy loop, but no request has waited
    system.waited = 300
    pass(1_000, () => monitor.verdict())
    system.waited = 0
    const early = monitor.stats().shedShare
    expect(early).toBeGreaterThan(0)
    pass(750)
    expect(monitor.stats().shedShare).toBeGreaterThan(early)
    let refused = 0
    for (let i = 0; i < 100; i++) if (monitor.verdict().error !== undefined) refused++
    expect(refused / 100).toBeCloseTo(monitor.stats().shedShare, 1)
    system.loop = late(0)
    pass(6_000)
    expect(monitor.calm).toBe(true)
    expect(monitor.verdict().error).toBeUndefined()
  })

  it('M42: a loop that waits for work now and then refuses nobody, however late it is', () => {
    for (const p99 of [80, 300, 900, 5_000]) {
      const { system, monitor, pass } = stand({}, machine())
      system.waited = p99
      system.loop = { p50: 0, p99, max: p99, utilization: 0.99 }
      for (let i = 0; i < 100; i++) {
        pass(250)
        for (const priority of [0, 1] as const) expect(monitor.verdict(priority, true).error).toBeUndefined()
      }
      expect([monitor.calm, system.followed]).toEqual([true, false])
    }
  })

  it('M42: in an overload, a loop that is very late does not refuse all: who has not waited is served', () => {
    const { system, monitor, pass } = stand({}, machine())
    system.loop = crowded(3_000)
    pass(8_000)
    system.waited = 300
    expect(monitor.verdict().error).toBeDefined()
    system.waited = 0
    pass(250)
    expect(monitor.level).toBe('critical')
    const served = Array.from({ length: 5 }, () => monitor.verdict()).filter(
      ({ error }) => error === undefined,
    )
    expect(served.length).toBeGreaterThan(0)
    expect(monitor.verdict(0).error).toBeDefined()
  })

  it('M42, M49: waits are measured in an overload, and no more after a second of an idle loop', () => {
    const { system, monitor, pass } = stand({}, machine())
    system.loop = crowded(20)
    pass(2_000)
    expect([monitor.calm, system.followed]).toEqual([false, true])
    system.loop = { p50: 0, p99: 900, max: 900, utilization: 0.45 }
    system.waited = 900
    pass(1_000)
    expect([monitor.calm, system.followed]).toEqual([true, false])
    expect(monitor.verdict(1, true).error).toBeUndefined()
  })

  it('M15: in an overload, those are refused that have waited for too long', () => {
    const marks = { delay: { elevated: [100, 200] }, utilization: false } as const
    const { system, monitor, pass } = stand({ marks }, machine())
    system.loop = crowded(80) // long turns, but no level
    pass(2_000)
    system.waited = 249
    expect(monitor.verdict().error).toBeUndefined()
    system.waited = 250
    expect(monitor.verdict().error).toBeDefined()
    expect([monitor.level, monitor.calm, system.followed]).toEqual(['ok', false, true])
    const refused = (waited: number) => {
      system.waited = waited
      return ([0, 1, 2] as const).filter((priority) => monitor.verdict(priority).error !== undefined)
    }
    expect(refused(0)).toEqual([])
    expect(refused(24)).toEqual([])
    expect(refused(25)).toEqual([0])
    expect(refused(49)).toEqual([0])
    expect(refused(50)).toEqual([0, 1]) // half of what the loop must come down to
    system.acceptDelay = 50 // others stand at the door: turns are kept short, so that they come in
    expect([refused(2), refused(3), refused(5)]).toEqual([[], [0], [0, 1]])
    system.acceptDelay = 0
    system.waited = 50
    const { error } = monitor.verdict()
    expect(error instanceof OverloadedError && error.reasons).toEqual([
      {
        signal: 'delay',
        level: 'elevated',
        value: 50,
        limit: 50,
        unit: 'ms',
        source: 'queue of the event loop',
      },
    ])
    system.loop = late(0)
    pass(1_000)
    expect([monitor.calm, system.followed]).toEqual([true, false])
    expect(refused(1_000)).toEqual([])
  })

  it('no overload is looked for when the delay is no signal, while the process starts, and after the end', async () => {
    for (const options of [
      { marks: { delay: false, utilization: false } },
      { startupGrace: '15s' },
    ] as const) {
      const { system, monitor, pass } = stand(options, machine())
      system.loop = crowded(400)
      pass(2_000)
      expect([monitor.calm, system.followed]).toEqual([true, false])
    }
    const { system, monitor, pass } = stand({}, machine())
    system.loop = crowded(400)
    pass(2_000)
    await monitor.close()
    expect([monitor.calm, system.followed]).toEqual([true, false])
  })

  it('signals of time do not count while the process starts, signals of memory do', () => {
    const { system, monitor, pass } = stand({ startupGrace: '15s' }, machine())
    system.loop = late(5_000)
    pass(5_000)
    expect(monitor.level).toBe('ok')
    system.usage.rss = 0.99 * GB
    pass(1_000)
    expect(monitor.level).toBe('critical')
  })

  it('a busy loop that is not late is elevated at most', () => {
    const { system, monitor, pass } = stand({}, machine())
    system.loop = { p50: 1, p99: 5, max: 9, utilization: 1 }
    pass(10_000)
    expect(monitor.level).toBe('elevated')
    expect(monitor.verdict(1).error).toBeUndefined()
  })
})

describe('refusals', () => {
  it('by priority: elevated refuses 0, critical 0 and 1, nothing refuses 2', () => {
    const verdicts = (level: Level) => {
      const { monitor, pass } = stand({ health: () => level }, machine())
      pass(1_000)
      return ([0, 1, 2] as const).map((priority) => monitor.verdict(priority).error?.code)
    }
    const code = 'ERR_MEMORY_OVERLOADED'
    expect(verdicts('ok')).toEqual([undefined, undefined, undefined])
    expect(verdicts('elevated')).toEqual([code, undefined, undefined])
    expect(verdicts('critical')).toEqual([code, code, undefined])
  })

  it('Retry-After follows how long trouble lasts, with jitter up to half as much again', () => {
    let level: Level = 'critical'
    let random = 0
    const { monitor, pass } = stand({ health: () => level, random: () => random }, machine())
    pass(1_000)
    expect(monitor.verdict().headers['Retry-After']).toBe('3') // leaveAfter, the first guess
    random = 0.999
    expect(monitor.verdict().headers['Retry-After']).toBe('5')
    pass(30_000)
    level = 'ok'
    pass(4_000)
    level = 'critical'
    pass(1_000)
    random = 0
    expect(Number(monitor.verdict().headers['Retry-After'])).toBeGreaterThan(10)
  })

  it('tells the reasons to the app and not to the client', () => {
    const { system, monitor, pass } = stand({}, machine(0.99))
    pass(1_000)
    const { error } = monitor.verdict()
    expect(error).toBeInstanceOf(OverloadedError)
    expect(error).toBeInstanceOf(RejectedError)
    expect(error instanceof OverloadedError && error.reasons[0]?.value).toBe(system.usage.rss)
    expect(error?.message).not.toMatch(/\d/)
  })

  it('M12: health and metrics routes go through, on plain node:http too', async () => {
    const { monitor, pass } = stand({ health: () => 'critical' }, machine())
    pass(1_000)
    const gate = shedLoad(monitor)
    const server = createServer((request, response) => {
      gate(request, response, (error) => {
        response.statusCode = error instanceof RejectedError ? error.status : 200
        response.end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
    try {
      const statuses = await Promise.all(
        ['/', '/healthz', '/healthz?full=1', '/metrics', '/readyz', '/healthz/deeper', '/x?/healthz'].map(
          async (path) => (await ask(`${origin}${path}`)).status,
        ),
      )
      expect(statuses).toEqual([503, 200, 200, 200, 200, 503, 503])
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it('M12: liveness stays 200 through critical, readiness turns 503', async () => {
    const { monitor, pass } = stand({ health: () => 'critical' }, machine())
    pass(1_000)
    const app = Fastify()
    await app.register(fastifyAdapter.shedLoad, {
      monitor,
      priority: ({ method }) => (method === 'GET' ? 0 : 2),
    })
    app.get('/healthz', fastifyAdapter.health(monitor))
    app.get('/readyz', fastifyAdapter.readiness(monitor))
    app.get('/', () => 'page')
    app.post('/order', () => 'order')
    app.get('/free', { config: { shedLoad: false } }, () => 'free')
    app.get('/dear', { config: { shedLoad: { priority: 2 } } }, () => 'dear')
    const status = async (method: 'GET' | 'POST', url: string) =>
      (await app.inject({ method, url })).statusCode
    try {
      expect(await status('GET', '/healthz')).toBe(200)
      expect(await status('GET', '/readyz')).toBe(503)
      expect(await status('GET', '/')).toBe(503)
      expect(await status('POST', '/order')).toBe(200)
      expect(await status('GET', '/free')).toBe(200)
      expect(await status('GET', '/dear')).toBe(200)
    } finally {
      await app.close()
    }
  })

  it('skip and priority see the request of the framework', async () => {
    const { monitor, pass } = stand({ health: () => 'critical' }, machine())
    pass(1_000)
    const gate = koaAdapter.shedLoad(monitor, {
      skip: (ctx) => ctx.get('x-probe') === 'yes',
      priority: (ctx) => (ctx.method === 'POST' ? 2 : 1),
    })
    const app = await start('koa3', {
      routes: { 'GET /': () => ({}), 'POST /': () => ({}) },
      mounts: { express: () => {}, fastify: () => {}, koa: (koa) => koa.use(gate) },
    })
    try {
      expect((await app.ask('/')).status).toBe(503)
      expect((await app.ask('/', { headers: { 'x-probe': 'yes' } })).status).toBe(200)
      expect((await app.ask('/', { method: 'POST' })).status).toBe(200)
    } finally {
      await app.close()
    }
  })

  it('M34: a request reads no memory figures', () => {
    const { system, monitor, pass } = stand({}, machine(0.99))
    pass(1_000)
    const before = system.usageReads
    for (let i = 0; i < 10_000; i++) monitor.verdict()
    expect(system.usageReads).toBe(before)
    expect(system.usageReads).toBeLessThanOrEqual(monitor.stats().samples)
  })
})

describe('replacement', () => {
  it('M33: is asked for once a minute while memory is critical, never in the start-up grace', async () => {
    const asked: number[] = []
    const { monitor, pass, clock } = stand(
      { startupGrace: '15s', replacement: () => asked.push(clock.now()) },
      machine(1.1),
    )
    const told = vi.fn()
    monitor.on('replace', told)
    pass(14_000)
    await until(() => monitor.overloaded, 'critical')
    expect(told).not.toHaveBeenCalled()
    pass(90_000)
    await until(() => asked.length === 2, 'two requests')
    expect(told).toHaveBeenCalledTimes(2)
    expect(monitor.stats().replacementsAsked).toBe(2)
  })

  it('M28: at 90 % of the heap it asks for a replacement and writes no snapshot', async () => {
    const replacement = vi.fn()
    const system = machine()
    system.heap = 100 * MB
    const { monitor, pass } = stand({ replacement }, system)
    system.usage.heapUsed = 94 * MB
    pass(2_000)
    await until(() => replacement.mock.calls.length === 1, 'the request')
    expect(replacement.mock.calls[0]?.[0][0]).toMatchObject({ signal: 'heap', level: 'critical' })
    expect(monitor.stats().snapshots).toBe(0)
  })

  it('a late loop is no reason for a new process', () => {
    const replacement = vi.fn()
    const { system, monitor, pass } = stand({ replacement }, machine())
    system.loop = { p50: 900, p99: 3_000, max: 3_000, utilization: 1 }
    pass(5_000)
    expect(monitor.level).toBe('critical')
    expect(monitor.stats().replacementsAsked).toBe(0)
  })

  it('a callback that fails is a warning', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { pass } = stand({ replacement: () => Promise.reject(new Error('no supervisor')) }, machine(0.99))
    pass(2_000)
    await until(() => warned.mock.calls.length > 0, 'the warning')
  })
})

it('M49: whether a request is the first of its connection is asked only while waits are measured', () => {
  const { monitor, system, pass } = stand({ health: () => 'elevated' })
  let asked = 0
  const socket = {
    get bytesWritten() {
      asked++
      return 0
    },
  }
  const gate = shedLoad(monitor)
  const ask = () => gate({ url: '/', socket } as IncomingMessage, {} as ServerResponse, () => {})
  pass(1_000)
  expect(monitor.calm).toBe(false)
  for (let i = 0; i < 100; i++) ask()
  expect(asked).toBe(0)
  system.loop = { ...system.loop, utilization: 1 }
  pass(250)
  for (let i = 0; i < 100; i++) ask()
  expect(asked).toBe(100)
})
