import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PlannedWorker, plan } from '../../src/fleet/plan.js'
import type { WorkerState } from '../../src/spawn/worker-state.js'

interface World {
  workers: PlannedWorker[]
  target: number
  surge: number
  nextId: number
}

const ready = ({ workers }: World) => workers.filter(({ state }) => state === 'ready').length
const living = ({ workers }: World) => workers.filter(({ state }) => state !== 'draining').length

function step(world: World, held = 0, stopping = false): { forked: number; drained: number[] } {
  const { fork, drain } = plan({ ...world, held, stopping })
  for (let i = 0; i < fork; i++) {
    world.workers.push({ id: world.nextId++, state: 'starting', outdated: false })
  }
  world.workers = world.workers.map((worker) =>
    drain.includes(worker.id) ? { ...worker, state: 'draining' as WorkerState } : worker,
  )
  return { forked: fork, drained: [...drain] }
}

function change(world: World, id: number, to: Partial<PlannedWorker> | 'gone'): void {
  world.workers =
    to === 'gone'
      ? world.workers.filter((worker) => worker.id !== id)
      : world.workers.map((worker) => (worker.id === id ? { ...worker, ...to } : worker))
}

function grown(target: number, surge = 1): World {
  const world: World = { workers: [], target, surge, nextId: 1 }
  step(world)
  for (const { id } of world.workers) change(world, id, { state: 'ready' })
  return world
}

describe('plan', () => {
  it('forks the first generation at once', () => {
    expect(plan({ workers: [], target: 4, surge: 1, held: 0, stopping: false })).toEqual({
      fork: 4,
      drain: [],
    })
  })

  it('replaces one after the other in a reload, the replacement first', () => {
    const world = grown(3)
    for (const { id } of world.workers) change(world, id, { outdated: true })
    const log: string[] = []
    for (let round = 0; round < 10; round++) {
      const { forked, drained } = step(world)
      if (forked || drained.length) log.push(`+${forked} -${drained.length}`)
      for (const { id, state } of world.workers)
        if (state === 'starting') change(world, id, { state: 'ready' })
    }
    expect(log).toEqual(['+1 -0', '+1 -1', '+1 -1', '+0 -1'])
  })

  it('keeps the place of a crashed worker empty as long as it is held', () => {
    const world = grown(2)
    change(world, 1, 'gone')
    expect(step(world, 1).forked).toBe(0)
    expect(step(world, 0).forked).toBe(1)
  })

  it('scales down by workers that are not ready yet, then by the youngest', () => {
    const world = grown(2)
    world.target = 4
    step(world)
    world.target = 1
    expect(step(world).drained.sort()).toEqual([2, 3, 4])
  })

  it('K12 forks nothing and drains everything while stopping', () => {
    const world = grown(3)
    change(world, 1, 'gone')
    expect(step(world, 0, true)).toEqual({ forked: 0, drained: [2, 3] })
  })

  it('never tells a ready worker to leave when too few would be left, never exceeds target and surge, and settles', () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constantFrom('ready', 'late', 'beat', 'crash', 'outdate'), pick: fc.nat() }),
      fc.record({ kind: fc.constant('scale'), pick: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constant('reload'), pick: fc.constant(0) }),
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 3 }),
        fc.array(event, { maxLength: 40 }),
        (target, surge, events) => {
          const world = grown(target, surge)
          let most = target
          for (const { kind, pick } of events) {
            const chosen = world.workers[pick % Math.max(1, world.workers.length)]
            if (kind === 'scale') world.target = pick
            else if (kind === 'reload') {
              world.workers = world.workers.map((worker) => ({ ...worker, outdated: true }))
            } else if (chosen !== undefined) happen(world, chosen, kind)
            most = Math.max(most, world.target)
            const before = ready(world)
            const forkedTo = living(world)
            step(world)
            expect(ready(world)).toBeGreaterThanOrEqual(Math.min(before, world.target))
            expect(living(world)).toBeLessThanOrEqual(Math.max(forkedTo, world.target + surge))
          }
          for (let round = 0; round < 60; round++) {
            step(world)
            for (const { id, state } of world.workers) {
              if (state === 'draining') change(world, id, 'gone')
              else change(world, id, { state: 'ready' })
            }
          }
          expect(world.workers).toHaveLength(world.target)
          expect(world.workers.every(({ state, outdated }) => state === 'ready' && !outdated)).toBe(true)
        },
      ),
      { numRuns: 200 },
    )
  })
})

function happen(world: World, { id, state }: PlannedWorker, kind: string): void {
  if (kind === 'ready' && state === 'starting') change(world, id, { state: 'ready' })
  if (kind === 'late' && state === 'ready') change(world, id, { state: 'suspect' })
  if (kind === 'beat' && state === 'suspect') change(world, id, { state: 'ready' })
  if (kind === 'outdate') change(world, id, { outdated: true })
  if (kind === 'crash') change(world, id, 'gone')
}
