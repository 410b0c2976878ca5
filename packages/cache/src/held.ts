import type { Times } from './freshness.js'
import { deepClone, deepFreeze } from './sharing.js'

/** An entry of the first tier. */
export interface Held extends Times {
  readonly value: unknown
  /** Handed out by hits, so that a hit allocates nothing. Left out when each caller needs an own copy. */
  readonly promise: Promise<unknown> | undefined
  readonly bytes: number
  /** Until then, and while `clock` is current, a hit needs no second look. */
  hotUntil: number
  /** From then on it is to be compared with the store. */
  verifyAt: number
  readonly tags: readonly string[]
  /** The id of the entry in the store, `''` when it is not there. */
  id: string
  /** The fence's clock when it was last found valid. */
  clock: number
}

export type Share = 'freeze' | 'clone' | 'reference'

export interface Material extends Omit<Held, 'value' | 'promise' | 'hotUntil' | 'verifyAt'> {
  readonly value: unknown
  /** Freezing protects the value. */
  readonly plain: boolean
  /** Somebody outside holds the value, and could change it later. */
  readonly known: boolean
}

/** Makes an entry that no caller can harm. */
export function hold({ value, plain, known, ...meta }: Material, share: Share): Held {
  const copied = share === 'clone' || (share === 'freeze' && !plain)
  const safe = share === 'freeze' && plain ? deepFreeze(value) : copied && known ? deepClone(value) : value
  return {
    ...meta,
    value: safe,
    promise: copied ? undefined : Promise.resolve(safe),
    hotUntil: 0,
    verifyAt: 0,
  }
}

/** The value for one caller. */
export function handOut(held: Held): unknown {
  return held.promise === undefined ? deepClone(held.value) : held.value
}
