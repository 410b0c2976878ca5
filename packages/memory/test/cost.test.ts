import { writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type HeapProfile, stacksOf } from '../src/heap/allocation-profile.js'
import { compare, summarize } from '../src/heap/snapshot-diff.js'
import { sitesOf } from '../src/leak/allocation-sites.js'
import { SourceMaps } from '../src/leak/source-maps.js'
import { memoryGroups } from '../src/sampling/cgroup.js'
import { youngGeneration } from '../src/sampling/heap-limit.js'
import { PressureMeter, parsePressure } from '../src/sampling/pressure.js'
import { scratch } from './scratch.js'

/** Built-in functions that read all of their text or list: one that is called for each part of it is no block of ours. */
const BUILT_IN = [
  [String.prototype, 'indexOf'],
  [String.prototype, 'includes'],
  [String.prototype, 'lastIndexOf'],
  [String.prototype, 'split'],
  [String.prototype, 'replace'],
  [Array.prototype, 'slice'],
  [Array.prototype, 'join'],
] as const

/** What built-in functions read while `task` runs: characters and elements. */
async function readBy(task: () => unknown): Promise<number> {
  let read = 0
  const originals = BUILT_IN.map(
    ([owner, name]) => Reflect.get(owner, name) as (...args: unknown[]) => unknown,
  )
  for (const [i, [owner, name]] of BUILT_IN.entries()) {
    Reflect.set(owner, name, function (this: { length: number }, ...args: unknown[]) {
      read += this.length
      return Reflect.apply(originals[i]!, this, args)
    })
  }
  try {
    await task()
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  } finally {
    for (const [i, [owner, name]] of BUILT_IN.entries()) Reflect.set(owner, name, originals[i]!)
  }
  return read
}

const session = new Session()
session.connect()
await session.post('Profiler.enable')
// Before any function that is counted runs: V8 adds the counters of blocks when it compiles.
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

/** How often blocks of the source have run since the last call. */
async function blocks(): Promise<number> {
  const { result } = await session.post('Profiler.takePreciseCoverage')
  return result
    .filter(({ url }) => url.includes('/memory/src/'))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    .reduce((sum, { count }) => sum + count, 0)
}

/** How often blocks of the source run while `task` does, and what built-in functions read: work, not time. */
async function workOf(task: () => unknown): Promise<number> {
  await blocks()
  const read = await readBy(task)
  return read + (await blocks())
}

/** Of an input and of one twice as large. V8 counts less in code that is warm, so both are measured warm. */
async function ratioOf(n: number, cost: (n: number) => Promise<number>): Promise<number> {
  await cost(2 * n)
  const once = await cost(n)
  expect(once).toBeGreaterThan(0)
  return (await cost(2 * n)) / (once + 50)
}

const MOST = 2.2

const repeated = (n: number, line: (i: number) => string) =>
  Array.from({ length: n }, (_, i) => line(i)).join('\n')

/** A machine with these files; each group has a limit. */
const machine = (mountinfo: string, cgroup: string) => ({
  readFile: (path: string) =>
    ({ '/proc/self/mountinfo': mountinfo, '/proc/self/cgroup': cgroup })[path] ??
    (path.endsWith('memory.max') ? '1000000' : undefined),
})
const MOUNT = '30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw'

/** Files of the kernel. */
const files: Readonly<Record<string, (n: number) => () => unknown>> = {
  'mountinfo of many mounts': (n) => () =>
    memoryGroups(
      machine(
        repeated(n, (i) => `${i} 1 0:1 / /m${i} rw - cgroup2 cgroup2 rw`),
        '0::/a/b',
      ),
    ),
  'mountinfo of the same mount, many times': (n) => () =>
    memoryGroups(
      machine(
        repeated(n, () => MOUNT),
        `0::${'/g'.repeat(n)}`,
      ),
    ),
  'mountinfo of one long line': (n) => () => memoryGroups(machine(`${MOUNT} ${' - '.repeat(n)}`, '0::/')),
  'mountinfo of escapes': (n) => () =>
    memoryGroups(machine(MOUNT.replace('/sys', '/\\040'.repeat(n)), '0::/')),
  'many mounts and as many groups of the process': (n) => () =>
    memoryGroups(
      machine(
        repeated(n, (i) => `${i} 1 0:1 / /m${i} rw - cgroup cgroup rw,memory`),
        repeated(n, (i) => `${i}:cpu:/${i}`),
      ),
    ),
  'a group that is nested deeply': (n) => () => memoryGroups(machine(MOUNT, `0::${'/g'.repeat(n)}`)),
  'memory.stat of many fields': (n) => () => {
    const stat = repeated(n, (i) => `field${i} ${i}`)
    const [group] = memoryGroups({
      readFile: (path) => (path.endsWith('memory.stat') ? stat : machine(MOUNT, '0::/').readFile(path)),
    })
    group?.workingSet()
  },
  'memory.pressure without an end': (n) => () =>
    parsePressure(`full avg10=${'1'.repeat(n)} ${'total='.repeat(n)}`),
  'memory.pressure of many lines': (n) => () => parsePressure(repeated(n, () => 'full avg10=1 ')),
  'limits of many groups': (n) => () => {
    const groups = memoryGroups(machine(MOUNT, `0::${'/g'.repeat(n)}`))
    new PressureMeter({ readFile: () => undefined }, groups).read(0)
  },
  'arguments of Node': (n) => () =>
    youngGeneration({
      whole: 2 ** 30,
      args: Array(n).fill('--max-old-space-size'),
      thread: {},
      memory: 2 ** 33,
      version: '12.0',
    }),
}

