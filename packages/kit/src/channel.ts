import { AsyncResource } from 'node:async_hooks'
import diagnosticsChannel from 'node:diagnostics_channel'

/**
 * A machine-readable event on `node:diagnostics_channel`, named `spillway:<package>:<event>`. Costs one property
 * read when nobody listens: the message is built only for a subscriber. Messages hold no user keys or values.
 */
export interface Channel<T extends object> extends Listened {
  readonly name: string
  /** @param caller where to publish, when that is not here: see {@link callerOf} */
  publish(message: () => T, caller?: Caller): void
}

/** Something that may have listeners: a channel. */
export interface Listened {
  readonly active: boolean
}

export function channel<T extends object>(name: `spillway:${string}:${string}`): Channel<T> {
  return new DiagnosticsChannel(name)
}

/** A class, because a getter on its prototype is inlined where it is asked on every call, other than one of its own. */
class DiagnosticsChannel<T extends object> implements Channel<T> {
  readonly name: string
  readonly #target: diagnosticsChannel.Channel

  constructor(name: string) {
    this.name = name
    this.#target = diagnosticsChannel.channel(name)
  }

  get active(): boolean {
    return this.#target.hasSubscribers
  }

  publish(message: () => T, caller?: Caller): void {
    if (!this.#target.hasSubscribers) return
    if (caller === undefined) this.#target.publish(message())
    else caller.runInAsyncScope(this.#target.publish, this.#target, message())
  }
}

/**
 * The asynchronous context of a caller: what `AsyncLocalStorage` holds for it, such as the span of its request. Not
 * `AsyncLocalStorage.snapshot()`, which does the same in a hundred times the time.
 */
export type Caller = Pick<AsyncResource, 'runInAsyncScope'>

const UNTRACKED = { requireManualDestroy: true }

/** The caller's context, to be kept while the call waits. */
export function caller(): Caller {
  return new AsyncResource('Spillway', UNTRACKED)
}

/**
 * The caller's context, to be kept while the call waits with others, if any of these channels has a listener. What ends
 * the wait (a flush, a reply, a timer, the call before) runs in a context of its own, where a tracer would take the
 * message for a part of another request.
 */
export function callerOf(listened: readonly Listened[]): Caller | undefined {
  for (let i = 0; i < listened.length; i++) if (listened[i]!.active) return caller()
  return undefined
}
