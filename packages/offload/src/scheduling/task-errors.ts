import { misuse } from '@spillway/kit'
import { NotCloneableError, TaskTimeoutError, ThreadError, ThrownValueError } from '../errors.js'
import type { Job } from '../jobs/job.js'
import type { TaskDefinition } from '../jobs/task-definition.js'
import type { ErrorClass } from '../options.js'
import type { ThreadLoss } from '../threads/thread.js'
import { findUncloneable } from '../wire/cloneable.js'
import { type CloneDetail, type Failure, messageOf, revive, reviveAny } from '../wire/failure.js'
import { captureError } from '../worker/inline-source.js'

/** The caller's error for what a thread answered. */
export function taskError(
  failure: Failure,
  task: TaskDefinition,
  classes: ReadonlyMap<string, ErrorClass>,
): Error {
  return ours(errorOf(failure, task, classes))
}

function errorOf(thrown: Failure, task: TaskDefinition, classes: ReadonlyMap<string, ErrorClass>): Error {
  switch (thrown.failure) {
    case 'error':
      return revive(thrown, classes)
    case 'value':
      return new ThrownValueError(task.label, thrown.value)
    case 'load':
      return loadError(task, reviveAny(thrown, classes))
    case 'missing':
      return missingError(task, thrown)
    case 'clone': {
      const { side, path, reason } = thrown.value as CloneDetail
      return new NotCloneableError(side, path, reason)
    }
    case 'memory':
      return memoryError(task, Number(thrown.value))
    case 'capture':
      return captureError(thrown.value, revive(thrown, classes))
  }
}

/** The caller's error when a request could not be posted at all, for its input or its transfer list. */
export function inputError(error: unknown, input: unknown): Error {
  // A cloneable input: then a buffer is listed twice, lost already, or one that cannot be transferred.
  const { path, reason } = findUncloneable(input, 'input') ?? { path: 'transfer', reason: messageOf(error) }
  return ours(new NotCloneableError('input', path, reason))
}

/** The task ran longer than it may. */
export function timeoutError({ task, timeout }: Job): TaskTimeoutError {
  const reason = `task ${task.label} ran longer than ${timeout} ms`
  return new TaskTimeoutError('ERR_OFFLOAD_TIMEOUT', task.label, timeout, reason)
}

/** The call took longer in all than it may. */
export function deadlineError({ task, deadline, enqueuedAt }: Job): TaskTimeoutError {
  const given = Math.round(deadline - enqueuedAt)
  const reason = `task ${task.label} was not done within ${given} ms`
  return new TaskTimeoutError('ERR_OFFLOAD_DEADLINE', task.label, given, reason)
}

export function terminatedError({ label }: TaskDefinition): ThreadError {
  return new ThreadError('ERR_OFFLOAD_TERMINATED', label, `Task ${label} was ended: the offloader closed`)
}

export function memoryError(task: TaskDefinition, bytes: number): ThreadError {
  const message = `Task ${task.name} left its thread with ${bytes} bytes outside the heap, more than it may have`
  return new ThreadError('ERR_OFFLOAD_MEMORY', task.label, message)
}

export function bootError(task: TaskDefinition, cause: unknown): ThreadError {
  return ours(
    new ThreadError('ERR_OFFLOAD_BOOT', task.label, `No thread starts for task ${task.name}`, { cause }),
  )
}

export function loadError(task: TaskDefinition, cause: unknown): ThreadError {
  const message = `The module of task ${task.name} does not load`
  return ours(new ThreadError('ERR_OFFLOAD_LOAD', task.label, message, { cause }))
}

/** The caller's error when another call took the thread along; `cause` is the error of that one. */
export function collateralError(task: TaskDefinition, { error, exitCode, culprit }: ThreadLoss): ThreadError {
  const other = culprit?.task === undefined ? 'another task' : `task ${culprit.task.label}`
  const message = `The thread of task ${task.label} was ended by something that an earlier call of ${other} left behind`
  return ours(new ThreadError('ERR_OFFLOAD_COLLATERAL', task.label, message, { cause: error, exitCode }))
}

/** The caller's error when the thread went away under its task. */
export function lossError(
  task: TaskDefinition,
  { error, exitCode }: Omit<ThreadLoss, 'culprit'>,
): ThreadError {
  const { label } = task
  if (error === undefined) {
    const message = `The thread of task ${task.name} ended with exit code ${exitCode}`
    return ours(new ThreadError('ERR_OFFLOAD_EXIT', label, message, { exitCode }))
  }
  if ((error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const message = `The thread of task ${task.name} ran out of heap memory`
    return ours(new ThreadError('ERR_OFFLOAD_MEMORY', label, message, { cause: error, exitCode }))
  }
  const message = `The thread of task ${task.name} died of an uncaught error`
  return ours(new ThreadError('ERR_OFFLOAD_CRASH', label, message, { cause: error, exitCode }))
}

const fromThreads = new WeakSet<object>()

/** Marks an error as made for one call of a task; others, such as the caller's own reason, are not ours to touch. */
function ours<E extends Error>(error: E): E {
  fromThreads.add(error)
  return error
}

/**
 * Adds where the call came from to the stack of an error from a thread. Called in the `catch` of an async function, where
 * V8 knows who awaits it: that costs nothing until there is an error.
 */
export function joinStacks(error: unknown, caller: (...args: never[]) => unknown): void {
  if (!(error instanceof Error) || !fromThreads.delete(error)) return
  const here: { stack?: string } = {}
  Error.captureStackTrace(here, caller)
  const frames = (here.stack ?? '').split('\n').filter((line) => /^ +at (?!.*node:internal)/.test(line))
  if (frames.length > 0) error.stack = `${error.stack}\n    called from:\n${frames.join('\n')}`
}

function missingError(task: TaskDefinition, failure: Failure): Error {
  const names = failure.value as readonly string[]
  const known = names.length === 0 ? 'exports no function' : `exports ${names.join(', ')}`
  return misuse(
    TypeError,
    'ERR_OFFLOAD_TASK',
    `The module ${task.module?.href.split('/').at(-1)} has no function "${task.name}"; it ${known}`,
  )
}
