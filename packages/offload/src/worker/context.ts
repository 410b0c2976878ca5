import type { MessagePort, Transferable } from 'node:worker_threads'
import type { Claims } from '../wire/claims.js'

/** The second argument of a task. May be destructured. */
export interface TaskContext<Progress = unknown> {
  /** Aborts when the caller gives up or the time is over. Code that awaits should pass it on: its thread is then kept. */
  readonly signal: AbortSignal
  /** What the offloader's `context.capture` gave at the call; `undefined` when nothing was captured. */
  readonly carried: unknown
  /** Sends progress to the caller's `onProgress`, in order, before the result. */
  report(progress: Progress): void
  /** These buffers or ports are moved with the result instead of copied. */
  transfer(...objects: Transferable[]): void
  /** Throws the reason when the task is cancelled. One atomic load: cheap enough for a loop that never awaits. */
  check(): void
}

/** The thread's side of its ports, shared by all tasks of a thread. */
export interface ThreadLink {
  readonly control: MessagePort
  readonly claims: Claims
  /** Reads what has been posted but not been delivered as an event yet, such as a cancellation. */
  drain(): void
  /** Posts, or throws a `Failure` that names what could not be cloned. */
  post(
    side: 'progress' | 'result',
    message: Readonly<Record<string, unknown>>,
    transfer?: Transferable[],
  ): void
}

export class Context implements TaskContext {
  readonly ticket: number
  readonly carried: unknown
  moved: Transferable[] | undefined
  readonly #link: ThreadLink
  #controller: AbortController | undefined
  #reason: unknown

  constructor(ticket: number, carried: unknown, link: ThreadLink) {
    this.ticket = ticket
    this.carried = carried
    this.#link = link
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  readonly report = (progress: unknown): void => {
    this.#link.post('progress', { ticket: this.ticket, progress })
  }

  readonly transfer = (...objects: Transferable[]): void => {
    this.moved = this.moved === undefined ? objects : this.moved.concat(objects)
  }

  readonly check = (): void => {
    if (!this.#link.claims.isCancelled(this.ticket)) return
    this.#link.drain()
    throw this.#reason ?? new DOMException('The task was cancelled', 'AbortError')
  }

  /** Tells the task that its caller has given up. */
  cancel(reason: unknown): void {
    this.#reason = reason
    this.#controller?.abort(reason)
  }
}
