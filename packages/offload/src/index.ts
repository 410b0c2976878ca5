export { shared } from './binary.js'
export type { CallOptions } from './call.js'
export type { TaskContext } from './context.js'
export {
  type CrashCode,
  NotCloneableError,
  OverloadedError,
  type RefusalCode,
  RejectedError,
  TaskTimeoutError,
  ThreadError,
  ThrownValueError,
} from './errors.js'
export type { ErrorClass } from './failure.js'
export type { MapOptions } from './map.js'
export { Offloader } from './offloader.js'
export {
  type ContextOptions,
  DEFAULTS,
  type Level,
  type OffloaderOptions,
  type PoisonOptions,
  type RespawnOptions,
  type TaskOptions,
} from './options.js'
export type { Outcome } from './outcome.js'
export type { DurationStats, OffloaderStats, TaskStats } from './stats.js'
export type { Task, TaskName, TaskOf, TasksOf } from './task.js'
