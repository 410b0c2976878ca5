import { type HeapProfiler, Session } from 'node:inspector'

/** One place in the code, as V8 names it: lines and columns count from 1. */
export interface Frame {
  readonly function: string
  /** A URL (`file:///app/server.js`) or a path; empty for V8's own. */
  readonly url: string
  readonly line: number
  readonly column: number
}

/** Bytes that a stack of calls has allocated and that are still alive. */
export interface StackBytes {
  /** The allocating function first. */
  readonly frames: readonly Frame[]
  readonly bytes: number
  /** Objects of the stack, estimated from the samples. */
  readonly count: number
}

interface ProfileNode extends HeapProfiler.SamplingHeapProfileNode {
  readonly id: number
  readonly children: ProfileNode[]
}

/** What DevTools reads from a `.heapprofile` file. */
export interface HeapProfile extends HeapProfiler.SamplingHeapProfile {
  readonly head: ProfileNode
  readonly samples: readonly { readonly nodeId: number }[]
}

/**
 * V8's sampling heap profiler, through `node:inspector`: every `interval` bytes, on average, one allocation is
 * remembered with its stack for as long as the object lives. Since it starts from nothing, what it holds at the end was
 * allocated meanwhile and has stayed.
 */
export class AllocationProfile {
  readonly #session = new Session()

  constructor(interval: number) {
    this.#session.connect()
    this.#post('HeapProfiler.startSampling', { samplingInterval: interval })
  }

  /** Ends sampling and frees what it remembered. Collect garbage first: V8 counts the dead as long as they lie there. */
  stop(): HeapProfile | undefined {
    let profile: HeapProfile | undefined
    this.#session.post('HeapProfiler.stopSampling', (_error, result) => {
      profile = result?.profile as HeapProfile | undefined
    })
    this.#session.disconnect()
    return profile
  }

  #post(method: 'HeapProfiler.startSampling', parameters: HeapProfiler.StartSamplingParameterType): void {
    this.#session.post(method, parameters, (error) => {
      if (error !== null) process.emitWarning(error.message, { code: 'SPILLWAY_MEMORY_PROFILE' })
    })
  }
}

/** Frames of a stack that are kept: as many as V8 itself remembers by default. */
const DEEPEST = 128

/** The stacks of a profile, the greatest first. */
export function stacksOf({ head, samples }: HeapProfile): StackBytes[] {
  const counts = new Map<number, number>()
  for (const { nodeId } of samples) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1)
  const stacks: StackBytes[] = []
  const pending: { node: ProfileNode; below: readonly Frame[] }[] = [{ node: head, below: [] }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { node, below } = next
    const frames = [frameOf(node), ...below.slice(0, DEEPEST - 1)]
    if (node.selfSize > 0) stacks.push({ frames, bytes: node.selfSize, count: counts.get(node.id) ?? 1 })
    for (const child of node.children) pending.push({ node: child, below: frames })
  }
  return stacks.sort((a, b) => b.bytes - a.bytes)
}

function frameOf({ callFrame }: ProfileNode): Frame {
  const { functionName, url, lineNumber, columnNumber } = callFrame
  return { function: functionName || '(anonymous)', url, line: lineNumber + 1, column: columnNumber + 1 }
}
