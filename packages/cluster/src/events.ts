import { channel } from '@spillway/kit'
import type { RemoteError } from './errors.js'

/** Why a worker is to be replaced, or was told to leave. */
export type LeaveReason =
  | 'stop'
  | 'reload'
  | 'rollback'
  | 'scale'
  | 'memory'
  | 'age'
  | 'requests'
  | (string & {})

/** Why a worker was replaced: what it did, or the reason it was told to leave. */
export type RestartCause = 'crash' | 'exit' | 'killed' | 'hang' | 'start' | LeaveReason

/** Where the supervisor's workers, all together, are in their life. */
export type FleetPhase = 'idle' | 'starting' | 'running' | 'stopping' | 'stopped'

/** The identity of a worker. */
export interface WorkerInfo {
  readonly id: number
  readonly pid: number
  readonly slot: number
  readonly generation: number
}

/** A worker that has ended. */
export interface ExitInfo extends WorkerInfo {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** `undefined` when it left as it was told to. */
  readonly cause: RestartCause | undefined
  /** Its own last error, when it could tell. */
  readonly error: RemoteError | undefined
  /** Requests that were cut off. */
  readonly lost: number
}

/** A worker that could not be forked. */
export interface ForkFailure {
  readonly slot: number
  readonly generation: number
  /** The kernel's name for it, such as `EMFILE` or `EAGAIN`. */
  readonly code: string | undefined
  readonly error: Error
  /** Milliseconds until this place is tried again. */
  readonly retryIn: number
}

/** A replacement that was taken without all addresses of its predecessor. */
export interface MissingInfo extends WorkerInfo {
  /** `*:9090`, or the path of a socket. */
  readonly addresses: readonly string[]
}

/** A worker that was silent beyond the heartbeat deadline. */
export interface HangInfo extends WorkerInfo {
  /** Milliseconds since it was last heard. */
  readonly silent: number
  /** Where its event loop stands, when its watchdog could see it. */
  readonly stack: string | undefined
}

/** An address at which workers listen. */
export interface ListeningInfo {
  /** `127.0.0.1:3000`, `*:3000`, or the path of a socket. */
  readonly address: string
  readonly port: number | undefined
}

/** How a reload ended. */
export interface ReloadResult {
  readonly ok: boolean
  readonly generation: number
  /** Workers that were replaced. */
  readonly replaced: number
  /** How many of the replaced workers were killed at the drain deadline. */
  readonly forced: number
  /** Requests and streams that were cut off at the drain deadline, as far as the workers could tell. */
  readonly lost: number
  readonly milliseconds: number
  /** Why the new version was refused. */
  readonly error?: Error
}

/** How a drain ended. */
export interface DrainResult {
  /** Workers that left by themselves. */
  readonly clean: number
  /** Workers that had to be killed. */
  readonly forced: number
  /** Requests and streams that were cut off, as far as the workers could tell. */
  readonly lost: number
}

/** The crashes that made the supervisor degraded. */
export interface DegradedInfo {
  readonly worker: WorkerInfo
  readonly error: RemoteError | undefined
  /** The window of the restart policy, in milliseconds. */
  readonly within: number
}

/** The events of {@link Supervisor} and their arguments. */
export interface SupervisorEvents {
  fork: [worker: WorkerInfo]
  /** A worker could not be forked; its place is tried again, with back-off. */
  forkFailed: [failure: ForkFailure]
  ready: [worker: WorkerInfo]
  exit: [exit: ExitInfo]
  listening: [address: ListeningInfo]
  /** A replacement was taken although it does not listen where its predecessor did, since `settleTimeout` was over. */
  missing: [missing: MissingInfo]
  /** A worker missed its heartbeat deadline and is killed. */
  hang: [hang: HangInfo]
  /** More crashes than the restart policy allows: restarts go on, slowly. */
  degraded: [last: DegradedInfo]
  /** The window after {@link SupervisorEvents.degraded} was quiet. */
  recovered: []
  reload: [result: ReloadResult]
  scale: [change: { readonly from: number; readonly to: number; readonly by: 'call' | 'load' }]
  /** The supervisor is closed and no worker is left. */
  close: [result: DrainResult]
}

/** The diagnostics channels. They carry ids of processes and counts only. */
export const channels = {
  fork: channel<WorkerInfo>('spillway:cluster:fork'),
  forkFailed: channel<Omit<ForkFailure, 'error'>>('spillway:cluster:unborn'),
  missing: channel<MissingInfo>('spillway:cluster:missing'),
  ready: channel<WorkerInfo & { readonly milliseconds: number }>('spillway:cluster:ready'),
  exit: channel<Omit<ExitInfo, 'error'>>('spillway:cluster:exit'),
  hang: channel<HangInfo>('spillway:cluster:hang'),
  degraded: channel<WorkerInfo & { readonly within: number }>('spillway:cluster:degraded'),
  reload: channel<Omit<ReloadResult, 'error'>>('spillway:cluster:reload'),
  scale: channel<{ readonly from: number; readonly to: number; readonly by: 'call' | 'load' }>(
    'spillway:cluster:scale',
  ),
}
