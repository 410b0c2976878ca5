import { AsyncResource } from 'node:async_hooks'
import type { Transferable } from 'node:worker_threads'
import {
  type Duration,
  defineOptions,
  duration,
  func,
  having,
  oneOf,
  optional,
  orFalse,
  type Place,
  refuse,
} from '@spillway/kit'
import { PRIORITIES, type Priority } from '../options.js'
import { ownedBuffers } from '../wire/binary.js'
import type { TaskDefinition } from './task-definition.js'

/** Options of one call of a task. */
export interface CallOptions<Progress = unknown> {
  /** Gives up: the promise rejects with `signal.reason` and the task itself is stopped. */
  readonly signal?: AbortSignal | undefined
  /** How long it may run. Default: the task's. */
  readonly timeout?: Duration | false
  /** How long it may wait for a thread. Default: the task's. */
  readonly maxWait?: Duration | false
  /** How long it may take in all, waiting and running. Default: `false`. */
  readonly deadline?: Duration | false
  /** Default: the task's. */
  readonly priority?: Priority
  /**
   * Buffers or ports of the input that are moved instead of copied; the caller loses them when the task starts.
   * `'auto'`: every buffer that the input, or one of its fields, owns as a whole. Default: all is copied.
   */
  readonly transfer?: readonly Transferable[] | 'auto'
  /**
   * Called with each `report(progress)` of the task, in order, in the async context of this call. When it throws, the task
   * is stopped and the call rejects with what it threw.
   */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** The options of a call, resolved. Limits are milliseconds, `Infinity` when there is none. */
export interface ResolvedCall {
  readonly transfer: readonly Transferable[] | undefined
  readonly priority: Priority
  readonly timeout: number
  readonly maxWait: number
  readonly deadline: number
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((progress: unknown) => void) | undefined
}

const resolve = defineOptions('offload', 'call', {
  signal: optional(having<AbortSignal>('an AbortSignal', 'addEventListener', 'removeEventListener')),
  timeout: optional(orFalse(duration({ min: 1 }))),
  maxWait: optional(orFalse(duration({ min: 1 }))),
  deadline: optional(orFalse(duration())),
  priority: optional(oneOf(...PRIORITIES)),
  transfer: optional(transferable),
  onProgress: optional(func<(progress: unknown) => void>()),
})

/** Checked with each call, so without an error that is made and caught on the way. */
function transferable(value: unknown, place: Place): readonly Transferable[] | 'auto' {
  if (value !== 'auto' && !Array.isArray(value)) refuse(TypeError, place, "'auto' or an array", value)
  return value
}

/** The call when no options are given. */
export function defaultCall(task: TaskDefinition): ResolvedCall {
  return {
    transfer: undefined,
    priority: task.rules.priority,
    timeout: task.rules.timeout,
    maxWait: task.rules.maxWait,
    deadline: Number.POSITIVE_INFINITY,
    signal: undefined,
    onProgress: undefined,
  }
}

/** @throws TypeError | RangeError `ERR_OFFLOAD_OPTION` */
export function resolveCall(task: TaskDefinition, input: unknown, options: CallOptions<never>): ResolvedCall {
  const given = resolve(options)
  return {
    transfer: given.transfer === 'auto' ? ownedBuffers(input) : given.transfer,
    priority: given.priority ?? task.rules.priority,
    timeout: limit(given.timeout, task.rules.timeout),
    maxWait: limit(given.maxWait, task.rules.maxWait),
    deadline: limit(given.deadline),
    signal: given.signal,
    onProgress: given.onProgress && AsyncResource.bind(given.onProgress),
  }
}

/** A limit as a number: `false` is `Infinity`, and `undefined` the fallback. */
export function limit(
  value: number | false | undefined,
  fallback: number = Number.POSITIVE_INFINITY,
): number {
  if (value === undefined) return fallback
  return value === false ? Number.POSITIVE_INFINITY : value
}
