/** Bytes in use after a full collection: the JavaScript heap, and the buffers beside it. */
export function heapUsed() {
  for (let i = 0; i < 3; i++) globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
