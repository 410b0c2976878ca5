import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const fixture = fileURLToPath(new URL('../../memory/test/fixtures/detect.mjs', import.meta.url))

/** One minute, at 1,000 requests per second. */
const WARMUP = 60_000

/** One whole app in a process of its own, whose clock goes by requests; the uncounted round does nothing. */
function watched(app, requests) {
  return async () => {
    let counted = false
    return {
      async run() {
        if (!counted) {
          counted = true
          return { ops: 1 }
        }
        const { stdout } = await run(process.execPath, [
          fixture,
          app,
          String(requests),
          '{"leak":{"profile":false}}',
        ])
        const { leaks, heapMb, forcedCollections } = JSON.parse(stdout)
        return {
          ops: requests,
          called: leaks.length,
          'requests until called': leaks[0] === undefined ? 0 : leaks[0].calledAfter - WARMUP,
          'B per request': leaks[0]?.bytesPerRequest ?? 0,
          'heap MB': heapMb,
          'forced collections': forcedCollections,
        }
      },
    }
  }
}

function of(apps, requests) {
  return Object.fromEntries(apps.map((app) => [app, watched(app, requests)]))
}

export const scenarios = [
  {
    title: 'Leaks: requests until called',
    note: 'All options by default; 1,000 requests are one second on the clock of the monitor, and they are counted from the end of its warm-up of a minute. Each app keeps 200 B per request in its own way; growingMap keeps about half of that, and below 16 MB nothing is called a leak.',
    baseline: 'leak200',
    rounds: 1,
    contenders: of(
      ['leak200', 'leakRare', 'leakBehindCache', 'leakInWave', 'buffers', 'growingMap'],
      400_000,
    ),
  },
  {
    title: 'No leaks: false alarms in 300,000 requests',
    baseline: 'clean',
    rounds: 1,
    contenders: of(
      ['clean', 'cacheFill', 'cacheSlow', 'sessions', 'wave', 'bursts', 'batch', 'lazyStart', 'bufferPool'],
      300_000,
    ),
  },
]
