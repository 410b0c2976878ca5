import { parentPort, workerData } from 'node:worker_threads'
import type { DiffWork } from './heap/diff.js'
import { compare, summarize } from './heap/snapshot-diff.js'

// The script of the threads that compare snapshots: heap/diff.ts starts them.
const work = workerData as DiffWork
parentPort?.postMessage('before' in work ? summarize(work.before) : compare(work.first, work.after))
