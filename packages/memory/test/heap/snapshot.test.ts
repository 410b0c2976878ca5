import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { until } from '@spillway/kit/testing'
import { spawnApp } from '@spillway/testkit'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { diffSnapshots, type MemoryMonitorOptions, SnapshotRefusedError } from '../../src/index.js'
import { scratch } from '../scratch.js'
import { closeAll, FakeSystem, GB, MB, stand } from '../support.js'

const run = promisify(execFile)
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

afterEach(closeAll)

/** A small heap and plenty of everything: nothing speaks against a snapshot. */
function roomy(): FakeSystem {
  const system = new FakeSystem()
  system.ram = 64 * GB
  system.usage.heapUsed = 20 * MB
  return system
}

async function refusal(options: MemoryMonitorOptions, system: FakeSystem): Promise<SnapshotRefusedError> {
  const { monitor } = stand(options, system)
  const error: unknown = await monitor.snapshot().catch((reason: unknown) => reason)
  if (!(error instanceof SnapshotRefusedError)) throw new Error(`Not refused: ${String(error)}`)
  return error
}

describe('M26: a snapshot is refused when it would hurt, with the numbers', () => {
  it('too little memory: twice the heap is free', async () => {
    await using directory = await scratch()
    const system = roomy()
    system.ram = system.usage.rss + 40 * MB
    const error = await refusal({ snapshot: { directory: directory.path } }, system)
    expect(error.reason).toBe('memory')
    expect(error.message).toMatch(/20 MB needs 260 MB of free memory.*40 MB/)
    expect(await readdir(directory.path)).toEqual([])
  })

  it('the machine is short of memory although the container is not', async () => {
    await using directory = await scratch()
    const system = roomy()
    system.files['/proc/meminfo'] = 'MemTotal: 9 kB\nMemAvailable:   102400 kB\n'
    expect((await refusal({ snapshot: { directory: directory.path } }, system)).reason).toBe('memory')
  })

  it('too little disk', async () => {
    await using directory = await scratch()
    const system = roomy()
    system.disk = GB
    const error = await refusal({ snapshot: { directory: directory.path } }, system)
    expect([error.reason, error.status, error.code]).toEqual(['disk', 409, 'ERR_MEMORY_SNAPSHOT_REFUSED'])
  })

  it('too large a heap', async () => {
    await using directory = await scratch()
    const system = roomy()
    system.usage.heapUsed = GB
    expect((await refusal({ snapshot: { directory: directory.path } }, system)).reason).toBe('heap')
  })

  it('switched off', async () => {
    expect((await refusal({ snapshot: false }, roomy())).reason).toBe('disabled')
  })

  it('a directory that somebody else has put there as a link', async () => {
    await using directory = await scratch()
    const trap = join(directory.path, 'trap')
    await mkdir(join(directory.path, 'elsewhere'))
    await symlink(join(directory.path, 'elsewhere'), trap)
    expect((await refusal({ snapshot: { directory: trap } }, roomy())).reason).toBe('disk')
  })
})

describe('a snapshot', () => {
  it('is private, whole, counted, and not taken again before the cool-down', {
    timeout: 120_000,
  }, async () => {
    await using directory = await scratch()
    const path = join(directory.path, 'snapshots')
    const { monitor, clock } = stand({ snapshot: { directory: path, cooldown: '1m', maxFiles: 2 } }, roomy())
    const told = vi.fn()
    monitor.on('snapshot', told)
    const first = await monitor.snapshot('by hand')
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    expect((await stat(first)).mode & 0o777).toBe(0o600)
    expect(told).toHaveBeenCalledWith(first, 'by hand')
    await expect(monitor.snapshot()).rejects.toMatchObject({ reason: 'cooldown' })
    clock.advance(60_000)
    await monitor.snapshot()
    clock.advance(60_000)
    const third = await monitor.snapshot()
    const left = await readdir(path)
    expect(left).toHaveLength(2) // maxFiles: the oldest went first
    expect(left).toContain(third.slice(path.length + 1))
    expect(left).not.toContain(first.slice(path.length + 1))
    expect(monitor.stats().snapshots).toBe(3)
  })

  it('two at once: one is written, the other is refused', { timeout: 60_000 }, async () => {
    await using directory = await scratch()
    const { monitor } = stand({ snapshot: { directory: directory.path } }, roomy())
    const both = await Promise.allSettled([monitor.snapshot(), monitor.snapshot()])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.find((one) => one.status === 'rejected')?.reason).toMatchObject({ reason: 'busy' })
  })

  it('on critical only with consent; a refusal is an event', { timeout: 60_000 }, async () => {
    await using directory = await scratch()
    const policy = { directory: directory.path, memoryFactor: 1 }
    const silent = stand({ snapshot: policy, replacement: false }, roomy())
    silent.system.usage.rss = 63.9 * GB
    silent.pass(1_000)
    expect(silent.monitor.overloaded).toBe(true)
    const asked = stand({ snapshot: { ...policy, onCritical: true }, replacement: false }, roomy())
    const refused = vi.fn()
    const written = vi.fn()
    asked.monitor.on('refusal', refused)
    asked.monitor.on('snapshot', written)
    asked.system.usage.rss = 64 * GB // nothing free
    asked.pass(1_000)
    await until(() => refused.mock.calls.length === 1, 'the refusal')
    expect(refused.mock.calls[0]?.[0]).toMatchObject({ reason: 'memory' })
    asked.system.usage.rss = GB
    asked.pass(10_000)
    asked.system.usage.rss = 62 * GB
    asked.pass(1_000)
    await until(() => written.mock.calls.length === 1, 'the snapshot', 50_000)
    expect(written.mock.calls[0]?.[1]).toBe('critical')
    expect(await readdir(directory.path)).toHaveLength(1)
  })

  it('M26: killed while writing, no file has its final name, and the next process cleans up', {
    timeout: 120_000,
  }, async () => {
    await using directory = await scratch()
    const app = spawnApp(fixture('snapshots.mjs'), { args: [directory.path] })
    await app.waitForLine(/begin/, { timeout: 60_000 })
    await until(async () => (await readdir(directory.path)).length > 0, 'the file has been begun', 60_000)
    await app.kill()
    const [left, ...others] = await readdir(directory.path)
    expect(others).toEqual([])
    expect(left).toMatch(/\.heapsnapshot\.part$/)
    await writeFile(join(directory.path, 'not-ours.part'), '')
    const { stdout } = await run(process.execPath, [fixture('snapshots.mjs'), directory.path])
    const written = /done (.+)/.exec(stdout)?.[1] ?? ''
    expect(JSON.parse(await readFile(written, 'utf8'))).toHaveProperty('snapshot.node_count')
    expect((await stat(written)).mode & 0o777).toBe(0o600)
    expect((await readdir(directory.path)).sort()).toEqual(
      [written.slice(directory.path.length + 1), 'not-ours.part'].sort(),
    )
  })
})

