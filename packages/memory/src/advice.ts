/** Warnings that are the same for every monitor of the process are given once. */
const given = new Set<string>()

export function warnOnce(code: string, message: string): void {
  if (given.has(code)) return
  given.add(code)
  process.emitWarning(message, { code })
}

const MB = 1024 ** 2
/** Share of the limit for the heap; code, stacks, Buffers and the allocator need the rest. */
const HEAP_SHARE = 0.75

/**
 * A heap that may grow beyond the container's limit never feels pressure: the kernel ends the process (exit code 137)
 * before V8 collects in earnest. Says which flag prevents it; `undefined` when the heap fits.
 */
export function heapAdvice(heapLimit: number, limit: number): string | undefined {
  if (heapLimit < limit) return undefined
  const fitting = Math.max(16, Math.floor((limit * HEAP_SHARE) / MB))
  return `V8 may use ${Math.round(heapLimit / MB)} MB of heap but the process may use ${Math.round(limit / MB)} MB in all: start Node with --max-old-space-size=${fitting}`
}
