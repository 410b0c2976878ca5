import { fileURLToPath } from 'node:url'
import { type App, spawnApp } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import type { Level, Reason } from '../../src/index.js'
import type { MemoryUse } from '../../src/sampling/limits.js'
import type { Pressure } from '../../src/sampling/pressure.js'
import { scratch } from '../scratch.js'
import { MB } from '../support.js'
import { makeGroup, type RealGroup } from './memory-group.js'

const LIMIT = 200 * MB
const fixture = fileURLToPath(new URL('../fixtures/in-group.mjs', import.meta.url))

/** Root in a container mostly may make a group, a user on a laptop mostly not. The trees of limits.test.ts stand in there. */
const probe = makeGroup(LIMIT)
const why = typeof probe === 'string' ? probe : ''
if (typeof probe !== 'string') await probe[Symbol.asyncDispose]()

function group(high?: number): RealGroup {
  const made = makeGroup(LIMIT, high)
  if (typeof made === 'string') throw new Error(made)
  return made
}

interface Look {
  readonly event: Level | 'start' | 'look' | 'end'
  readonly level: Level
  readonly reasons: readonly Reason[]
  readonly memory: MemoryUse
  readonly pressure: Pressure
}

/** What it has printed; the last line may have been cut short. */
function looksOf(app: App): Look[] {
  return app.lines.filter(({ text }) => text.endsWith('}')).map(({ text }) => JSON.parse(text) as Look)
}

describe('M2, M6, M21: in a control group of the kernel', () => {
  it('the limit is found, and critical comes before the kill', { timeout: 120_000 }, async (context) => {
    context.skip(why !== '', why)
    await using real = group()
    await using app = spawnApp(fixture, { args: [real.members, 'heap'] })
    expect(await app.exited).toEqual({ code: null, signal: 'SIGKILL' })
    const looks = looksOf(app)
    expect(looks[0]).toMatchObject({
      event: 'start',
      level: 'ok',
      memory: { limit: LIMIT, source: `cgroup:${real.directory}` },
    })
    expect(looks[0]!.memory.used).toBeLessThan(LIMIT / 2)
    const changes = looks.filter(({ event }) => event !== 'look' && event !== 'start')
    expect(changes.map(({ event }) => event)).toEqual(['elevated', 'critical'])
    const critical = changes[1]!
    const reasons = changes.flatMap((change) => change.reasons)
    expect(reasons.length).toBeGreaterThan(0)
    for (const reason of reasons) {
      expect(reason).toMatchObject({ limit: LIMIT, source: `cgroup:${real.directory}` })
    }
    expect(critical.memory.used).toBeLessThanOrEqual(LIMIT)
    // There was time to do something: some looks lie between.
    expect(looks.length - looks.indexOf(critical)).toBeGreaterThan(2)
  })

  it('page cache that fills it is seen, and is no alarm', { timeout: 120_000 }, async (context) => {
    context.skip(why !== '', why)
    await using real = group()
    await using directory = await scratch()
    await using app = spawnApp(fixture, { args: [real.members, 'cache', directory.path] })
    expect(await app.exited).toEqual({ code: 0, signal: null })
    const looks = looksOf(app)
    expect(looks.at(-1)?.event).toBe('end')
    // The kernel had to make room many times over...
    expect(Math.max(...looks.map(({ pressure }) => pressure.limitHits))).toBeGreaterThan(0)
    // ...which is no use that counts.
    expect(looks.map(({ event }) => event)).not.toContain('critical')
    expect(looks.at(-1)!.memory.used).toBeLessThan(0.7 * LIMIT)
  })

  it('memory.high binds before memory.max', { timeout: 120_000 }, async (context) => {
    context.skip(why !== '', why)
    const high = 150 * MB
    await using real = group(high)
    context.skip(real.version === 1, 'cgroup v1 has no memory.high')
    await using app = spawnApp(fixture, { args: [real.members, 'heap'] })
    await app.waitForLine(/"critical"/, { timeout: 100_000 })
    const looks = looksOf(app)
    expect(looks[0]!.memory.limit).toBe(high)
    expect(looks.at(-1)!.reasons.map(({ limit }) => limit)).toContain(high)
  })
})
