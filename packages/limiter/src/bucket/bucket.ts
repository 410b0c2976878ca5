import type { Limit } from './limit.js'

/**
 * The algorithm: a token bucket with continuous refill (the generic cell rate algorithm of ITU-T I.371 in its
 * leaky-bucket form). A bucket is two numbers, `used` tokens as of `at` microseconds; a bucket without an entry is
 * full. Two numbers instead of GCRA's one, so that a changed limit keeps what was used, and so that fast rates stay
 * exact. The script of the Redis store does the same steps on the same doubles; every store decides alike.
 */

/** Tokens in use, `elapsed` microseconds after `used` was noted. Multiplies first: whole tokens stay whole. */
export function levelAt(used: number, elapsed: number, limit: Limit): number {
  const level = used - (elapsed * limit.tokens) / limit.micros
  return Math.max(level, 0)
}

/** Most tokens in use that a bucket holds, so that no sum with them overflows; the largest capacity is a thousandth. */
export const MOST_USED = 1e15

/** The level of a bucket after a charge, or, with a negative cost, after tokens were given back. */
export function charged(level: number, cost: number): number {
  return Math.min(Math.max(0, level + cost), MOST_USED)
}

/**
 * Microseconds until `cost` fits: 0 when it does now, Infinity when it never will. Exact against {@link levelAt}: the
 * same question after that time is answered with yes, and one microsecond earlier with no.
 */
export function timeToFit(used: number, elapsed: number, cost: number, limit: Limit): number {
  const { capacity, tokens, micros } = limit
  const fits = (wait: number) => levelAt(used, elapsed + wait, limit) + cost <= capacity
  if (fits(0)) return 0
  if (cost > capacity || tokens === 0) return Number.POSITIVE_INFINITY
  let wait = Math.ceil(((levelAt(used, elapsed, limit) + cost - capacity) * micros) / tokens)
  // At a rate so low that the time is beyond all numbers.
  if (!Number.isFinite(wait)) return Number.POSITIVE_INFINITY
  for (let step = 1; !fits(wait); step *= 2) wait += step // rounding of the division, if any
  return fits(wait - 1) ? wait - 1 : wait
}

/** Microseconds until a bucket at `level` is full again. */
export function timeToFull(level: number, limit: Limit): number {
  return level === 0 ? 0 : (level * limit.micros) / limit.tokens
}

/** A point in time as whole microseconds, as Redis counts it. */
export function microseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1_000)
}
