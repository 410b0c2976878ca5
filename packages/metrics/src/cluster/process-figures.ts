import type { Series } from '../series/series.js'

/** What prom-client's defaults and `processGauges` say of the process as a whole. */
const OF_PROCESS =
  /^(?:spillway_process_|nodejs_(?:eventloop|active_|heap_|external_|gc_|version_)|process_(?:cpu_|start_time_|resident_|virtual_|heap_|open_fds|max_fds))/

/**
 * The figures of one process that has several `Metrics`. Each of them reads memory, CPU and event loop of the same process:
 * those are taken once, from the first that has them.
 */
export function withoutRepeats(several: readonly (readonly Series[])[]): readonly Series[][] {
  const taken = new Set<string>()
  return several.map((all) => {
    const own = all.filter(({ name }) => !OF_PROCESS.test(name) || !taken.has(name))
    for (const { name } of own) if (OF_PROCESS.test(name)) taken.add(name)
    return own
  })
}
