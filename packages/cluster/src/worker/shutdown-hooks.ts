import { inspect } from 'node:util'
import { drainWithin } from '@spillway/kit'
import { writeError } from './stderr.js'

type Listener = (...args: unknown[]) => unknown
const EVENTS = ['SIGTERM', 'SIGINT', 'disconnect', 'beforeExit', 'message'] as const
type Event = (typeof EVENTS)[number]

/**
 * Emulation of a signal for the app's own clean-up. A process that is told to leave by its supervisor gets no signal, so what the app does at one
 * (flush, log off, write a file) is asked for here, when nothing is in flight any more: its listeners are called as Node
 * would call them, and it gets time until it
 *
 * - ends the process itself, or
 * - has settled every promise that its listeners gave, or
 * - sends the signal to itself again, as Nest's shutdown hooks and terminus do when they have done, or
 * - leaves nothing behind that would keep a process alive.
 */
export class ShutdownHooks {
  /** Listeners that were there before the app: of Node and of this package. */
  readonly #foreign = new Set<unknown>()
  #failed = false
  #emptied = false
  #over: (() => void) | undefined

  constructor() {
    for (const event of EVENTS) for (const listener of rawListeners(event)) this.#foreign.add(listener)
  }

  /** Whether a listener of the app has thrown or rejected. */
  get failed(): boolean {
    return this.#failed
  }

  /** The app's listeners of an event. */
  listeners(event: Event): Listener[] {
    return rawListeners(event).filter((listener) => !this.#foreign.has(listener))
  }

  /** Marks one more listener that is not the app's. */
  exempt(listener: unknown): void {
    this.#foreign.add(listener)
  }

  /** Calls them, and waits at most `patience` milliseconds for what they do. */
  async ask(event: Event, args: readonly unknown[], patience: number): Promise<void> {
    const listeners = this.listeners(event)
    if (listeners.length === 0) return
    const over = new Promise<void>((resolve) => {
      this.#over = resolve
    })
    // Only the app keeps the process alive now: an empty event loop means that the app has finished.
    process.channel?.unref()
    const empty = () => {
      this.#emptied = true
      this.#over?.()
    }
    this.#foreign.add(empty)
    process.on('beforeExit', empty)
    // Node itself has called the `beforeExit` listeners when nothing was left to do: the wait is for the work that they began.
    const called = event === 'beforeExit' && this.#emptied
    if (!called) this.#callAll(listeners, args)
    await drainWithin(over, { timeout: patience }, patience)
    process.off('beforeExit', empty)
    process.channel?.ref()
    this.#over = undefined
  }

  /** A signal has come while the app is asked: it has sent it to itself and has done. Tells whether it was so. */
  again(): boolean {
    this.#over?.()
    return this.#over !== undefined
  }

  #callAll(listeners: readonly Listener[], args: readonly unknown[]): void {
    const promises = listeners.map((listener) => this.#call(listener, args))
    const promised = promises.filter((each) => each !== undefined)
    // One that gives no promise may still be at work, by callbacks.
    if (promised.length === promises.length) void Promise.all(promised).then(() => this.#over?.())
  }

  #call(listener: Listener, args: readonly unknown[]): Promise<unknown> | undefined {
    try {
      // A wrapper of `once` takes itself away when it is called.
      const result = Reflect.apply(listener, process, args)
      return isPromise(result) ? result.then(undefined, (error) => this.#complain(error)) : undefined
    } catch (error) {
      this.#complain(error)
      return Promise.resolve()
    }
  }

  #complain(error: unknown): void {
    this.#failed = true
    // Not by a warning, which would come after the end.
    writeError(`A listener failed at the end of the process: ${inspect(error)}\n`)
  }
}

function rawListeners(event: Event): Listener[] {
  return process.rawListeners(event) as Listener[]
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as Promise<unknown> | null | undefined)?.then === 'function'
}