describe('the difference of two snapshots', () => {
  it('counts by constructor, with what belongs to each, and finds the holder', {
    timeout: 120_000,
  }, async () => {
    await using directory = await scratch()
    const [before, after] = ['a.heapsnapshot', 'b.heapsnapshot'].map((name) => join(directory.path, name))
    await run(process.execPath, [fixture('grow.mjs'), before!, after!])
    const diff = await diffSnapshots(before!, after!)
    const session = diff.grown.find(({ name }) => name === 'Session')
    expect(session!.countAfter - session!.countBefore).toBe(3_001)
    // The object, its string and its array of tags.
    expect((session!.bytesAfter - session!.bytesBefore) / 3_001).toBeGreaterThan(80)
    const holder = diff.holders.find(({ name }) => name === 'Session')
    expect(holder?.path.join(' > ')).toMatch(/sessions: Map > table: .* > \[\*\]: Session$/)
    expect(holder?.share).toBeGreaterThan(0.99)
    expect(diff.objectsAfter).toBeGreaterThan(diff.objectsBefore + 3_000)
    expect(diff.bytesAfter).toBeGreaterThan(diff.bytesBefore)
    // A linked list is one path, not as many as it has links.
    const links = diff.grown.find(({ name }) => name === 'Object')
    expect(links!.countAfter - links!.countBefore).toBeGreaterThanOrEqual(500)
    expect(await diffSnapshots(before!, before!)).toMatchObject({ grown: [], holders: [] })
  })

  it('M29: a file that is larger than any string can be', { timeout: 240_000 }, async () => {
    await using directory = await scratch()
    const path = join(directory.path, 'large.heapsnapshot')
    await writeLarge(path, 540 * MB)
    expect((await stat(path)).size).toBeGreaterThan(2 ** 29)
    const diff = await diffSnapshots(path, path)
    expect(diff).toMatchObject({ objectsBefore: 2, objectsAfter: 2, bytesAfter: 24, grown: [] })
  })

  it('rejects what is no snapshot, what is not there, and what is cut short', {
    timeout: 60_000,
  }, async () => {
    await using directory = await scratch()
    const text = join(directory.path, 'text')
    await writeFile(text, '{"some": "thing"}')
    await expect(diffSnapshots(text, text)).rejects.toThrow(/Not a heap snapshot/)
    await expect(diffSnapshots(join(directory.path, 'none'), text)).rejects.toThrow(/ENOENT/)
    const cut = join(directory.path, 'cut')
    await writeFile(cut, `${HEAD}"nodes":[0,0,1,0,1`)
    await expect(diffSnapshots(cut, cut)).rejects.toThrow(/ends too early/)
  })

  it('stops when told to', { timeout: 60_000 }, async () => {
    await using directory = await scratch()
    const reason = new Error('enough')
    const controller = new AbortController()
    const diffing = diffSnapshots(join(directory.path, 'a'), join(directory.path, 'b'), {
      signal: controller.signal,
    })
    controller.abort(reason)
    await expect(diffing).rejects.toBe(reason)
    await expect(diffSnapshots('a', 'b', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

const HEAD =
  '{"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count"],"node_types":[["hidden","object","synthetic"],"string","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["element","property","weak"],"string_or_number","node"]},"node_count":2,"edge_count":1},\n'

/** A root that holds one object, and half a gigabyte of strings that nobody needs, some with escapes. */
async function writeLarge(path: string, bytes: number): Promise<void> {
  const file = createWriteStream(path)
  file.write(
    `${HEAD}"nodes":[2,0,1,0,1\n,1,1,3,24,0],\n"edges":[1,2,5],\n"locations":[],\n"strings":["","Thing","thing"`,
  )
  const chunk = `,"${`quote \\" and backslash \\\\ `.repeat(40)}"`.repeat(1_000)
  for (let written = 0; written < bytes; written += chunk.length) {
    if (!file.write(chunk)) await once(file, 'drain')
  }
  file.end(']}')
  await once(file, 'finish')
}
