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
export type { CallOptions } from './jobs/call-options.js'
export type { Outcome } from './jobs/outcome.js'
export type { MapOptions } from './map.js'
export { Offloader } from './offloader.js'
export {
  type ContextOptions,
  DEFAULTS,
  type ErrorClass,
  type OffloaderOptions,
  type PoisonOptions,
  type Priority,
  type RespawnOptions,
  type TaskOptions,
} from './options.js'
export type { DurationStats, OffloaderStats, TaskStats } from './stats.js'
export type { Task, TaskName, TaskOf, TasksOf } from './task.js'
export { shared } from './wire/binary.js'
export type { TaskContext } from './worker/context.js'
