/**
 * Where this process is in its life. One per process, also when the package is there twice (ESM and CJS, two versions):
 * the agent, `serve()` and the adapters all look at the same one.
 *
 * - `starting`: not ready for traffic. Only where `serve()` or a supervisor says so; else a process begins `ready`.
 * - `ready`
 * - `leaving`: about to stop; readiness says no, everything is still served.
 * - `draining`: the listener is closed; what is there is finished.
 * - `refusing`: draining has lasted longer than an idle connection may linger: `drainGate` turns new requests away.
 */
export type Phase = 'starting' | 'ready' | 'leaving' | 'draining' | 'refusing'

/** The state that the agent, `serve()` and the adapters of one process share. */
export interface Lifecycle {
  phase: Phase
  /** Set when the whole service stops, not only this process: then load balancers are to look elsewhere. */
  stopping: boolean
  /** Aborts when draining begins: the moment for endless responses (server-sent events) to end. */
  readonly draining: AbortController
}

const KEY = Symbol.for('spillway.cluster.lifecycle')

type Holder = { [KEY]?: Lifecycle }

/** The lifecycle of this process: the same object for every copy of the package. */
export function lifecycle(): Lifecycle {
  const holder = globalThis as Holder
  return (holder[KEY] ??= { phase: 'ready', stopping: false, draining: new AbortController() })
}

/** Whether a load balancer should send traffic: not before `ready`, and not when the whole service stops. */
export function isReady({ phase, stopping }: Lifecycle): boolean {
  return phase !== 'starting' && !stopping
}
