export { DrainingError, type RemoteError, StartError, SupervisorClosedError } from './errors.js'
export type {
  DegradedInfo,
  DrainResult,
  ExitInfo,
  HangInfo,
  ListeningInfo,
  ReloadResult,
  RestartCause,
  SupervisorEvents,
  WorkerInfo,
} from './events.js'
export type { Load } from './ipc/messages.js'
export {
  type AutoscaleOptions,
  type DrainOptions,
  type HeartbeatOptions,
  type LogOptions,
  type RestartPolicyOptions,
  type StickyOptions,
  SUPERVISOR_DEFAULTS,
  type SupervisorOptions,
} from './options.js'
export {
  type Servable,
  type ServeDrainOptions,
  type ServeOptions,
  serve,
} from './serve/serve.js'
export type { Served, ServedStats } from './serve/served.js'
export type { TlsOptions } from './serve/tls-files.js'
export type { WorkerState } from './spawn/worker-state.js'
export type { SupervisorStats, WorkerStats } from './stats.js'
export { Supervisor } from './supervisor.js'
export { type DrainGateOptions, drainVerdict } from './worker/drain-gate.js'
export { Health, type HealthAnswer, type HealthCheck, type HealthOptions } from './worker/health.js'
export { ready, requestReplacement } from './worker/replacement.js'
