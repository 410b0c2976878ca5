import { parentPort, workerData } from 'node:worker_threads'
import { diffSnapshotFiles } from './snapshot-diff.js'

// The script of the thread that compares snapshots: see diff.ts.
const { before, after } = workerData as { before: string; after: string }
parentPort?.postMessage(diffSnapshotFiles(before, after))
