import { AsyncResource } from 'node:async_hooks'
import diagnosticsChannel from 'node:diagnostics_channel'

/**
 * A machine-readable event on `node:diagnostics_channel`, named `spillway:<package>:<event>`. Costs one property
 * read without a subscriber: the message is built only for one. Messages hold no user keys or values.
 */
export interface Channel<T extends object> extends Listened {
  readonly name: string
  /** @param caller the context to publish in, where that is not the current one: see {@link callerOf} */
  publish(message: () => T, caller?: Caller): void
}

/** A channel, as far as {@link callerOf} needs one. */
export interface Listened {
  readonly active: boolean
}

export function channel<T extends object>(name: `spillway:${string}:${string}`): Channel<T> {
  return new DiagnosticsChannel(name)
}

/** A class, since V8 inlines a getter of a prototype on hot paths, and no getter of an object literal. */
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
 * The asynchronous context of a caller: the values of `AsyncLocalStorage`, such as the span of a request. An
 * `AsyncResource`, since `AsyncLocalStorage.snapshot()` takes a hundred times as long.
 */
export type Caller = Pick<AsyncResource, 'runInAsyncScope'>

const UNTRACKED = { requireManualDestroy: true }

/** The current asynchronous context, to be kept while a call waits. */
export function caller(): Caller {
  return new AsyncResource('Spillway', UNTRACKED)
}

/**
 * The current asynchronous context, to be kept while a call waits; `undefined` unless one of the channels has a subscriber.
 * What ends the wait (a flush, a reply, a timer, another call) runs in another context: a tracer would add a message
 * published there to another request.
 */
export function callerOf(listened: readonly Listened[]): Caller | undefined {
  for (let i = 0; i < listened.length; i++) if (listened[i]!.active) return caller()
  return undefined
}
