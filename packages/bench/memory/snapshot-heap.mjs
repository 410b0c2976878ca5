// Writes two snapshots of itself: `node snapshot-heap.mjs <before> <after>`. A heap of small objects, 180 MB and then 200 MB.
import { writeHeapSnapshot } from 'node:v8'

class Visit {
  constructor(id) {
    this.page = `/page/${id}`
    this.tags = [id, id + 1, id + 2]
    this.next = undefined
  }
}

const MB = 1024 ** 2
const visits = new Map()
globalThis.visits = visits

function fill(megabytes) {
  while (process.memoryUsage().heapUsed < megabytes * MB) {
    for (let i = 0; i < 1_000; i++) visits.set(visits.size, new Visit(visits.size))
    if (visits.size % 50_000 === 0) globalThis.gc()
  }
  globalThis.gc()
}

const [before, after] = process.argv.slice(2)
fill(180)
writeHeapSnapshot(before)
fill(200)
writeHeapSnapshot(after)
console.log(JSON.stringify({ heapMb: process.memoryUsage().heapUsed / MB, objects: visits.size }))
