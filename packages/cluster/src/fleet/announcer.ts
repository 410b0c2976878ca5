import type { EventEmitter } from 'node:events'
import { notify } from '@spillway/kit'
import type { RemoteError } from '../errors.js'
import {
  channels,
  type ExitInfo,
  type ForkFailure,
  type HangInfo,
  type ListeningInfo,
  type MissingInfo,
  type ReloadResult,
  type SupervisorEvents,
  type WorkerInfo,
} from '../events.js'
import type { WorkerProcess } from '../spawn/worker-process.js'

/** Publisher of the fleet's events: to the supervisor's listeners, and to diagnostics channels, there without error texts. */
export class Announcer {
  constructor(readonly events: EventEmitter<SupervisorEvents>) {}

  fork({ info }: WorkerProcess): void {
    notify(this.events, 'fork', info)
    channels.fork.publish(() => info)
  }

  forkFailed({ error, ...failure }: ForkFailure): void {
    notify(this.events, 'forkFailed', { ...failure, error })
    channels.forkFailed.publish(() => failure)
  }

  /** Without a listener for `missing` it is a warning: a reload that loses a port would look like a success otherwise. */
  missing(missing: MissingInfo): void {
    channels.missing.publish(() => missing)
    if (this.events.listenerCount('missing') > 0) notify(this.events, 'missing', missing)
    else {
      process.emitWarning(
        `The new worker ${missing.pid} does not listen on ${missing.addresses.join(', ')}, as the one before it did`,
        { code: 'SPILLWAY_CLUSTER_MISSING' },
      )
    }
  }

  ready({ info, startedAt }: WorkerProcess, now: number): void {
    notify(this.events, 'ready', info)
    channels.ready.publish(() => ({ ...info, milliseconds: now - startedAt }))
  }

  exit(exit: ExitInfo): void {
    notify(this.events, 'exit', exit)
    channels.exit.publish(() => ({ ...exit, error: undefined }))
  }

  hang(hang: HangInfo): void {
    notify(this.events, 'hang', hang)
    channels.hang.publish(() => hang)
  }

  degraded(worker: WorkerInfo, error: RemoteError | undefined, within: number): void {
    notify(this.events, 'degraded', { within, worker, error })
    channels.degraded.publish(() => ({ ...worker, within }))
  }

  recovered(): void {
    notify(this.events, 'recovered')
  }

  reload(result: ReloadResult): void {
    notify(this.events, 'reload', result)
    channels.reload.publish(() => ({ ...result, error: undefined }))
  }

  scale(change: SupervisorEvents['scale'][0]): void {
    notify(this.events, 'scale', change)
    channels.scale.publish(() => change)
  }

  listening(address: ListeningInfo): void {
    notify(this.events, 'listening', address)
  }
}
