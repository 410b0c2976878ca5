/** What is known about an entry's times, in milliseconds since 1970. */
export interface Times {
  readonly created: number
  readonly freshUntil: number
  /** Until then it may be served while it is refreshed in the background. */
  readonly swrUntil: number
  /** Until then it may be served when the load fails. It ends there. */
  readonly staleUntil: number
  /** Milliseconds that the load took. */
  readonly loadMs: number
}

export interface Leniency {
  readonly swr: number | false
  readonly staleIfError: number | false
}

/**
 * - `fresh`: serve it
 * - `early`: serve it, and refresh it already now, since it is hot and costly
 * - `revalidate`: serve it, and refresh it in the background
 * - `failover`: load; serve it only when that fails or takes too long
 * - `dead`: of no use
 */
export type Freshness = 'fresh' | 'early' | 'revalidate' | 'failover' | 'dead'

/** Early refresh happens in this last part of the lifetime only. */
const EARLY_SHARE = 0.2

/** The moment from which an early refresh is considered. */
export function earlyFrom({ created, freshUntil }: Times): number {
  return freshUntil - (freshUntil - created) * EARLY_SHARE
}

/**
 * Where an entry stands now. Early refresh is XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
 * Stampede Prevention", VLDB 2015.
 *
 * @param beta how eager early refresh is; `false`: never
 */
export function freshnessOf(
  times: Times,
  { swr, staleIfError }: Leniency,
  now: number,
  beta: number | false,
): Freshness {
  if (now < times.freshUntil) {
    if (beta === false || now < earlyFrom(times)) return 'fresh'
    return now - times.loadMs * beta * Math.log(1 - Math.random()) >= times.freshUntil ? 'early' : 'fresh'
  }
  if (now >= times.staleUntil) return 'dead'
  const late = now - times.freshUntil
  if (swr !== false && late < swr && now < times.swrUntil) return 'revalidate'
  return staleIfError !== false && late < staleIfError ? 'failover' : 'dead'
}

/** The times of an entry made now. */
export function timesOf(
  ttl: number,
  { swr, staleIfError }: Leniency,
  now: number,
  jitter: number,
  loadMs: number,
): Times {
  // Only shortened, and never to nothing: the ttl stays what it promises, an upper bound.
  const freshUntil = now + Math.max(1, ttl * (1 - jitter * Math.random()))
  const swrUntil = freshUntil + (swr || 0)
  return {
    created: now,
    freshUntil,
    swrUntil,
    staleUntil: Math.max(swrUntil, freshUntil + (staleIfError || 0)),
    loadMs,
  }
}
