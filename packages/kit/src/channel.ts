import diagnosticsChannel from 'node:diagnostics_channel'

/**
 * A machine-readable event on `node:diagnostics_channel`, named `spillway:<package>:<event>`. Costs one property
 * read when nobody listens: the message is built only for a subscriber. Messages hold no user keys or values.
 */
export interface Channel<T extends object> {
  readonly name: string
  readonly active: boolean
  publish(message: () => T): void
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

  publish(message: () => T): void {
    if (this.#target.hasSubscribers) this.#target.publish(message())
  }
}
