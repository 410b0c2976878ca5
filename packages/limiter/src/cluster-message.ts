/**
 * What workers and the primary say to each other over the IPC channel of `node:cluster`. Everything else on the
 * channel is somebody else's.
 */
export type ClusterMessage = { readonly spillway: 'limiter' } & (Greeting | Ask | Reply)

/** A worker says hello when it opens its store; the primary welcomes it, and all workers when it begins to serve. */
export interface Greeting {
  readonly type: 'hello' | 'welcome'
  readonly version: number
}

/** Keys (`<limit> <key>`) and numbers as in `wire.ts`. */
export interface Ask {
  readonly type: 'ask'
  readonly id: number
  readonly keys: readonly string[]
  readonly numbers: readonly number[]
  /** Machine time in milliseconds after which nobody waits for the answer any more. */
  readonly latest: number
}

export interface Reply {
  readonly type: 'answer'
  readonly id: number
  /** Empty: the call came too late, and nothing was done. */
  readonly numbers: readonly number[]
}

export const PROTOCOL = 2

export function isClusterMessage(message: unknown): message is ClusterMessage {
  return typeof message === 'object' && message !== null && (message as ClusterMessage).spillway === 'limiter'
}

/** Milliseconds of a monotonic clock that all processes of a machine share. */
export function machineTime(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}
