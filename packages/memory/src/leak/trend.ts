/** A value at a place on an axis that only grows: requests, or milliseconds. */
export interface Point {
  readonly x: number
  readonly y: number
}

export interface Trend {
  /** Median of the slopes between all pairs of points: y per x. One wild point does not move it. */
  readonly slope: number
  /** How sure it is that the values rise, 0 to 1: one minus the chance that values without a trend look so. */
  readonly confidence: number
}

/**
 * The direction of a series, without assuming how its noise is distributed: the Theil-Sen estimator for the slope
 * (H. Theil 1950, P. K. Sen 1968) and the one-sided Mann-Kendall test for its confidence (H. B. Mann 1945, M. G. Kendall
 * 1975), in the normal approximation with continuity correction and the correction for ties. For n points it looks at
 * n (n - 1) / 2 pairs.
 */
export function trendOf(points: readonly Point[]): Trend {
  const slopes: number[] = []
  let rises = 0
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      const rise = points[j]!.y - points[i]!.y
      const run = points[j]!.x - points[i]!.x
      rises += Math.sign(rise)
      if (run > 0) slopes.push(rise / run)
    }
  }
  if (slopes.length === 0) return { slope: 0, confidence: 0 }
  const spread = Math.sqrt(variance(points))
  const z = spread === 0 ? 0 : (rises - Math.sign(rises)) / spread
  return { slope: median(slopes), confidence: z <= 0 ? 0 : normal(z) }
}

function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Of the Mann-Kendall statistic when there is no trend. */
function variance(points: readonly Point[]): number {
  const n = points.length
  const ties = new Map<number, number>()
  for (const { y } of points) ties.set(y, (ties.get(y) ?? 0) + 1)
  let tied = 0
  for (const t of ties.values()) tied += t * (t - 1) * (2 * t + 5)
  return (n * (n - 1) * (2 * n + 5) - tied) / 18
}

/** Distribution function of the standard normal; error below 7.5e-8 (Abramowitz and Stegun 1964, 26.2.17). */
function normal(z: number): number {
  const t = 1 / (1 + 0.2316419 * z)
  const tail =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * tail
}
