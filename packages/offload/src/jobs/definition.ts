import type { Level } from '../options.js'
import type { Lane } from './lane.js'
import type { PoisonWatch } from './poison.js'
import type { TaskModule } from './task-module.js'
import type { Track } from './track.js'

export interface DefinitionInit {
  /** Its number on the threads; 0 is the inline one. */
  readonly id: number
  /** The module's, or `undefined` for inline functions. */
  readonly module: TaskModule | undefined
  /** Name of the export. */
  readonly name: string
  readonly level: Level
  readonly timeout: number
  readonly maxWait: number
  readonly terminable: boolean
  readonly idempotent: boolean
  /** The lane it waits in: its own when it has a cap. */
  readonly lane: Lane
  readonly track: Track
}

/** One task as the offloader knows it: a function, and what holds for all calls of it through this task. */
export class TaskDefinition {
  readonly id: number
  readonly module: TaskModule | undefined
  readonly name: string
  readonly level: Level
  readonly timeout: number
  readonly maxWait: number
  readonly terminable: boolean
  readonly idempotent: boolean
  readonly lane: Lane
  readonly track: Track

  constructor(init: DefinitionInit) {
    this.id = init.id
    this.module = init.module
    this.name = init.name
    this.level = init.level
    this.timeout = init.timeout
    this.maxWait = init.maxWait
    this.terminable = init.terminable
    this.idempotent = init.idempotent
    this.lane = init.lane
    this.track = init.track
  }

  get label(): string {
    return this.track.label
  }

  get poison(): PoisonWatch | undefined {
    return this.track.poison
  }

  /** A call of it goes on a thread. */
  enter(): void {
    this.track.running++
    this.lane.running++
  }

  /** A call of it is off its thread. */
  leave(): void {
    this.track.running--
    this.lane.running--
  }
}
