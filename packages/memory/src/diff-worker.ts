import { parentPort, workerData } from 'node:worker_threads'
import { compare, type SnapshotSummary, summarize } from './heap/snapshot-diff.js'

/** What the thread is to do: sum up the earlier snapshot, or compare the later one with that. */
export type DiffWork =
  | { readonly before: string }
  | { readonly first: SnapshotSummary; readonly after: string }

// The script of the threads that compare snapshots: see diff.ts.
const work = workerData as DiffWork
parentPort?.postMessage('before' in work ? summarize(work.before) : compare(work.first, work.after))
