import { MAX_TIMER } from '@spillway/kit'
import {
  type AnyMessage,
  count,
  excerpt,
  type Field,
  flag,
  INVALID,
  type MessageOf,
  maybe,
  messages,
  number,
  objectOf,
  oneOf,
} from '@spillway/kit/message'
import type { RemoteError } from '../errors.js'
import { TRANSFER_FIELDS } from './transfer.js'

/**
 * What supervisor and worker say to each other over the IPC channel of `node:cluster`. Other messages on the channel
 * belong to the app or to other packages and are left alone. The app can send on the channel, too, so both sides validate.
 */

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

/** A process calls `serve()` so often at most that its ports are kept. */
const MOST_SERVERS = 64

/** More than any process has in flight. */
const MOST_LOST = 1e7

/** UTF-16 code units. */
const LONGEST_NAME = 200
const LONGEST_TEXT = 4_096
/** Longest stack of an error. UTF-16 code units. */
export const LONGEST_STACK = 16_384

const remote: Field<RemoteError> = objectOf({
  name: excerpt(LONGEST_NAME),
  message: excerpt(LONGEST_TEXT),
  code: maybe(excerpt(LONGEST_NAME)),
  stack: maybe(excerpt(LONGEST_STACK)),
})

/** Reasons that only the supervisor itself may have: a worker that gave them would spoil its counts. */
const RESERVED = new Set(['stop', 'reload', 'rollback', 'scale', 'crash', 'exit', 'killed', 'hang', 'start'])

/** Words that a terminal shows as they are. */
const PLAIN = /^[\w .:-]{1,100}$/

const reason: Field<string> = (value) => {
  if (value === undefined) return 'request'
  if (typeof value !== 'string') return INVALID
  return PLAIN.test(value) && !RESERVED.has(value) ? value : 'request'
}

const FROM_WORKER = {
  /** `serve()` was called: from now on "ready" is what it says, not the first port that listens. */
  serving: {},
  /** `own`: the app itself called `ready()`. Otherwise all servers of `serve()` listen. */
  ready: { index: maybe(count(MOST_SERVERS - 1)), port: maybe(count(65_535)), own: maybe(flag()) },
  failed: { error: remote },
  load: {
    utilization: number(0, 1),
    lag: number(0),
    cpu: number(0),
    rss: count(),
    heapUsed: count(),
    requests: count(),
    active: count(),
    connections: count(),
  },
  replace: { reason },
  drained: { lost: count(MOST_LOST) },
  /** With a handle: a connection between two exchanges, for another worker. */
  handover: TRANSFER_FIELDS,
} as const

const FROM_SUPERVISOR = {
  drain: {
    reason: oneOf('stop', 'replace'),
    delay: number(0, MAX_TIMER),
    timeout: number(0, MAX_TIMER),
  },
  /** The answer to `drained`: no connection is on its way to this worker any more, it may go. */
  bye: {},
  tls: {},
  /** With a handle: a connection for this listener, from another worker or from the sticky listener. */
  connection: TRANSFER_FIELDS,
} as const

/** A message without its mark, with fields that may be missing. */
type Unmarked<M> = M extends unknown
  ? { readonly [K in keyof M as K extends 'spillway' ? never : undefined extends M[K] ? never : K]: M[K] } & {
      readonly [K in keyof M as undefined extends M[K] ? K : never]?: M[K]
    }
  : never

/** A message from a worker to the supervisor. */
export type FromWorker = Unmarked<AnyMessage<'cluster', typeof FROM_WORKER>>
/** A message from the supervisor to a worker. */
export type FromSupervisor = Unmarked<AnyMessage<'cluster', typeof FROM_SUPERVISOR>>
/** The message of a worker that is ready. */
export type ReadyMessage = MessageOf<'cluster', 'ready', (typeof FROM_WORKER)['ready']>
/** Whether the whole service stops, or a replacement takes over. */
export type DrainReason = 'stop' | 'replace'

/** Validates a message of a worker; `undefined` when it is not of this package, or malformed. */
export const fromWorker = messages('cluster', FROM_WORKER)

/** Validates a message of the supervisor; `undefined` when it is not of this package, or malformed. */
export const fromSupervisor = messages('cluster', FROM_SUPERVISOR)

interface Marked {
  readonly spillway: 'cluster'
}

/** The message with our mark, as it goes over the channel. */
export function marked<M extends FromWorker | FromSupervisor>(message: M): M & Marked {
  return { spillway: 'cluster', ...message }
}

/** Whether a message on the channel has the mark of this package. */
export function isMarked(raw: unknown): boolean {
  return typeof raw === 'object' && raw !== null && (raw as Partial<Marked>).spillway === 'cluster'
}

/** A thrown value of any type in a form that crosses the channel. */
export function remoteError(error: unknown): RemoteError {
  if (!(error instanceof Error)) return { name: 'Error', message: textOf(error) }
  const { name, message, stack } = error
  const { code } = error as NodeJS.ErrnoException
  return {
    name: textOf(name),
    message: textOf(message),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(typeof code === 'string' ? { code } : {}),
  }
}

/** `String()` throws for an object without a prototype, and for some proxies. */
function textOf(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'something without a text'
  }
}
