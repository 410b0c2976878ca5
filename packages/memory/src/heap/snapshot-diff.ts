import { HeapGraph } from './heap-graph.js'
import { Retainers } from './retainers.js'

/** How the objects of one constructor have changed between two snapshots. */
export interface ConstructorGrowth {
  readonly name: string
  readonly countBefore: number
  readonly countAfter: number
  /** Bytes of these objects, with the strings, arrays and tables that are theirs. */
  readonly bytesBefore: number
  readonly bytesAfter: number
}

/** How the added objects of a constructor are held. */
export interface Holder {
  readonly name: string
  /** From the root to the object, one step each: `cache: Map`, `table: (array)`, `[*]: Session`. */
  readonly path: readonly string[]
  /** Of the added objects of that constructor, 0 to 1: how many are held this way. */
  readonly share: number
}

export interface SnapshotDiff {
  readonly objectsBefore: number
  readonly objectsAfter: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** What grew, by bytes, the most first. */
  readonly grown: readonly ConstructorGrowth[]
  /** For the first of them. */
  readonly holders: readonly Holder[]
}

interface Tally {
  count: number
  bytes: number
}

const MOST_GROWN = 20
const MOST_HOLDERS = 3
/** Enough objects to know what is usual. */
const LOOKED_AT = 2_000

/** Summary of the earlier snapshot, for the comparison with the later one. */
export interface SnapshotSummary {
  readonly objects: number
  readonly bytes: number
  /** The highest number that V8 has given to an object. */
  readonly lastId: number
  readonly tallies: ReadonlyMap<string, Readonly<Tally>>
}

/** @throws SyntaxError when the file is no heap snapshot */
export function summarize(file: string): SnapshotSummary {
  const graph = new HeapGraph(file)
  const tallies = tally(graph, ownersOf(graph, new Retainers(graph)))
  const lastId = graph.ids.reduce((most, id) => Math.max(most, id), 0)
  return { tallies, lastId, objects: graph.count, bytes: total(tallies) }
}

/**
 * Compares a snapshot with an earlier one of the same process, by constructor, and finds what holds the objects that were
 * added.
 *
 * @throws SyntaxError when the file is no heap snapshot
 */
export function compare(first: SnapshotSummary, after: string): SnapshotDiff {
  const graph = new HeapGraph(after)
  const retention = new Retainers(graph)
  const owners = ownersOf(graph, retention)
  const tallies = tally(graph, owners)
  const grown = growth(first.tallies, tallies)
  return {
    objectsBefore: first.objects,
    objectsAfter: graph.count,
    bytesBefore: first.bytes,
    bytesAfter: total(tallies),
    grown,
    holders: grown
      .slice(0, MOST_HOLDERS)
      .map(({ name }) => holderOf(name, graph, retention, owners, first.lastId))
      .filter((holder) => holder !== undefined),
  }
}

/**
 * The object that each thing belongs to: itself, when it is made by a constructor or is a function, else the nearest such
 * object on the way to it. So a Map has the table inside it, and a record the strings that only it refers to. A plain
 * array or object in a property of a class's instance belongs to that: the class says more than `Array`.
 */
function ownersOf(graph: HeapGraph, retention: Retainers): Uint32Array {
  const types = ['object', 'closure', 'native', 'regexp'].map((type) => graph.nodeTypeNames.indexOf(type))
  const named = new Set(types)
  const owners = new Uint32Array(graph.count)
  for (let i = 0; i < retention.reached; i++) {
    const node = retention.order[i]!
    const parent = retention.parentOf(node)
    const itself =
      node === 0 || (named.has(graph.types[node]!) && !isPart(graph, retention, owners, node, parent))
    owners[node] = itself ? node : owners[parent]!
  }
  return owners
}

/** Constructors whose name does not tell what the object is for. */
const PLAIN: ReadonlySet<string> = new Set(['Array', 'Object'])
/** V8's own, and built-in containers: what they hold is not a part of them. */
const NO_CLASS = /^(Object|Array|Map|Set|WeakMap|WeakSet|Promise|Module|global|process)\b|^system|[ (/]/

function isPart(
  graph: HeapGraph,
  retention: Retainers,
  owners: Uint32Array,
  node: number,
  parent: number,
): boolean {
  if (owners[parent] !== parent || !PLAIN.has(graph.nameOf(node))) return false
  const isInstance = graph.typeOf(parent) === 'object' && !NO_CLASS.test(graph.nameOf(parent))
  return isInstance && retention.isProperty(node)
}

/** Garbage that was not yet collected, or is held weakly only, belongs to the root and is not counted. */
function tally(graph: HeapGraph, owners: Uint32Array): Map<string, Tally> {
  const tallies = new Map<string, Tally>()
  for (let node = 1; node < graph.count; node++) {
    const owner = owners[node]!
    if (owner === 0) continue
    const name = constructorOf(graph, owner)
    let found = tallies.get(name)
    if (found === undefined) tallies.set(name, (found = { count: 0, bytes: 0 }))
    found.bytes += graph.sizes[node]!
    if (owner === node) found.count++
  }
  return tallies
}

function constructorOf(graph: HeapGraph, node: number): string {
  const name = graph.nameOf(node)
  return graph.typeOf(node) === 'closure' ? `${name || 'anonymous'}()` : name || `(${graph.typeOf(node)})`
}

function growth(before: ReadonlyMap<string, Tally>, after: ReadonlyMap<string, Tally>): ConstructorGrowth[] {
  return [...after]
    .map(([name, { count, bytes }]) => {
      const earlier = before.get(name)
      return {
        name,
        countBefore: earlier?.count ?? 0,
        countAfter: count,
        bytesBefore: earlier?.bytes ?? 0,
        bytesAfter: bytes,
      }
    })
    .filter(({ bytesBefore, bytesAfter }) => bytesAfter > bytesBefore)
    .sort((a, b) => b.bytesAfter - b.bytesBefore - (a.bytesAfter - a.bytesBefore))
    .slice(0, MOST_GROWN)
}

/** V8 numbers objects as it meets them: those with a higher number than the first snapshot's last were added since. */
function holderOf(
  name: string,
  graph: HeapGraph,
  retention: Retainers,
  owners: Uint32Array,
  lastId: number,
): Holder | undefined {
  const members: number[] = []
  for (let node = 1; node < graph.count; node++) {
    if (owners[node] === node && constructorOf(graph, node) === name) members.push(node)
  }
  const added = members.filter((node) => graph.ids[node]! > lastId)
  const candidates = spread(added.length > 0 ? added : members, LOOKED_AT)
  const paths = new Map<string, { path: string[]; count: number }>()
  for (const node of candidates) {
    const path = retention.pathTo(node)
    const key = path.join('\n')
    const known = paths.get(key)
    if (known === undefined) paths.set(key, { path, count: 1 })
    else known.count++
  }
  const usual = [...paths.values()].sort((a, b) => b.count - a.count)[0]
  return usual && { name, path: usual.path, share: usual.count / candidates.length }
}

/** At most so many, evenly from all. */
function spread(nodes: readonly number[], most: number): readonly number[] {
  const step = Math.max(1, Math.floor(nodes.length / most))
  return step === 1 ? nodes : nodes.filter((_, i) => i % step === 0)
}

function total(tallies: ReadonlyMap<string, Tally>): number {
  let sum = 0
  for (const { bytes } of tallies.values()) sum += bytes
  return sum
}
