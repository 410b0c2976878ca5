import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import v8 from 'node:v8'
import { warnOnce } from '../advice.js'

const FLAG = '--diagnostic-dir'

/**
 * Lets V8 itself write up to `count` heap snapshots when the heap is nearly full. Node puts them where `--diagnostic-dir`
 * points, else into the working directory, and that cannot be changed in a running process: so the directory of the
 * snapshots is made ready when the flag names it, and the flag is named when it does not.
 */
export function captureNearHeapLimit(count: number, directory: string): void {
  v8.setHeapSnapshotNearHeapLimit(count)
  const given = diagnosticDirectory()
  if (given !== undefined && resolve(given) === resolve(directory)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return
  }
  warnOnce(
    'SPILLWAY_MEMORY_NEAR_HEAP_LIMIT',
    `A snapshot near the heap limit would be written to ${given ?? 'the working directory'}: start Node with ${FLAG}=${directory}`,
  )
}

/** As given on the command line or in NODE_OPTIONS; the command line wins. */
function diagnosticDirectory(): string | undefined {
  const words = [...(process.env.NODE_OPTIONS ?? '').split(/\s+/), ...process.execArgv]
  const at = words.findLastIndex((word) => word === FLAG || word.startsWith(`${FLAG}=`))
  if (at === -1) return undefined
  return words[at] === FLAG ? words[at + 1] : words[at]!.slice(FLAG.length + 1)
}
