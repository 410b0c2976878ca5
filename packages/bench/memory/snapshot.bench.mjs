import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const script = (name) => fileURLToPath(new URL(name, import.meta.url))
const folder = join(tmpdir(), `spillway-bench-snapshots-${process.ppid}`)
const [before, after] = ['before', 'after'].map((name) => join(folder, `${name}.heapsnapshot`))

/** Contenders are made one after the other: the first writes the snapshots for all. */
async function prepare() {
  if (existsSync(after)) return
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await run(process.execPath, [
    '--expose-gc',
    '--max-old-space-size=8000',
    script('snapshot-heap.mjs'),
    before,
    after,
  ])
}

function comparing(tool) {
  return async () => {
    await prepare()
    let counted = false
    return {
      async run() {
        if (!counted) {
          counted = true
          return { ops: 1 }
        }
        const { stdout } = await run(process.execPath, [
          '--max-old-space-size=16000',
          script('snapshot-tool.mjs'),
          tool,
          before,
          after,
        ])
        const { seconds, peakMb, stoodStillMs, added, path } = JSON.parse(stdout.trim().split('\n').at(-1))
        const { size } = await stat(after)
        return {
          ops: 1,
          seconds,
          'peak MB': peakMb,
          'main thread stood still ms': stoodStillMs,
          'objects found': added,
          'steps of the path': path,
          'file MB': size / 1024 ** 2,
        }
      },
      close: () => rm(folder, { recursive: true, force: true }),
    }
  }
}

export const scenarios = [
  {
    title: 'Snapshot diff of a 200 MB heap',
    note: 'Two snapshots of one process, at 180 and at 200 MB of heap. Each tool in a process of its own. memlab computes retained sizes as well; JSON.parse finds no path.',
    baseline: '@spillway/memory',
    rounds: 1,
    contenders: {
      '@spillway/memory': comparing('@spillway/memory'),
      memlab: comparing('memlab'),
      'JSON.parse, counting only': comparing('JSON.parse, counting only'),
    },
  },
]
