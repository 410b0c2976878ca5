import { totalmem } from 'node:os'
import v8 from 'node:v8'
import { resourceLimits } from 'node:worker_threads'

const MB = 1024 ** 2
const GB = 1024 ** 3

/** What V8 was given when this thread's heap was made. */
export interface HeapSetup {
  /** `heap_size_limit` of V8: the old generation and the young one together, in bytes. */
  readonly whole: number
  /** Arguments of Node itself; a later one wins. */
  readonly args: readonly string[]
  /** What a worker thread was given, in MB; empty on the main thread. */
  readonly thread: { readonly maxYoungGenerationSizeMb?: number | undefined }
  /** Bytes of memory as Node sees them: the machine's, or those of a limiting control group. */
  readonly memory: number
  /** Version of V8, as `process.versions.v8`. */
  readonly version: string
}

/**
 * Bytes that the young generation may take of `heap_size_limit`. What lives on never gets them: V8 ends the process when
 * the old generation alone is full (`Heap::ConfigureHeap` and `Heap::MaxReserved` in V8's `heap.cc`). A small heap on a
 * large machine is mostly young: with `--max-old-space-size=256`, Node 24 tells a limit of 448 MB.
 */
export function youngGeneration(setup: HeapSetup): number {
  const old = flag(setup.args, 'max-old-space-size')
  if (old !== undefined && old * MB < setup.whole) return setup.whole - old * MB
  const young = SPACES * semiSpace(setup) * MB
  return young < setup.whole ? young : 0
}

/** Two halves, and as much again for large objects that are new. */
const SPACES = 3

/** MB of one half: as given, or as V8 derives it. */
function semiSpace({ args, thread, memory, version }: HeapSetup): number {
  const shape = Number.parseInt(version, 10) >= 13 ? SINCE_NODE_24 : BEFORE_NODE_24
  const semi = flag(args, 'max-semi-space-size')
  if (semi !== undefined) return powerOfTwo(semi)
  const heap = flag(args, 'max-heap-size')
  if (heap !== undefined) return powerOfTwo(halfOf(heap, shape, SPACES))
  const { maxYoungGenerationSizeMb: young } = thread
  if (young !== undefined && young > 0) return powerOfTwo(young / SPACES)
  return powerOfTwo(halfOf(usualOld(memory), shape, 0))
}

/** How V8 measures out a half by the size of the old generation. MB. */
interface Shape {
  readonly ratio: number
  readonly most: number
}

const BEFORE_NODE_24: Shape = { ratio: 128, most: 16 }
const SINCE_NODE_24: Shape = { ratio: 32, most: 64 }
/** Up to this old generation, in MB, halves are small, and measured out by the other ratio. */
const SMALL_OLD = 256
const SMALL_RATIO = 256

/** `share`: how many halves `size` has to hold beside the old generation. */
function halfOf(size: number, { ratio, most }: Shape, share: number): number {
  const small = Math.max(1, size / (SMALL_RATIO + share))
  return size - share * small <= SMALL_OLD ? small : Math.min(most, size / (ratio + share))
}

/** MB of the old generation where nothing is said: half of the memory, within bounds. */
function usualOld(memory: number): number {
  return Math.min(Math.max(memory / 2 / MB, SMALL_OLD), memory >= 15 * GB ? 4_096 : 2_048)
}

function powerOfTwo(size: number): number {
  return 2 ** Math.ceil(Math.log2(size))
}

/** The number given with a flag of V8, written with dashes or underscores, in one word or two. */
function flag(args: readonly string[], name: string): number | undefined {
  let given: number | undefined
  for (const [at, arg] of args.entries()) {
    const [word = '', value = args[at + 1]] = arg.split('=')
    if (word.replaceAll('_', '-') !== `--${name}`) continue
    const size = Number(value)
    given = Number.isFinite(size) && size > 0 ? size : undefined
  }
  return given
}

let young: number | undefined

/** Bytes that V8 lets the old generation of this thread grow to: where a heap that leaks comes to its end. */
export function oldGenerationLimit(): number {
  const whole = v8.getHeapStatistics().heap_size_limit
  young ??= youngGeneration({
    whole,
    args: [...(process.env.NODE_OPTIONS ?? '').split(/\s+/), ...process.execArgv],
    thread: resourceLimits,
    memory: machineMemory(),
    version: process.versions.v8,
  })
  return whole - young
}

function machineMemory(): number {
  const total = totalmem()
  const constrained = process.constrainedMemory?.() ?? 0
  return constrained > 0 ? Math.min(total, constrained) : total
}

/** Spaces that do not count against the limit of the old generation. */
const ELSEWHERE = /^(?:new_|read_only_)/

/** Bytes of objects in the old generation of this thread, dead or alive. */
export function usedOldGeneration(): number {
  let used = 0
  for (const { space_name, space_used_size } of v8.getHeapSpaceStatistics()) {
    if (!ELSEWHERE.test(space_name)) used += space_used_size
  }
  return used
}