const FIELDS = {
  node_fields: ['type', 'name', 'id', 'self_size', 'edge_count'],
  node_types: [['hidden', 'object', 'closure', 'native', 'regexp', 'string']],
  edge_fields: ['type', 'name_or_index', 'to_node'],
  edge_types: [['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak']],
}

interface Drawn {
  /** Of each object after the root: the object that refers to it. */
  parent(node: number): number
  /** Index of the string that names the reference. */
  reference(node: number): number
  readonly strings: readonly string[]
}

/** A heap snapshot of `n` objects. */
function snapshotOf(n: number, { parent, reference, strings }: Drawn): string {
  const children: number[][] = Array.from({ length: n }, () => [])
  for (let node = 1; node < n; node++) children[parent(node)]!.push(node)
  const nodes = children.flatMap((held, node) => [1, node === 0 ? 0 : 1, 2 * node + 1, 16, held.length])
  const edges = children.flatMap((held) => held.flatMap((node) => [2, reference(node), node * 5]))
  const snapshot = { meta: FIELDS, node_count: n, edge_count: n - 1 }
  return JSON.stringify({ snapshot, nodes, edges, strings })
}

const snapshots: Readonly<Record<string, (n: number) => Drawn>> = {
  'objects in a row': () => ({
    parent: (node) => node - 1,
    reference: () => 2,
    strings: ['', 'Node', 'next'],
  }),
  'objects of one': () => ({ parent: () => 0, reference: () => 2, strings: ['', 'Node', 'held'] }),
  'a name as long as the snapshot, for each reference': (n) => ({
    parent: () => 0,
    reference: () => 2,
    strings: ['', 'Node', 'x'.repeat(10 * n)],
  }),
  'a constructor with a name as long as the snapshot': (n) => ({
    parent: (node) => node - 1,
    reference: () => 2,
    strings: ['', 'N'.repeat(10 * n), 'next'],
  }),
  'a WeakMap with a name of its own for each entry': (n) => ({
    parent: () => 0,
    reference: (node) => node + 1,
    strings: [
      '',
      'Node',
      ...Array.from(
        { length: n },
        (_, i) => `${i} / part of key (K @${i}) -> value (V @${i}) pair in WeakMap (table @1)`,
      ),
    ],
  }),
}

/** `visit`: called when a node is looked at. */
function profileOf(n: number, deep: boolean, visit: () => void): HeapProfile {
  const node = (id: number, children: HeapProfile['head'][]): HeapProfile['head'] => ({
    id,
    children,
    selfSize: 1_000,
    get callFrame() {
      visit()
      return { functionName: 'f', scriptId: '1', url: 'node:internal', lineNumber: id, columnNumber: 1 }
    },
  })
  const samples = Array.from({ length: n }, (_, i) => ({ nodeId: i, size: 1_000, ordinal: i }))
  if (!deep)
    return {
      head: node(
        0,
        Array.from({ length: n }, (_, i) => node(i + 1, [])),
      ),
      samples,
    }
  let head = node(n, [])
  for (let id = n - 1; id >= 0; id--) head = node(id, [head])
  return { head, samples }
}

describe('S4: twice the input is at most 2.2 times the work:', () => {
  it.each(Object.keys(files))('S4 reading %s', async (name) => {
    const cost = (n: number) => workOf(files[name]!(n))
    expect(await ratioOf(500, cost)).toBeLessThanOrEqual(MOST) // more than the groups that are looked at
  })

  it.each(Object.keys(snapshots))('S4 comparing heap snapshots of %s', { timeout: 180_000 }, async (name) => {
    await using directory = await scratch()
    const empty = join(directory.path, 'empty.heapsnapshot')
    await writeFile(empty, snapshotOf(1, { parent: () => 0, reference: () => 0, strings: [''] }))
    const before = summarize(empty)
    const cost = async (n: number) => {
      const file = join(directory.path, `${n}.heapsnapshot`)
      await writeFile(file, snapshotOf(n, snapshots[name]!(n)))
      return workOf(() => expect(compare(before, file).objectsAfter).toBe(n))
    }
    expect(await ratioOf(3_000, cost)).toBeLessThanOrEqual(MOST) // more than the objects whose holders are looked at
  })

  it.each(['deep', 'wide'])('S4 the stacks of an allocation profile that is %s', async (shape) => {
    const cost = async (n: number) => {
      let visits = 0
      const profile = profileOf(n, shape === 'deep', () => visits++)
      const read = await readBy(() => expect(stacksOf(profile).length).toBe(n + 1))
      await sitesOf(profile, 'heap', 1)
      return visits + read
    }
    expect(await ratioOf(2_000, cost)).toBeLessThanOrEqual(MOST) // deeper than any stack that is kept
  })

  it.each([
    ['mentions of maps', '//# sourceMappingURL=x\n'],
    ['openings without a map', '//# sourceMappingURL'],
    ['one long line', '//# sourceMappingURL='],
  ])('S4 looking for the source map of a script of %s', async (_name, part) => {
    await using directory = await scratch()
    const cost = async (n: number) => {
      const url = join(directory.path, `${n}.js`)
      await writeFile(url, part.repeat(n))
      return readBy(() => new SourceMaps().original({ function: 'f', url, line: 1, column: 1 }))
    }
    expect(await ratioOf(10_000, cost)).toBeLessThanOrEqual(MOST)
  })
})
