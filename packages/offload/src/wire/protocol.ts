import type { MessagePort } from 'node:worker_threads'
import type { Failure } from './failure.js'

/** What crosses between the main thread and a task thread. Only types: both sides are built separately. */

/** The first message to a thread, through piscina. All others go over the control port. */
export interface Boot {
  readonly control: MessagePort
  /** The memory of the `Claims`. */
  readonly cells: Int32Array
  /** Bytes outside the heap after which a task fails; 0 when there is no limit. */
  readonly memory: number
  /** Href of the module that restores carried context. */
  readonly restore: string | undefined
}

export type ToThread = Request | Cancel

/** One task. It runs when its ticket can be claimed. */
export interface Request {
  readonly ticket: number
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

export interface Cancel {
  readonly cancel: number
  readonly reason: Failure
}

export type FromThread = Answer | Progress | Excess

/** One for each task that was started, in the order in which they were posted. */
export type Answer =
  | { readonly ticket: number; readonly result: unknown }
  | { readonly ticket: number; readonly failure: Failure }

export interface Progress {
  readonly ticket: number
  readonly progress: unknown
}

/** The task has more bytes outside the heap than it may. */
export interface Excess {
  readonly ticket: number
  readonly memory: number
}
