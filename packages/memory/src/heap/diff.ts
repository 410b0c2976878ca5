import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { misuse } from '@spillway/kit'
import type { SnapshotDiff, SnapshotSummary } from './snapshot-diff.js'

export interface DiffOptions {
  /** Ends the thread; the promise rejects with its reason. */
  readonly signal?: AbortSignal
}

/**
 * Compares two `.heapsnapshot` files of one process: what grew, by constructor, and what holds it. Each is read in a thread
 * of its own, one after the other, and its memory given back with the thread: about one and a half times the size of the larger
 * file, outside of the app's heap.
 *
 * @throws SyntaxError when a file is no heap snapshot
 * @throws Error of the file system when it cannot be read
 * @throws Error `ERR_MEMORY_WORKER_FILE` when a bundler has moved the package away from its thread script
 */
export async function diffSnapshots(
  before: string,
  after: string,
  { signal }: DiffOptions = {},
): Promise<SnapshotDiff> {
  const first = await inThread<SnapshotSummary>({ before }, signal)
  return inThread<SnapshotDiff>({ first, after }, signal)
}

/** What a thread has to do: sum up the earlier snapshot, or compare the later one with that summary. */
export type DiffWork =
  | { readonly before: string }
  | { readonly first: SnapshotSummary; readonly after: string }

function inThread<Result>(work: DiffWork, signal: AbortSignal | undefined): Promise<Result> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const worker = new Worker(workerFile(), {
      name: 'spillway-memory-diff',
      workerData: work,
      // The app's own flags (loaders, inspectors, heap limits) are not for this thread.
      execArgv: [],
    })
    const stop = () => {
      reject(signal?.reason)
      worker.terminate()
    }
    signal?.addEventListener('abort', stop, { once: true })
    let result: Result | undefined
    worker.once('message', (message: Result) => {
      result = message
    })
    worker.once('error', reject)
    // Not before the thread is gone, and its memory with it.
    worker.once('exit', (code) => {
      signal?.removeEventListener('abort', stop)
      if (result !== undefined) resolve(result)
      else reject(new Error(`The thread that compares snapshots ended with ${code}`))
    })
  })
}

/** Beside the built package; when the package runs from its sources, in `dist`. */
function workerFile(): string {
  const found = ['./diff-worker.cjs', '../../dist/diff-worker.cjs']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path))
  if (found !== undefined) return found
  throw misuse(
    Error,
    'ERR_MEMORY_WORKER_FILE',
    'The thread script of @spillway/memory is not beside the package: keep it external in your bundler',
  )
}
