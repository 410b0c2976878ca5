import type { Runtime } from './runtime.js'

const INSTALLED = Symbol.for('spillway.cluster.signals')

/** A signal to the group reaches supervisor and worker: how long the worker waits for the supervisor's order. Milliseconds. */
const SUPERVISOR_FIRST = 200

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Alone, SIGTERM and SIGINT drain and end the process, and a second one ends it at once. Under a supervisor a SIGINT
 * (Ctrl-C reaches the whole group) is the supervisor's business, and a SIGTERM asks it for a replacement. Returns the
 * uninstall.
 */
export function handleWorkerSignals(host: Runtime, drain: { timeout: number; delay: number }): () => void {
  const holder = globalThis as { [INSTALLED]?: boolean }
  if (holder[INSTALLED]) return () => {}
  holder[INSTALLED] = true
  let signals = 0
  const end = (signal: NodeJS.Signals) => {
    signals++
    if (signals > 1) process.exit(EXIT_CODES[signal])
    void host.exit({ reason: 'stop', ...drain }, 0)
  }
  for (const signal of SIGNALS) process.on(signal, end)
  return () => {
    for (const signal of SIGNALS) process.off(signal, end)
    holder[INSTALLED] = false
  }
}

/**
 * The same under a supervisor, before the app has begun. A signal from the kernel does not reach the app's own listeners: a
 * listener that ends the process at once, as many do, would cut off what is in flight. `ShutdownHooks` calls the listeners
 * after the drain instead. A signal that the app emits itself reaches them at once.
 */
export function holdSignals(host: Runtime, drain: { timeout: number; delay: number }): void {
  const holder = globalThis as { [INSTALLED]?: boolean }
  holder[INSTALLED] = true
  // With a listener, a signal does not end the process by itself.
  const present = () => {}
  host.shutdownHooks.exempt(present)
  const emit = process.emit as (...args: unknown[]) => boolean
  let signals = 0
  const held = (name: string | symbol, ...args: unknown[]): boolean => {
    const fromKernel = (name === 'SIGTERM' || name === 'SIGINT') && typeof args[1] === 'number'
    if (!fromKernel) return Reflect.apply(emit, process, [name, ...args])
    signals++
    if (host.shutdownHooks.again()) return true
    if (!host.supervised) {
      if (signals > 1) process.exit(EXIT_CODES[name])
      void host.exit({ reason: 'stop', ...drain }, 0)
    } else if (name === 'SIGTERM' && signals === 1) {
      setTimeout(() => host.send({ type: 'replace', reason: name }), SUPERVISOR_FIRST).unref()
    }
    return true
  }
  // Before the first listener: Node binds what it finds here then.
  process.emit = held as typeof process.emit
  for (const signal of SIGNALS) process.on(signal, present)
}

/** 128 and the number of the signal, as shells say it. */
const EXIT_CODES: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 130, SIGTERM: 143 }
