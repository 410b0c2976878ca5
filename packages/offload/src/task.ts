import type { CallOptions } from './jobs/call-options.js'
import type { MapOptions } from './map.js'
import type { TaskContext } from './worker/context.js'

/** A function that runs in a thread, called like one here, with its own types. */
export interface Task<Input, Output, Progress = unknown> {
  /**
   * Runs it. Rejects with the task's own error; {@link OverloadedError} when it is refused (503, it has not run);
   * {@link TaskTimeoutError} (504); `signal.reason`; {@link ThreadError} when its thread is lost; or
   * {@link NotCloneableError}.
   */
  (...args: CallArguments<Input, Progress>): Promise<Output>
  /** Runs the task for each input, a few at a time, and yields the results in order. */
  map(
    inputs: Iterable<Input> | AsyncIterable<Input>,
    options?: MapOptions<Progress>,
  ): AsyncIterableIterator<Output>
}

/** An input that may be left out is optional; `undefined` stands for it when options follow. */
export type CallArguments<Input, Progress> = undefined extends Input
  ? [input?: Input, options?: CallOptions<Progress>]
  : [input: Input, options?: CallOptions<Progress>]

/** The exports of a module that can be tasks: functions of an input and, if they want it, a {@link TaskContext}. */
export type TaskName<Module> = {
  [Name in keyof Module]: Module[Name] extends (input: never, context: TaskContext<never>) => unknown
    ? Name
    : never
}[keyof Module] &
  string

/** All tasks of a module, by name. */
export type TasksOf<Module> = { readonly [Name in TaskName<Module>]: TaskOf<Module[Name]> }

/** The task that an exported function becomes. */
export type TaskOf<F> = Task<InputOf<F>, OutputOf<F>, ProgressOf<F>>

type InputOf<F> = F extends (...args: infer Args) => unknown ? (Args extends [] ? void : Args[0]) : never
type OutputOf<F> = F extends (...args: never[]) => infer Output ? Awaited<Output> : never
type ProgressOf<F> = F extends (input: never, context: infer Context) => unknown
  ? Context extends TaskContext<infer Progress>
    ? Progress
    : unknown
  : unknown
