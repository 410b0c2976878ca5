import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnApp } from '@spillway/testkit'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { AllocationProfile, stacksOf } from '../src/heap/allocation-profile.js'
import { sitesOf } from '../src/leak/allocation-sites.js'
import { SourceMaps } from '../src/leak/source-maps.js'
import { V8GcMeter } from '../src/sampling/gc-meter.js'
import { realSystem } from '../src/sampling/system.js'
import { scratch } from './scratch.js'
import { MB } from './support.js'

function has<Name extends string>(name: Name) {
  return (message: unknown): message is Readonly<Record<Name, unknown>> =>
    typeof message === 'object' && message !== null && name in message
}

describe('M33: a worker over its limit', () => {
  it('asks its supervisor for a successor, and its requests are finished', { timeout: 90_000 }, async () => {
    await using app = spawnApp(fileURLToPath(new URL('./fixtures/worker.mjs', import.meta.url)), {
      ipc: true,
    })
    const timeout = 60_000
    const { port } = await app.waitForMessage(has('port'), { timeout })
    const answer = fetch(`http://127.0.0.1:${port}/`).then((response) => response.text())
    await app.waitForMessage(has('begun'), { timeout })
    const asked = await app.waitForMessage(has('type'), { timeout })
    expect(asked).toEqual({ spillway: 'cluster', type: 'replace', reason: 'memory' })
    app.send('leave')
    expect(await answer).toBe('whole')
    expect(await app.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a place in built code', () => {
  const source = [
    'interface Visit {',
    '  page: string',
    '}',
    '',
    'export function remember(visit: Visit) {',
    '  return visit',
    '}',
    '',
  ].join('\n')
  const build = (options: ts.CompilerOptions) =>
    ts.transpileModule(source, {
      fileName: 'visits.ts',
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, ...options },
    })

  async function original(directory: string, text: string) {
    const built = join(directory, 'visits.js')
    await writeFile(built, text)
    const line = text.split('\n').findIndex((row) => row.includes('function remember')) + 1
    return new SourceMaps().original({ function: 'remember', url: `file://${built}`, line, column: 17 })
  }

  it('is led back by a map beside it', async () => {
    await using directory = await scratch()
    const { outputText, sourceMapText } = build({ sourceMap: true })
    await writeFile(join(directory.path, 'visits.js.map'), sourceMapText ?? '')
    const frame = await original(directory.path, outputText)
    expect([frame.url, frame.line]).toEqual([join(directory.path, 'visits.ts'), 5])
  })

  it('is led back by a map within it', async () => {
    await using directory = await scratch()
    const frame = await original(directory.path, build({ inlineSourceMap: true }).outputText)
    expect([frame.url, frame.line]).toEqual([join(directory.path, 'visits.ts'), 5])
  })

  it('stays as it is without a map, or with a broken one', async () => {
    await using directory = await scratch()
    const path = join(directory.path, 'visits.js')
    const bare = build({}).outputText
    for (const text of [
      bare,
      `${bare}\n//# sourceMappingURL=gone.map`,
      `${bare}\n//# sourceMappingURL=data:application/json;base64,e30`,
    ]) {
      expect(await original(directory.path, text)).toMatchObject({ url: path, line: 1 })
    }
  })
})

describe('M25: the allocation profile', () => {
  class Kept {
    values = Array.from({ length: 100 }, (_, i) => i + Math.random())
  }

  it('holds what was allocated while it ran and has stayed, by the function that made it', async () => {
    const profile = new AllocationProfile(4_096)
    const kept = Array.from({ length: 2_000 }, () => new Kept())
    let garbage: Kept | undefined
    for (let i = 0; i < 20_000; i++) garbage = new Kept()
    realSystem.collectGarbage()
    const found = profile.stop()!
    const bytes = stacksOf(found).reduce((sum, stack) => sum + stack.bytes, 0)
    // 2,000 arrays of 100 doubles; the ten times as many that are gone do not count.
    expect(bytes).toBeGreaterThan(0.5 * 2_000 * 800)
    expect(bytes).toBeLessThan(5 * 2_000 * 800)
    const [site] = await sitesOf(found, 'heap', bytes)
    expect(site?.place).toContain('process.test.ts')
    expect(site?.share).toBeGreaterThan(0.5)
    expect([kept.length, garbage === undefined]).toEqual([2_000, false])
  })

  it('gives its memory back: ten windows later there is no more than after one', { timeout: 60_000 }, () => {
    const after: number[] = []
    for (let window = 0; window < 10; window++) {
      const profile = new AllocationProfile(1_024)
      const kept = Array.from({ length: 2_000 }, () => new Kept())
      expect(kept.length).toBe(2_000)
      profile.stop()
      realSystem.collectGarbage()
      after.push(process.memoryUsage().rss)
    }
    expect(after.at(-1)! - after[1]!).toBeLessThan(64 * MB)
  })
})

it('knows how much is allocated, dead or alive, which decides how closely a profile looks', () => {
  const collections = new V8GcMeter()
  collections.drain()
  realSystem.collectGarbage()
  collections.drain()
  const before = collections.allocated
  let garbage: number[] = []
  for (let i = 0; i < 20_000; i++) garbage = Array.from({ length: 1_000 }, (_, n) => n + i)
  realSystem.collectGarbage()
  collections.drain()
  collections.stop()
  // 20,000 arrays of 1,000 small integers, that grow as they are filled.
  const bytes = (collections.allocated - before) / 20_000 / 1_000
  expect(bytes).toBeGreaterThan(4)
  expect(bytes).toBeLessThan(64)
  expect(garbage.length).toBe(1_000)
})
