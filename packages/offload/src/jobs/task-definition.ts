import type { Priority } from '../options.js'
import type { Lane } from './lane.js'
import type { PoisonWatch } from './poison-watch.js'
import type { TaskModule } from './task-module.js'
import type { TaskRunStats } from './task-run-stats.js'

/** What holds for every call of a task, unless the call says otherwise. Limits are milliseconds, `Infinity` for none. */
export interface TaskRules {
  readonly priority: Priority
  readonly timeout: number
  readonly maxWait: number
  /** Whether its thread may be terminated when it does not listen to cancellation. */
  readonly terminable: boolean
  /** Whether a call may be run again when its thread was lost by the fault of another call. */
  readonly idempotent: boolean
}

/** The function of a task, as a thread finds it. */
export interface TaskFunction {
  /** Its number on the threads; 0 is the inline one. */
  readonly id: number
  /** Name of the export. */
  readonly name: string
  /** The module that exports it; `undefined` for inline functions. */
  readonly module: TaskModule | undefined
}

/** One task as the offloader knows it: a function, the rules of its calls, and what has been seen of it. */
export class TaskDefinition {
  readonly id: number
  readonly name: string
  readonly module: TaskModule | undefined

  /**
   * @param lane where its calls wait: a lane of its own when it has a cap
   * @param poison watches for runs that end threads; `undefined`: nothing does
   */
  constructor(
    { id, name, module }: TaskFunction,
    readonly rules: TaskRules,
    readonly lane: Lane,
    readonly runs: TaskRunStats,
    readonly poison: PoisonWatch | undefined,
  ) {
    this.id = id
    this.name = name
    this.module = module
  }

  get label(): string {
    return this.runs.label
  }

  /** A call of it starts on a thread. */
  enter(): void {
    this.runs.running++
    this.lane.running++
  }

  /** A call of it is off its thread. */
  leave(): void {
    this.runs.running--
    this.lane.running--
  }
}
