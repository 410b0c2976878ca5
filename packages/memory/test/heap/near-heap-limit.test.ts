import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnApp } from '@spillway/testkit'
import { expect, it } from 'vitest'
import { diffSnapshots } from '../../src/index.js'
import { scratch } from '../scratch.js'

const fixture = fileURLToPath(new URL('../fixtures/near-heap-limit.mjs', import.meta.url))
const HEAP = '--max-old-space-size=24'
const WRITTEN = /^Heap\..*\.heapsnapshot$/

it('M28: a heap that is nearly full leaves a whole snapshot, private, where the snapshots are', {
  timeout: 240_000,
}, async () => {
  await using folder = await scratch()
  const directory = join(folder.path, 'snapshots')
  await using app = spawnApp(fixture, {
    args: [directory],
    execArgv: [HEAP, `--diagnostic-dir=${directory}`],
    cwd: folder.path,
  })
  expect((await app.exited).code).not.toBe(0) // there is no way back from there
  expect((await stat(directory)).mode & 0o777).toBe(0o700)
  const [name, ...others] = await readdir(directory)
  expect(others).toEqual([])
  expect(name).toMatch(WRITTEN)
  const file = join(directory, name!)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const { objectsAfter, bytesAfter } = await diffSnapshots(file, file)
  expect(objectsAfter).toBeGreaterThan(100_000)
  expect(bytesAfter).toBeGreaterThan(2 ** 24)
  expect(app.output('stderr')).not.toContain('SPILLWAY_MEMORY_NEAR_HEAP_LIMIT')
})

it('says which flag is missing', { timeout: 240_000 }, async () => {
  await using folder = await scratch()
  const directory = join(folder.path, 'snapshots')
  await using app = spawnApp(fixture, { args: [directory], execArgv: [HEAP], cwd: folder.path })
  await app.waitForLine(/SPILLWAY_MEMORY_NEAR_HEAP_LIMIT/, { timeout: 120_000 })
  expect(app.output('stderr')).toContain(`--diagnostic-dir=${directory}`)
})
