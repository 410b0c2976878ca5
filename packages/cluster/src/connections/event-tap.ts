import type { Server } from 'node:net'

// biome-ignore lint/suspicious/noExplicitAny: the arguments of any event
type Observer<Result> = (...args: any[]) => Result

/** Callbacks before and after the server's own listeners, by the name of the event. */
export interface Observers {
  /** Called before the listeners, which do not get the event when the result is `false`. */
  readonly before: Readonly<Record<string, Observer<boolean | void>>>
  /** Called after the listeners. */
  readonly after: Readonly<Record<string, Observer<void>>>
}

/**
 * Watches the events of a server without listening to them. To Node a listener means something: one for `request` switches
 * on the compatibility layer of HTTP/2, one for `upgrade`, `connect`, `checkContinue`, `checkExpectation` or `clientError`
 * takes over what Node does otherwise. So no listener is added; the server's `emit` tells us and then does what it did.
 */
export function tapEvents(server: Server, observers: Observers): void {
  const before = new Map(Object.entries(observers.before))
  const after = new Map(Object.entries(observers.after))
  const own = Object.hasOwn(server, 'emit') ? server.emit : undefined
  const emit = function (this: Server, event: string, ...args: unknown[]): boolean {
    if (before.get(event)?.(...args) === false) return true
    // Looked up each time: tracing tools replace the one of the prototype, also later than now.
    const through = own ?? (Object.getPrototypeOf(this) as Server).emit
    const heard = Reflect.apply(through, this, [event, ...args]) as boolean
    after.get(event)?.(...args)
    return heard
  }
  Object.defineProperty(server, 'emit', {
    value: emit,
    writable: true,
    configurable: true,
    enumerable: false,
  })
}
