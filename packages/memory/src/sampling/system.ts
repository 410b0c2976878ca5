import { readFileSync, statfsSync } from 'node:fs'
import type { Server } from 'node:net'
import { totalmem } from 'node:os'
import v8 from 'node:v8'
import vm from 'node:vm'
import { AcceptDelay } from './accept-delay.js'
import { AcceptQueue } from './accept-queue.js'
import { type GcMeter, V8GcMeter } from './gc-meter.js'
import { oldGenerationLimit, usedOldGeneration } from './heap-limit.js'
import { type BacklogMeter, LoopBacklog } from './loop-backlog.js'
import { type LoopMeter, NodeLoopMeter } from './loop-meter.js'

/** Source of all figures about the machine and the process. Injectable: tests pass their own. */
export interface System {
  memoryUsage(): NodeJS.MemoryUsage
  /** Bytes that V8 lets the old generation of the heap grow to. */
  heapLimit(): number
  /** Bytes of objects in the old generation, dead or alive. */
  oldGeneration(): number
  /** The text of a file of the kernel, or `undefined` when it cannot be read. */
  readFile(path: string): string | undefined
  /** Bytes of RAM of the machine. */
  totalMemory(): number
  /** Bytes the process may use according to Node, as `process.constrainedMemory()`. */
  constrainedMemory(): number | undefined
  /** Bytes free for this user on the file system of a directory. */
  freeDisk(directory: string): number
  watchLoop(): LoopMeter
  /** `server`: returns the server that received the last request. */
  watchBacklog(server: () => Server | undefined): BacklogMeter
  watchGc(): GcMeter
  /** Runs a full garbage collection; returns the pause in milliseconds. */
  collectGarbage(): number
  /** Writes a heap snapshot; the process stands still meanwhile. */
  writeHeapSnapshot(file: string): void
  /** Types of the open resources that keep the event loop alive, one entry each. */
  activeResources(): readonly string[]
}

let gc: (() => void) | undefined

/** This process and this machine. Spread it to replace a part: `{ ...realSystem, totalMemory: () => 2 ** 30 }`. */
export const realSystem: System = {
  memoryUsage: () => process.memoryUsage(),
  heapLimit: oldGenerationLimit,
  oldGeneration: usedOldGeneration,
  readFile: (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  },
  totalMemory: totalmem,
  // Missing before Node 20.12 and in other runtimes.
  constrainedMemory: () => process.constrainedMemory?.(),
  freeDisk: (directory) => {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  },
  watchLoop: () => new NodeLoopMeter(),
  watchBacklog: (server) => new LoopBacklog(new AcceptDelay(new AcceptQueue(server))),
  watchGc: () => new V8GcMeter(),
  collectGarbage: () => {
    gc ??= findGc()
    const start = performance.now()
    gc()
    return performance.now() - start
  },
  writeHeapSnapshot: (file) => {
    v8.writeHeapSnapshot(file)
  },
  activeResources: () => process.getActiveResourcesInfo(),
}

/** V8 hands its collector only to a context made while the flag is set; the flag can be set at run time. */
function findGc(): () => void {
  if (globalThis.gc !== undefined) return globalThis.gc
  v8.setFlagsFromString('--expose-gc')
  const found = vm.runInNewContext('gc') as () => void
  v8.setFlagsFromString('--no-expose-gc')
  return found
}
