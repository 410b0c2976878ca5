import type { EventEmitter } from 'node:events'
import {
  anything,
  boolean,
  type Check,
  type Clock,
  type Duration,
  defineOptions,
  duration,
  either,
  func,
  having,
  monotonicClock,
  nested,
  oneOf,
  orFalse,
  refuse,
  type Size,
  size,
} from '@spillway/kit'
import { type SnapshotOptions, snapshotOptions } from './heap/snapshot-options.js'
import { type LeakOptions, leakOptions } from './leak/leak-options.js'
import type { Level, Mark, Marks, Reason, SignalMarks } from './level.js'
import { realSystem, type System } from './sampling/system.js'

/** `[leave, enter]` for each level; `false` switches a level off. */
export interface MarksOptions {
  readonly elevated?: Mark | false
  readonly critical?: Mark | false
}

/** Marks of each signal; `false` switches a signal off. */
export interface SignalMarksOptions {
  /** Share of the limit in use. Default: elevated `[0.70, 0.80]`, critical `[0.85, 0.92]`. */
  readonly memory?: MarksOptions | false
  /** Share of V8's heap limit that is alive. Default: elevated `[0.75, 0.85]`, critical `[0.85, 0.93]`. */
  readonly heap?: MarksOptions | false
  /** External memory as a share of the limit. Default: elevated `[0.45, 0.55]`, critical `[0.65, 0.75]`. */
  readonly external?: MarksOptions | false
  /** Percent of time stalled on memory (PSI full avg10). Default: elevated `[2, 5]`, critical `[10, 20]`. */
  readonly pressure?: MarksOptions | false
  /** Event-loop delay, 99th percentile, in milliseconds. Default: elevated `[100, 200]`, critical `[500, 1000]`. */
  readonly delay?: MarksOptions | false
  /** Busy share of the event loop. Default: elevated `[0.95, 0.995]`, never critical: a busy loop is not a fault. */
  readonly utilization?: MarksOptions | false
}

export interface MemoryMonitorOptions {
  /**
   * Bytes this process may use. `'auto'`: the control group that is fullest, up to the root; else what Node is
   * constrained to; else this worker's share of the RAM. A size of your own counts beside the groups. Default: `'auto'`.
   */
  readonly limit?: Size | 'auto'
  /** Time between samples. Default: 250 ms. */
  readonly sampleEvery?: Duration
  /** Where each level begins and ends, per signal. Default: see `SignalMarksOptions`. */
  readonly marks?: SignalMarksOptions
  /** How long a higher level must last before it counts. Default: 500 ms. */
  readonly enterAfter?: Duration
  /** How long a lower level must last before it counts. Default: 3 s. */
  readonly leaveAfter?: Duration
  /** After the start: loop signals do not count and no replacement is asked for. Default: 15 s. */
  readonly startupGrace?: Duration
  /** The app's own level, called at every sample. Default: none. */
  readonly health?: () => Level
  /**
   * What to do when memory is critical. `'auto'`: ask the supervisor of `node:cluster` or `child_process` for a graceful
   * replacement, when there is one; a function: call it; `false`: nothing. Default: `'auto'`.
   */
  readonly replacement?: 'auto' | false | ((reasons: readonly Reason[]) => unknown)
  /** The least time between two requests for replacement. Default: 60 s. */
  readonly replaceEvery?: Duration
  /** Count requests of every `node:http` server of the process; else call `countRequest()`. Default: true. */
  readonly countHttp?: boolean
  /** Emitters whose listeners are counted in `stats()`, by name. Default: none but `process`. */
  readonly emitters?: Readonly<Record<string, EventEmitter>>
  /** Default: milliseconds since the process started. */
  readonly clock?: Clock
  /** Source of the figures, for tests. Default: this process and this machine. */
  readonly system?: System
  /** Where, when and under which conditions heap snapshots are written; `false`: never. Default: see `SnapshotOptions`. */
  readonly snapshot?: SnapshotOptions | false
  /** When growth counts as a leak, and how it is investigated; `false`: never. Default: see `LeakOptions`. */
  readonly leak?: LeakOptions | false
  /** For the jitter of Retry-After. Default: `Math.random`. */
  readonly random?: () => number
}

export const DEFAULT_MARKS = Object.freeze({
  memory: { elevated: [0.7, 0.8], critical: [0.85, 0.92] },
  heap: { elevated: [0.75, 0.85], critical: [0.85, 0.93] },
  external: { elevated: [0.45, 0.55], critical: [0.65, 0.75] },
  pressure: { elevated: [2, 5], critical: [10, 20] },
  delay: { elevated: [100, 200], critical: [500, 1_000] },
  utilization: { elevated: [0.95, 0.995], critical: false },
} satisfies SignalMarks)

export const DEFAULTS = Object.freeze({
  limit: 'auto',
  sampleEvery: 250,
  marks: {},
  enterAfter: 500,
  leaveAfter: 3_000,
  startupGrace: 15_000,
  health: (): Level => 'ok',
  replacement: 'auto',
  replaceEvery: 60_000,
  countHttp: true,
  emitters: {},
  clock: monotonicClock,
  system: realSystem,
  snapshot: {},
  leak: {},
  random: Math.random,
} satisfies MemoryMonitorOptions)

const mark: Check<Mark> = (value, place) => {
  const [leave, enter] = Array.isArray(value) && value.length === 2 ? (value as unknown[]) : []
  const fits = typeof leave === 'number' && typeof enter === 'number' && leave > 0 && leave <= enter
  if (!fits) refuse(TypeError, place, '[leave, enter] with 0 < leave <= enter', value)
  return Object.freeze([leave, enter] as const)
}

function marksOf(signal: keyof SignalMarks): Check<Marks | false> {
  const both = nested({ elevated: orFalse(mark), critical: orFalse(mark) }, DEFAULT_MARKS[signal])
  return orFalse(both)
}

const signalMarks = nested(
  {
    memory: marksOf('memory'),
    heap: marksOf('heap'),
    external: marksOf('external'),
    pressure: marksOf('pressure'),
    delay: marksOf('delay'),
    utilization: marksOf('utilization'),
  },
  DEFAULT_MARKS,
)

export const resolveOptions = defineOptions(
  'memory',
  'MemoryMonitor',
  {
    limit: either(oneOf('auto'), size({ min: 1 })),
    sampleEvery: duration({ min: 10 }),
    marks: signalMarks,
    enterAfter: duration(),
    leaveAfter: duration(),
    startupGrace: duration(),
    health: func<() => Level>(),
    replacement: either(
      oneOf<'auto' | false>('auto', false),
      func<(reasons: readonly Reason[]) => unknown>(),
    ),
    replaceEvery: duration(),
    countHttp: boolean,
    emitters: anything as Check<Readonly<Record<string, EventEmitter>>>,
    clock: having<Clock>('a clock', 'now'),
    system: having<System>('a system', 'memoryUsage', 'readFile'),
    snapshot: snapshotOptions,
    leak: leakOptions,
    random: func<() => number>(),
  },
  DEFAULTS,
)
export type ResolvedOptions = ReturnType<typeof resolveOptions>
