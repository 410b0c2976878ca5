import { gateSuite, probeSuite } from '@spillway/kit/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { drainGate as expressDrainGate, health as expressHealth } from '../../src/express.js'
import { drainGate as fastifyDrainGate, health as fastifyHealth } from '../../src/fastify.js'
import { drainGate as koaDrainGate, health as koaHealth } from '../../src/koa.js'
import { drainVerdict } from '../../src/worker/drain-gate.js'
import { Health } from '../../src/worker/health.js'
import { lifecycle } from '../../src/worker/lifecycle.js'

const life = lifecycle()

afterEach(() => {
  life.phase = 'ready'
  life.stopping = false
})

gateSuite('drainGate', {
  setup(mode) {
    life.phase = mode === 'admit' ? 'ready' : 'refusing'
    return {
      express: (app) => app.use(expressDrainGate()),
      fastify: (app) => app.register(fastifyDrainGate),
      koa: (app) => app.use(koaDrainGate()),
      close: () => {
        life.phase = 'ready'
      },
    }
  },
  refusal: { status: 503, code: 'ERR_CLUSTER_DRAINING', headers: ['retry-after', 'connection'] },
  optOut: { drainGate: false },
})

for (const [path, unhealthy] of [
  ['/readyz', 503],
  ['/healthz', false],
] as const) {
  probeSuite(`health on ${path}`, {
    path,
    setup(healthy) {
      life.stopping = !healthy
      return {
        express: (app) => app.use(expressHealth()),
        fastify: (app) => app.register(fastifyHealth),
        koa: (app) => app.use(koaHealth()),
        close: () => {
          life.stopping = false
        },
      }
    },
    unhealthy,
  })
}

describe('health', () => {
  it('K31 says no before the process is ready and when the whole service stops, but not in a reload', async () => {
    const health = new Health()
    const ready = async () => (await health.at('/readyz'))?.status
    life.phase = 'starting'
    expect(await ready()).toBe(503)
    life.phase = 'ready'
    expect(await ready()).toBe(200)
    life.phase = 'draining'
    expect(await ready()).toBe(200)
    life.stopping = true
    expect(await ready()).toBe(503)
    expect((await health.at('/healthz'))?.status).toBe(200)
  })

  it('asks the checks for readiness, and does not wait for ever', async () => {
    const health = new Health({
      checks: {
        fine: () => true,
        refuses: () => Promise.reject(new Error('down')),
        says: () => false,
        hangs: () => new Promise(() => {}),
      },
      timeout: 20,
    })
    expect(await health.at('/readyz')).toMatchObject({
      status: 503,
      body: {
        status: 'failing',
        checks: { fine: 'ok', refuses: 'failed', says: 'failed', hangs: 'timeout' },
      },
    })
  })

  it('knows its options', () => {
    expect(() => new Health({ live: 'healthz' })).toThrow(/a path that begins with "\/"/)
    expect(new Health({ ready: false }).at('/readyz')).toBeUndefined()
  })
})

describe('drainVerdict', () => {
  it('refuses only when a connection should have ended by now; at once when strict', () => {
    const lenient = drainVerdict()
    const strict = drainVerdict({ strict: true, retryAfter: '3s' })
    life.phase = 'draining'
    expect(lenient().error).toBeUndefined()
    expect(strict().error).toMatchObject({
      status: 503,
      headers: { 'Retry-After': '3', Connection: 'close' },
    })
    life.phase = 'refusing'
    expect(lenient().error?.code).toBe('ERR_CLUSTER_DRAINING')
  })
})
