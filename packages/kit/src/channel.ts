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
  const target = diagnosticsChannel.channel(name)
  return {
    name,
    get active() {
      return target.hasSubscribers
    },
    publish(message) {
      if (target.hasSubscribers) target.publish(message())
    },
  }
}
