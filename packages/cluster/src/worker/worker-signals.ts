import type { Runtime } from './runtime.js'

const INSTALLED = Symbol.for('spillway.cluster.signals')

/** Both of a group's processes get the signal; the supervisor's word comes first. Milliseconds. */
const AFTER_YOU = 200

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
 * The same under a supervisor, before the app has begun. The kernel's signals do not reach the app's own listeners: one that
 * ends the process at once, as many do, would cut off what is in flight. They are called after the drain instead, see
 * `ShutdownHooks`. A signal that the app emits itself is the app's own business.
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
      setTimeout(() => host.send({ type: 'replace', reason: name }), AFTER_YOU).unref()
    }
    return true
  }
  // Before the first listener: Node binds what it finds here then.
  process.emit = held as typeof process.emit
  for (const signal of SIGNALS) process.on(signal, present)
}

/** 128 and the number of the signal, as shells say it. */
const EXIT_CODES: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 130, SIGTERM: 143 }
