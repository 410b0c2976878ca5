import { type Journey, journeyIn } from './journey.js'

/**
 * What supervisor and worker say to each other over the IPC channel of `node:cluster`. Everything else on the channel
 * belongs to others and is left alone.
 */

/** An error that has crossed a process boundary. */
export interface RemoteError {
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
  readonly stack?: string | undefined
}

/** What a worker reports with each heartbeat. */
export interface Load {
  /** Share of the last interval the event loop was busy, 0 to 1. */
  readonly utilization: number
  /** Longest delay of the event loop in the last interval, in milliseconds. */
  readonly lag: number
  /** CPU time used per second, in cores. */
  readonly cpu: number
  /** Bytes. */
  readonly rss: number
  /** Bytes. */
  readonly heapUsed: number
  /** Finished since the worker began. */
  readonly requests: number
  /** In flight. */
  readonly active: number
  /** Open, idle ones too. */
  readonly connections: number
}

export type FromWorker =
  /** `serve()` was called: from now on "ready" is what it says, not the first port that listens. */
  | { readonly type: 'serving' }
  | { readonly type: 'ready'; readonly index?: number; readonly port?: number }
  | { readonly type: 'failed'; readonly error: RemoteError }
  | ({ readonly type: 'load' } & Load)
  | { readonly type: 'replace'; readonly reason: string }
  | { readonly type: 'drained'; readonly lost: number }
  /** With a handle: a connection between two exchanges, for another worker. */
  | ({ readonly type: 'handover' } & Journey)

export type DrainReason = 'stop' | 'replace'

export type FromSupervisor =
  | { readonly type: 'drain'; readonly reason: DrainReason; readonly delay: number; readonly timeout: number }
  /** The answer to `drained`: no connection is on its way to this worker any more, it may go. */
  | { readonly type: 'bye' }
  | { readonly type: 'tls' }
  /** With a handle: a connection for this listener, from another worker or from the sticky listener. */
  | ({ readonly type: 'connection' } & Journey)

interface Marked {
  readonly spillway: 'cluster'
}

/** The message with our mark, as it goes over the channel. */
export function marked<M extends FromWorker | FromSupervisor>(message: M): M & Marked {
  return { spillway: 'cluster', ...message }
}

/** Whether something that came over the channel carries our mark. */
export function isMarked(message: unknown): message is Marked & Readonly<Record<string, unknown>> {
  return (
    typeof message === 'object' && message !== null && (message as Partial<Marked>).spillway === 'cluster'
  )
}

/** What a worker said, if it is ours and makes sense. A worker runs anybody's code: nothing is taken on trust. */
export function fromWorker(message: unknown): FromWorker | undefined {
  if (!isMarked(message)) return undefined
  const { type, index, port, error, reason, lost } = message
  if (type === 'serving') return { type }
  if (type === 'ready') {
    return { type, ...(isCount(index) && isCount(port) ? { index, port } : {}) }
  }
  if (type === 'load') return loadIn(message)
  if (type === 'replace') return { type, reason: String(reason ?? 'request').slice(0, 100) }
  if (type === 'handover') {
    const journey = journeyIn(message)
    return journey && { type, ...journey }
  }
  if (type === 'drained') return { type, lost: isCount(lost) ? lost : 0 }
  if (type === 'failed' && typeof error === 'object' && error !== null) {
    const { name, message: text, code, stack } = error as Partial<Record<keyof RemoteError, unknown>>
    return {
      type,
      error: { name: String(name), message: String(text), code: textOf(code), stack: textOf(stack) },
    }
  }
  return undefined
}

const LOAD_FIELDS = [
  'utilization',
  'lag',
  'cpu',
  'rss',
  'heapUsed',
  'requests',
  'active',
  'connections',
] as const satisfies readonly (keyof Load)[]

function loadIn(message: Readonly<Record<string, unknown>>): FromWorker | undefined {
  const load: Partial<Record<keyof Load, number>> = {}
  for (const field of LOAD_FIELDS) {
    const value = message[field]
    if (typeof value !== 'number' || !Number.isFinite(value)) return undefined
    load[field] = value
  }
  return { type: 'load', ...(load as Load) }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function remoteError(error: unknown): RemoteError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const { name, message, stack } = error
  const { code } = error as NodeJS.ErrnoException
  return { name, message, stack, ...(typeof code === 'string' ? { code } : {}) }
}
