export { DrainingError, StartError, SupervisorClosedError } from './errors.js'
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
export { type DrainGateOptions, drainVerdict } from './gate.js'
export { Health, type HealthAnswer, type HealthCheck, type HealthOptions } from './health.js'
export type { Load, RemoteError } from './messages.js'
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
export { ready, requestReplacement } from './replacement.js'
export {
  type Servable,
  type ServeDrainOptions,
  type Served,
  type ServedStats,
  type ServeOptions,
  serve,
} from './serve.js'
export type { SupervisorStats, WorkerStats } from './stats.js'
export { Supervisor } from './supervisor.js'
export type { TlsOptions } from './tls.js'
export type { WorkerState } from './worker-state.js'
