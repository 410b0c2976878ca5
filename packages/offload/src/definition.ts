import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Lane } from './lane.js'
import type { Level } from './options.js'
import type { PoisonWatch } from './poison.js'
import type { TaskModule } from './task-module.js'

/** Weight of the newest run in the running mean. */
const WEIGHT = 0.2

export interface DefinitionInit {
  /** Its number on the threads; 0 is the inline one. */
  readonly id: number
  readonly label: string
  /** The module's, or `undefined` for inline functions. */
  readonly module: TaskModule | undefined
  /** Name of the export. */
  readonly name: string
  readonly level: Level
  readonly timeout: number
  readonly maxWait: number
  readonly terminable: boolean
  /** The lane it waits in: its own when it has a cap. */
  readonly lane: Lane
  readonly poison: PoisonWatch | undefined
}

/** One task as the offloader knows it: what holds for all calls, and what has been seen of them. */
export class TaskDefinition {
  readonly id: number
  readonly label: string
  readonly module: TaskModule | undefined
  readonly name: string
  readonly level: Level
  readonly timeout: number
  readonly maxWait: number
  readonly terminable: boolean
  readonly lane: Lane
  readonly poison: PoisonWatch | undefined
  readonly run: RecordableHistogram = createHistogram()
  completed = 0
  /** Calls of it on threads. */
  running = 0
  failed = 0
  /** Running mean of the run time in milliseconds; `undefined` before the first run. */
  meanRun: number | undefined

  constructor(init: DefinitionInit) {
    this.id = init.id
    this.label = init.label
    this.module = init.module
    this.name = init.name
    this.level = init.level
    this.timeout = init.timeout
    this.maxWait = init.maxWait
    this.terminable = init.terminable
    this.lane = init.lane
    this.poison = init.poison
  }

  /** A call of it goes on a thread. */
  enter(): void {
    this.running++
    this.lane.running++
  }

  /** A call of it is off its thread. */
  leave(): void {
    this.running--
    this.lane.running--
  }

  record(milliseconds: number): void {
    this.run.record(Math.max(1, Math.round(milliseconds * 1_000)))
    this.meanRun =
      this.meanRun === undefined ? milliseconds : this.meanRun + WEIGHT * (milliseconds - this.meanRun)
  }
}
