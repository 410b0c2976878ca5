import diagnosticsChannel from 'node:diagnostics_channel'
import type { Server } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AcceptDelay } from '../../src/sampling/accept-delay.js'
import { LoopBacklog } from '../../src/sampling/loop-backlog.js'
import { closeAll, FakeSystem, stand } from '../support.js'
import { type Costs, type Outcome, SimulatedLoop } from './simulated-loop.js'

afterEach(async () => {
  await closeAll()
  vi.unstubAllGlobals()
})

/** `per second` requests for so many milliseconds, evenly. */
function steady(perSecond: number, milliseconds: number): number[] {
  return Array.from({ length: (perSecond * milliseconds) / 1_000 }, (_, i) => (i * 1_000) / perSecond)
}

/** Each load in turn on one server with a gate, all by default; the outcome of the last one. */
function serve(costs: Costs, pool: number, loads: readonly (readonly number[])[]): Outcome {
  const loop = new SimulatedLoop(costs)
  vi.stubGlobal('setImmediate', loop.setImmediate)
  vi.stubGlobal('clearImmediate', loop.clearImmediate)
  const asked = {} as Server
  const door = new AcceptDelay(
    { server: asked, length: () => loop.backlog.length, close: () => {} },
    loop.clock,
  )
  const system = new FakeSystem()
  system.watchBacklog = () => new LoopBacklog(door, loop.clock)
  const { monitor } = stand({ clock: loop.clock }, system)
  const server = {
    admits: (fresh: boolean) => monitor.verdict(1, fresh).error === undefined,
    sample: (sample: FakeSystem['loop']) => {
      system.loop = sample
      monitor.sample()
    },
    accepted: () => diagnosticsChannel.channel('net.server.socket').publish({ socket: { server: asked } }),
  }
  const outcomes = loads.map((load) => loop.run(server, load, pool))
  return outcomes.at(-1)!
}

/** A request takes 4 ms: 250 fill a second. The cost of a refusal is derived from the figures of docs/benchmarks.md, for Express and for Fastify. */
const NEW = { pool: 0, costs: { served: 4, refused: 0.7 } }
const KEPT = { pool: 256, costs: { served: 4, refused: 0.14 } }
const CAPACITY = 250

describe('a server under more requests than it can serve, for ten seconds', () => {
  /** Answers within a second, as a share of what the server can do. */
  const servedInTime = ({ pool, costs }: typeof NEW, times: number) => {
    const { inTime } = serve(costs, pool, [steady(CAPACITY / 2, 2_000), steady(times * CAPACITY, 10_000)])
    return inTime / (CAPACITY * 10)
  }

  it.each([
    ['1.1 times as many over 256 kept connections', KEPT, 1.1, 0.98],
    ['twice as many over 256 kept connections', KEPT, 2, 0.95],
    ['three times as many over 256 kept connections', KEPT, 3, 0.92],
    ['five times as many over 256 kept connections', KEPT, 5, 0.8],
    ['1.1 times as many on new connections', NEW, 1.1, 0.96],
    ['twice as many on new connections', NEW, 2, 0.75],
    ['three times as many on new connections', NEW, 3, 0.55],
  ] as const)('serves in time what is promised: %s', (_name, site, times, promised) => {
    expect(servedInTime(site, times)).toBeGreaterThanOrEqual(promised)
  })

  it.each([
    ['kept', KEPT],
    ['new', NEW],
  ])(
    'M42: refuses nothing of nine tenths of what it can do, over %s connections',
    (_name, { pool, costs }) => {
      const { sent, inTime } = serve(costs, pool, [steady(0.9 * CAPACITY, 10_000)])
      expect(inTime).toBe(sent)
    },
  )

  it.each([
    ['kept', KEPT],
    ['new', NEW],
  ])('M42: refuses nothing of bursts with pauses between, over %s connections', (_name, { pool, costs }) => {
    const bursts = Array.from({ length: 10 }, (_, burst) => Array<number>(100).fill(burst * 1_000)).flat()
    const { sent, inTime } = serve(costs, pool, [bursts])
    expect(inTime).toBe(sent)
  })

  it('M42: refuses nothing of what comes after an overload', () => {
    for (const { pool, costs } of [KEPT, NEW]) {
      const calm = steady(CAPACITY / 2, 5_000)
      const { sent, inTime } = serve(costs, pool, [steady(3 * CAPACITY, 5_000), [5_000], calm])
      expect(inTime).toBe(sent)
    }
  })
})
