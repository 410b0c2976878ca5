import type { Point } from './trend.js'

/** Enough for every quarter to show a direction, few enough that all pairs are looked at in a fraction of a millisecond. */
const MOST = 64

/**
 * Time series in bounded memory: when it is full, neighbours are merged two by two, and from then on twice as many readings
 * make one point. The whole history stays, with even and ever coarser spacing.
 */
export class Series {
  #points: Point[] = []
  #perPoint = 1
  #pending: Point[] = []

  /** Returns whether a point was completed. */
  add(reading: Point): boolean {
    this.#pending.push(reading)
    if (this.#pending.length < this.#perPoint) return false
    this.#points.push(mean(this.#pending))
    this.#pending = []
    if (this.#points.length === MOST) this.#halve()
    return true
  }

  get points(): readonly Point[] {
    return this.#points
  }

  /** The points in a part of the distance covered, `from` and `to` being shares of it. */
  part(from: number, to: number): readonly Point[] {
    const first = this.#points[0]?.x ?? 0
    return this.#points.filter(({ x }) => x >= first + from * this.span && x <= first + to * this.span)
  }

  get span(): number {
    return (this.#points.at(-1)?.x ?? 0) - (this.#points[0]?.x ?? 0)
  }

  #halve(): void {
    this.#perPoint *= 2
    this.#points = Array.from({ length: MOST / 2 }, (_, i) => mean(this.#points.slice(2 * i, 2 * i + 2)))
  }
}

function mean(points: readonly Point[]): Point {
  let [x, y] = [0, 0]
  for (const point of points) {
    x += point.x / points.length
    y += point.y / points.length
  }
  return { x, y }
}
