// Compares two snapshots with one tool, in a process of its own: `node snapshot-tool.mjs <tool> <before> <after>`. Prints
// how much of the leaking class was added, how long it took, how long the main thread stood still, and the peak memory.
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const CLASS = 'Visit'

const tools = {
  async '@spillway/memory'(before, after) {
    const { diffSnapshots } = await import('@spillway/memory')
    const { grown, holders } = await diffSnapshots(before, after)
    const visits = grown.find(({ name }) => name === CLASS)
    return { added: visits.countAfter - visits.countBefore, path: holders[0].path.length }
  },

  // What its own `getFullHeapFromFile` does, which comes in a package that brings a browser.
  async memlab(before, after) {
    const { utils, analysis, config } = await import('@memlab/core').then((found) => found.default)
    config.muteConsole = true
    const load = async (file) => {
      const heap = await utils.getSnapshotFromFile(file, { buildNodeIdIndex: true, verbose: false })
      analysis.preparePathFinder(heap)
      return heap
    }
    const visitsIn = (heap) => {
      const found = []
      heap.nodes.forEach((node) => {
        if (node.type === 'object' && node.name === CLASS) found.push(node)
      })
      return found
    }
    const earlier = visitsIn(await load(before)).length
    const later = visitsIn(await load(after))
    let path = 0
    for (let node = later.at(-1); node.pathEdge; node = node.pathEdge.fromNode) path++
    return { added: later.length - earlier, path }
  },

  // No tool: parsing alone, as a script of one's own or a DevTools front end begins, and counting one class.
  async 'JSON.parse, counting only'(before, after) {
    const count = (file) => {
      const { snapshot, nodes, strings } = JSON.parse(readFileSync(file, 'utf8'))
      const { node_fields: fields } = snapshot.meta
      const [type, name] = [fields.indexOf('type'), fields.indexOf('name')]
      const object = snapshot.meta.node_types[type].indexOf('object')
      const wanted = strings.indexOf(CLASS)
      let found = 0
      for (let at = 0; at < nodes.length; at += fields.length) {
        if (nodes[at + type] === object && nodes[at + name] === wanted) found++
      }
      return found
    }
    return { added: count(after) - count(before), path: 0 }
  },
}

const [tool, before, after] = process.argv.slice(2)
const loop = monitorEventLoopDelay({ resolution: 5 })
loop.enable()
await new Promise((resolve) => setTimeout(resolve, 50))
const start = performance.now()
const found = await tools[tool](before, after)
const seconds = (performance.now() - start) / 1_000
await new Promise((resolve) => setTimeout(resolve, 50))
console.log(
  JSON.stringify({
    ...found,
    seconds,
    stoodStillMs: loop.max / 1e6,
    peakMb: process.resourceUsage().maxRSS / 1_024,
  }),
)
process.exit(0)
