import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { HeapGraph } from '../src/heap/heap-graph.js'
import { SourceMaps } from '../src/leak/source-maps.js'
import { memoryGroups } from '../src/sampling/cgroup.js'
import { scratch } from './scratch.js'

it('S4: a script that names maps a hundred thousand times is read once, and its last map counts', async () => {
  await using directory = await scratch()
  const built = join(directory.path, 'built.js')
  const mention = `//# sourceMappingURL=x\n${' '.repeat(40)}`
  await writeFile(built, `a\n${mention.repeat(100_000)}//# sourceMappingURL=last.map\n`)
  await writeFile(
    join(directory.path, 'last.map'),
    JSON.stringify({ version: 3, sources: ['source.ts'], names: [], mappings: 'AAAA' }),
  )
  const frame = await new SourceMaps().original({ function: 'f', url: `file://${built}`, line: 1, column: 1 })
  expect(frame.url).toBe(join(directory.path, 'source.ts'))
}, 60_000)

it('S4: a heap snapshot whose header does not end is given up after a megabyte', async () => {
  await using directory = await scratch()
  const file = join(directory.path, 'endless.heapsnapshot')
  await writeFile(file, `{"snapshot":{"title":"${':'.repeat(3 * 1024 ** 2)}"},"nodes":[]}`)
  expect(() => new HeapGraph(file)).toThrow(SyntaxError)
}, 60_000)

it('S15: a heap snapshot that announces more than it has gets no room for it', async () => {
  await using directory = await scratch()
  const meta = {
    node_fields: ['type', 'name', 'id', 'self_size', 'edge_count'],
    node_types: [['hidden']],
    edge_fields: ['type', 'name_or_index', 'to_node'],
    edge_types: [['context']],
  }
  for (const [node_count, edge_count] of [
    [2_000_000_000, 0],
    [0, 2_000_000_000],
    [1e300, 0],
    [-1, 0],
    ['many', 0],
  ]) {
    const file = join(directory.path, `${node_count}-${edge_count}.heapsnapshot`)
    await writeFile(
      file,
      `${JSON.stringify({ snapshot: { meta, node_count, edge_count } }).slice(0, -1)},"nodes":[],"edges":[],"strings":[]}`,
    )
    expect(() => new HeapGraph(file)).toThrow('announces more than the file has')
  }
})

it('S15: a heap snapshot whose objects have more references than it announces is given up', async () => {
  await using directory = await scratch()
  const meta = {
    node_fields: ['type', 'name', 'id', 'self_size', 'edge_count'],
    node_types: [['object']],
    edge_fields: ['type', 'name_or_index', 'to_node'],
    edge_types: [['property']],
  }
  const edges = [0, 0, 5]
  const snapshot = { meta, node_count: 2, edge_count: 1 }
  for (const counts of [
    [4_000_000_000, 0],
    [1, 4_000_000_000],
    [0, 0],
    [-1, 2],
  ]) {
    const nodes = counts.flatMap((count, i) => [0, 0, i, 16, count])
    const file = join(directory.path, `${counts.join('-')}.heapsnapshot`)
    await writeFile(file, JSON.stringify({ snapshot, nodes, edges, strings: ['x'] }))
    expect(() => new HeapGraph(file)).toThrow('contradicts its header')
  }
})

it('S4: mounts and groups without end are read within a bound', () => {
  const readsFor = (mounts: number, depth: number) => {
    let reads = 0
    const path = '/g'.repeat(depth)
    const files: Record<string, string> = {
      '/proc/self/mountinfo': Array.from(
        { length: mounts },
        (_, i) => `${i} 1 0:1 / /m${i} rw - cgroup2 cgroup2 rw`,
      ).join('\n'),
      '/proc/self/cgroup': `0::${path}`,
    }
    memoryGroups({
      readFile: (name) => {
        reads++
        return files[name] ?? (name.endsWith('memory.max') ? 'max' : undefined)
      },
    })
    return reads
  }
  expect(readsFor(1, 4)).toBe(2 + 2 * 5)
  expect(readsFor(1_000, 50)).toBe(readsFor(2_000, 100))
  expect(readsFor(2_000, 100)).toBeLessThan(400)
})
