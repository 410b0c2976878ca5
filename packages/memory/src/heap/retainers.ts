import type { HeapGraph } from './heap-graph.js'

/** No object: the number that marks objects without a retainer. */
const NONE = 0xffffffff
/** A longer path says no more. */
const LONGEST = 40

/**
 * Retainers of all objects of a heap graph: the shortest path from the roots to each object, by breadth-first search over
 * strong references. Paths from the global object come first, as in DevTools: those are the ones a reader recognises.
 */
export class Retainers {
  readonly #graph: HeapGraph
  /** The reference by which an object was first reached. */
  readonly #via: Uint32Array
  /** The object that reference belongs to. */
  readonly #parents: Uint32Array
  /** Objects in the order in which they were reached; those beyond `reached` were not. */
  readonly order: Uint32Array
  reached = 0

  constructor(graph: HeapGraph) {
    this.#graph = graph
    this.#via = new Uint32Array(graph.count).fill(NONE)
    this.#parents = new Uint32Array(graph.count).fill(NONE)
    this.order = new Uint32Array(graph.count)
    this.#search()
  }

  /** `NONE` (a number no object has) for the root and for what is not held. */
  parentOf(node: number): number {
    return this.#parents[node]!
  }

  /** Held by a property with a name, not by an element or from within. */
  isProperty(node: number): boolean {
    const edge = this.#via[node]!
    return edge !== NONE && this.#graph.edgeTypeOf(edge) === 'property'
  }

  /**
   * From the root to the object, one step per text: `cache: Map`. Elements of arrays and tables are all `[*]`, and a
   * step that repeats (a linked list) stands once, so that objects held in the same way have the same path.
   */
  pathTo(node: number): string[] {
    const path: string[] = []
    for (let at = node; at !== 0 && at !== NONE && path.length < LONGEST; at = this.#parents[at]!) {
      const step = this.#step(at)
      if (path.at(-1) !== step) path.push(step)
    }
    return path.reverse()
  }

  #step(node: number): string {
    const graph = this.#graph
    const edge = this.#via[node]!
    const by = graph.isIndexed(edge) ? '[*]' : nameOfReference(graph.text(graph.edgeNames[edge]!))
    const type = graph.typeOf(node)
    const what =
      type === 'closure' ? `${graph.nameOf(node) || 'anonymous'}()` : graph.nameOf(node) || `(${type})`
    return `${by}: ${what}`
  }

  #search(): void {
    const graph = this.#graph
    if (graph.count === 0) return
    this.#parents[0] = 0
    this.order[this.reached++] = 0
    for (let edge = graph.firstEdge[0]!; edge < graph.firstEdge[1]!; edge++) {
      if (graph.edgeTypeOf(edge) === 'shortcut') this.#reach(0, edge)
    }
    this.#spread(1)
    this.#spread(0)
    this.#parents[0] = NONE
  }

  #spread(from: number): void {
    const graph = this.#graph
    const weak = graph.edgeTypeNames.indexOf('weak')
    for (let next = from; next < this.reached; next++) {
      const node = this.order[next]!
      for (let edge = graph.firstEdge[node]!; edge < graph.firstEdge[node + 1]!; edge++) {
        if (graph.edgeTypes[edge] !== weak && !this.#isLoose(node, edge)) this.#reach(node, edge)
      }
    }
  }

  #reach(parent: number, edge: number): void {
    const target = this.#graph.targets[edge]!
    if (this.#parents[target] !== NONE) return
    this.#parents[target] = parent
    this.#via[target] = edge
    this.order[this.reached++] = target
  }

  /** V8 notes the value of a WeakMap entry under the table as well as under the key; only the key holds it. */
  #isLoose(node: number, edge: number): boolean {
    const graph = this.#graph
    if (graph.isIndexed(edge)) return false
    const name = graph.text(graph.edgeNames[edge]!)
    return name.includes('pair in WeakMap') && name.endsWith(`(table @${graph.ids[node]})`)
  }
}

/** `12 / part of key (Session @4711) -> value (Object @4713) pair in WeakMap (table @99)` differs from entry to entry. */
function nameOfReference(name: string): string {
  if (name.includes('pair in WeakMap')) return 'value in WeakMap'
  return /^\d+$/.test(name) ? '[*]' : name.replace(/^\d+ \/ /, '')
}
