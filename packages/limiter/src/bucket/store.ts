import type { CloseOptions } from '@spillway/kit'
import type { Decision } from './decision.js'
import type { Limit } from './limit.js'
import type { LimiterCounters } from './limiter-counters.js'

/** The result of a call: a decision, where the buckets are in this process, or a promise of one. */
export type Answer = Decision | Promise<Decision>

/** Keeps buckets. `memoryStore`, `clusterStore` and `redisStore` make one; each limiter opens its own buckets in it. */
export interface Store<R extends Answer> {
  open(limit: Limit, settings: BucketSettings): Buckets<R>
  stats(): StoreStats
  /** Releases leases, listeners and timers. A client that the user made stays open. */
  close(options?: CloseOptions): Promise<void>
}

/** The buckets of one limit, or of several that are decided together. */
export interface Buckets<R extends Answer> {
  readonly limits: readonly Limit[]
  /** Charges `cost` if it fits in every limit, else changes nothing. */
  take(key: string, cost: number, limits?: readonly Limit[], signal?: AbortSignal): R
  /** The decision that `take` would make. */
  peek(key: string, cost: number, limits?: readonly Limit[]): R
  /** Charges without asking; a negative cost gives back, at most up to a full bucket. */
  charge(key: string, cost: number, limits?: readonly Limit[]): R
  /** Corrects what an earlier decision charged, where it was charged. */
  adjust(decision: Decision, difference: number): R
  /** Makes the buckets of the key full. */
  reset(key: string): R
  /** Buckets that decide over these and the others at once, on the same state. */
  join(others: readonly Buckets<R>[], counters: LimiterCounters): Buckets<R>
  /** Keys that this process remembers beside the store itself. */
  remembered(): Remembered
  /** Gives back leases. */
  close(options?: CloseOptions): Promise<void>
}

/** Keys that a limiter on a shared store remembers in this process: denials, leases, buckets of the policy for failures. */
export interface Remembered {
  readonly keys: number
  /** What they take, about and at most. */
  readonly bytes: number
}

/** What to do when a shared store does not answer. */
export type FailurePolicy =
  /** Admit every call. */
  | 'allow'
  /** Refuse every call: the adapters answer 503, never 429. */
  | 'deny'
  /** Decide in this process, with this part of the limit; `'local'` alone: one worker's share. */
  | 'local'
  | { readonly local: number }

/** The option `lease`, as resolved. */
export interface LeaseOptions {
  /** Most tokens this process may hold in advance for one key. */
  readonly max: number
  /** A lease unused for this long is given back, in milliseconds. */
  readonly idle: number
}

/** Settings of the buckets of one limiter. */
export interface BucketSettings {
  /** Gets every decision of `take` before the caller does, and may replace it. */
  readonly counters: LimiterCounters
  /** Whether the user gave the limit its name; else its buckets are shared with no other limiter. */
  readonly named: boolean
  /** Tells an unnamed limit from others with the same numbers; the same in all processes. */
  readonly scope?: string | undefined
  readonly onStoreFailure: FailurePolicy
  /** Milliseconds for which a denial may be repeated without asking the store; `false`: never. */
  readonly denyCache: number | false
  readonly lease: LeaseOptions | false
}

/** Figures of a store, in this process. */
export interface StoreStats {
  readonly store: 'memory' | 'cluster' | 'redis'
  /** Buckets in this process. */
  readonly keys: number
  /** Upper estimate of the bytes that they and their keys take. */
  readonly bytes: number
  /** Buckets dropped before they were full, because of `maxKeys`. */
  readonly evictions: number
  /** Tokens that those evictions forgave: the only over-admission there is. */
  readonly forgivenTokens: number
  /** Calls to a shared store: scripts or messages, each for many decisions. */
  readonly calls: number
  /** Calls that failed or came too late. */
  readonly failures: number
  /** False while a shared store, or a node of it, is down and gets no requests. */
  readonly up: boolean
}
