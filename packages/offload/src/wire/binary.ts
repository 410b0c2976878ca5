import type { Transferable } from 'node:worker_threads'

/**
 * Cloning or transferring a view takes its whole buffer along: for a small `Buffer` that is Node's shared pool with
 * whatever else lies in it. A view of a part becomes a copy of that part; memory that is shared on purpose stays shared.
 */
export function compact(value: unknown): unknown {
  if (!(value instanceof Uint8Array) || value.byteLength === value.buffer.byteLength) return value
  if (value.buffer instanceof SharedArrayBuffer) return value
  return new Uint8Array(value)
}

/**
 * The buffers in an input (itself, or one level down in a plain object or array) that it owns as a whole, for
 * `transfer: 'auto'`. The caller loses them.
 */
export function ownedBuffers(input: unknown): Transferable[] {
  const candidates =
    typeof input === 'object' &&
    input !== null &&
    !ArrayBuffer.isView(input) &&
    !(input instanceof ArrayBuffer)
      ? Object.values(input)
      : [input]
  const owned = new Set<ArrayBuffer>()
  for (const candidate of candidates) {
    if (candidate instanceof ArrayBuffer) owned.add(candidate)
    else if (
      ArrayBuffer.isView(candidate) &&
      candidate.buffer instanceof ArrayBuffer &&
      candidate.byteLength === candidate.buffer.byteLength
    ) {
      owned.add(candidate.buffer)
    }
  }
  return [...owned]
}

/**
 * The bytes in memory that all threads see: passing it to a task copies nothing, and the task's writes are seen here.
 * Copies once.
 */
export function shared(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.byteLength))
  view.set(bytes)
  return view
}
