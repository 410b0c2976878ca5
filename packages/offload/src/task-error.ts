import { misuse } from '@spillway/kit'
import { findUncloneable } from './cloneable.js'
import type { TaskDefinition } from './definition.js'
import { NotCloneableError, ThreadError, ThrownValueError } from './errors.js'
import { type ErrorClass, type Failure, isFailure, revive } from './failure.js'
import { captureError } from './inline-source.js'
import type { Loss } from './thread.js'

/** The caller's error for what a thread threw; `undefined` when it was not the thread that threw it. */
export function taskError(
  thrown: unknown,
  task: TaskDefinition,
  classes: ReadonlyMap<string, ErrorClass>,
): Error | undefined {
  if (!isFailure(thrown)) return undefined
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
      const { side, path, reason } = thrown.value as {
        side: 'result' | 'progress'
        path: string
        reason: string
      }
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
  const { path, reason } = findUncloneable(input, 'input', error)
  return new NotCloneableError('input', path, reason)
}

export function memoryError(task: TaskDefinition, bytes: number): ThreadError {
  const message = `Task ${task.label} left its thread with ${bytes} bytes outside the heap, more than it may have`
  return new ThreadError('ERR_OFFLOAD_MEMORY', task.label, message)
}

export function bootError(task: TaskDefinition, cause: unknown): ThreadError {
  return new ThreadError('ERR_OFFLOAD_BOOT', task.label, `No thread starts for task ${task.label}`, { cause })
}

export function loadError(task: TaskDefinition, cause: unknown): ThreadError {
  const message = `The module of task ${task.label} does not load: ${task.module?.href}`
  return new ThreadError('ERR_OFFLOAD_LOAD', task.label, message, { cause })
}

/** The caller's error when the thread went away under its task. */
export function lossError(task: TaskDefinition, { error, exitCode }: Loss): ThreadError {
  const { label } = task
  if (error === undefined) {
    const message = `The thread of task ${label} ended with exit code ${exitCode}`
    return new ThreadError('ERR_OFFLOAD_EXIT', label, message, { exitCode })
  }
  if ((error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const message = `The thread of task ${label} ran out of heap memory`
    return new ThreadError('ERR_OFFLOAD_MEMORY', label, message, { cause: error, exitCode })
  }
  const message = `The thread of task ${label} died of an uncaught error: ${messageOf(error)}`
  return new ThreadError('ERR_OFFLOAD_CRASH', label, message, { cause: error, exitCode })
}

/** Adds where the call came from to the stack of an error from a thread. Async frames cost nothing until they are asked for. */
export function joinStacks(error: unknown, caller: (...args: never[]) => unknown): void {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return
  const here: { stack?: string } = {}
  Error.captureStackTrace(here, caller)
  const frames = here.stack?.split('\n').slice(1) ?? []
  if (frames.length > 0)
    error.stack += `\n    at --- the thread above, the caller below ---\n${frames.join('\n')}`
}

function missingError(task: TaskDefinition, failure: Failure): Error {
  const names = failure.value as readonly string[]
  const known = names.length === 0 ? 'exports no function' : `exports ${names.join(', ')}`
  return misuse(
    TypeError,
    'ERR_OFFLOAD_TASK',
    `${task.module?.href} has no function "${task.name}"; it ${known}`,
  )
}

function reviveAny(failure: Failure, classes: ReadonlyMap<string, ErrorClass>): unknown {
  return failure.stack === '' && failure.value !== undefined ? failure.value : revive(failure, classes)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
