import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const fixture = fileURLToPath(new URL('../../memory/test/fixtures/detect.mjs', import.meta.url))

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
          'requests until called': leaks[0]?.calledAfter ?? 0,
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
    note: '20,000 requests of warm-up included. 1,000 requests are one second on the clock of the monitor.',
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
