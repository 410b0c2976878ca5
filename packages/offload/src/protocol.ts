import type { MessagePort } from 'node:worker_threads'
import type { Failure } from './failure.js'

/** What crosses between the main thread and a task thread. Only types: both sides are built separately. */

/** The first message to a thread. */
export interface Boot {
  readonly boot: true
  /** Carries cancellation to the thread; progress and structured results to the main thread. */
  readonly control: MessagePort
  /** One cell: the id of the task that is cancelled. Seen even by code that never lets the event loop run. */
  readonly cancelled: Int32Array
  /** Bytes outside the heap after which a task fails; 0 when there is no limit. */
  readonly memory: number
  /** Href of the module that restores carried context. */
  readonly restore: string | undefined
}

/** One task. */
export interface Request {
  readonly id: number
  /** Number of the function; 0 for an inline function, which is in the input: {@link InlineCall}. */
  readonly task: number
  readonly input: unknown
  /** Where the function comes from; only the first time that a thread meets it. */
  readonly origin?: Origin
  /** What `context.capture` gave. */
  readonly carried?: unknown
}

export interface Origin {
  /** The module's href. */
  readonly module: string
  /** Name of the export. */
  readonly name: string
  /** Href of a TypeScript loader, for modules that need one. */
  readonly loader: string | undefined
}

export interface InlineCall {
  readonly source: string
  readonly args: readonly unknown[]
}

/**
 * What a thread answers through piscina: a primitive or binary result as it is, or `Posted` when the result went over
 * the control port. Failures are thrown as a plain {@link Failure}.
 */
export interface Posted {
  readonly posted: true
}

/** From the thread, over the control port. */
export type FromThread =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly progress: unknown }
  /** The task has more bytes outside the heap than it may. */
  | { readonly id: number; readonly memory: number }

/** To the thread, over the control port. */
export interface Cancel {
  readonly cancel: number
  readonly reason: Failure
}
