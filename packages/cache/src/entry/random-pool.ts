import { randomFillSync } from 'node:crypto'

/** Random bytes are drawn from the system for many uses at once: a call for each would cost more than the use. */
const pool = Buffer.allocUnsafeSlow(4_096)
let next = pool.length

/** Random bytes, each given out once. They are part of a buffer that others use, too: copy them at once. */
export function randomBytes(count: number): Buffer {
  if (next + count > pool.length) {
    randomFillSync(pool)
    next = 0
  }
  next += count
  return pool.subarray(next - count, next)
}
