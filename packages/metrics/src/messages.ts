import type { Series } from './series.js'

/** Between a worker and its primary, over the IPC channel of `node:cluster`. */
export type Message =
  /** Worker: are you collecting? Primary, to a worker that asked and to all when it begins: I am. */
  | { readonly spillway: 'metrics'; readonly type: 'hello' }
  | { readonly spillway: 'metrics'; readonly type: 'serving' }
  /** Primary, to every worker: give me yours. */
  | { readonly spillway: 'metrics'; readonly type: 'collect'; readonly id: number }
  | {
      readonly spillway: 'metrics'
      readonly type: 'collected'
      readonly id: number
      readonly series: Series[]
    }
  /** Worker, before it goes: what it counted. */
  | { readonly spillway: 'metrics'; readonly type: 'farewell'; readonly series: Series[] }
  /** Worker: give me everybody's, since I was scraped. */
  | { readonly spillway: 'metrics'; readonly type: 'gather'; readonly id: number }
  | ({ readonly spillway: 'metrics'; readonly type: 'gathered'; readonly id: number } & Gathered)

/** The figures of several processes, merged. */
export interface Gathered {
  readonly series: readonly Series[]
  /** Workers whose figures are in it. */
  readonly workers: number
  /** Workers that did not answer in time: their last known counters are in it. */
  readonly missing: number
}

export function isMessage(value: unknown): value is Message {
  return (
    typeof value === 'object' && value !== null && (value as { spillway?: unknown }).spillway === 'metrics'
  )
}
