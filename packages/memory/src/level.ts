/** Severity. `elevated` refuses requests of priority 0, `critical` all but those of priority 2. */
export type Level = 'ok' | 'elevated' | 'critical'

const RANK: Readonly<Record<Level, number>> = { ok: 0, elevated: 1, critical: 2 }

export function isLevel(value: unknown): value is Level {
  return value === 'ok' || value === 'elevated' || value === 'critical'
}

export function higher(a: Level, b: Level): Level {
  return RANK[a] >= RANK[b] ? a : b
}

export function isAbove(a: Level, b: Level): boolean {
  return RANK[a] > RANK[b]
}

/** Where a level begins and where it ends: `[leave, enter]`. The distance between them keeps a sawtooth from flapping. */
export type Mark = readonly [leave: number, enter: number]

export interface Marks {
  readonly elevated: Mark | false
  readonly critical: Mark | false
}

/**
 * `memory`: working set against the limit that binds; `heap`: live heap, now or in some seconds,
 * against V8's limit; `external`: Buffers and
 * other memory outside of the heap against the limit; `pressure`: the kernel's own stall figure; `delay`: lateness of
 * the event loop; `utilization`: its busy share; `health`: the app's own judgement.
 */
export type SignalName = 'memory' | 'heap' | 'external' | 'pressure' | 'delay' | 'utilization' | 'health'

/** A signal that is not `ok`, with the numbers that say so. */
export interface Reason {
  readonly signal: SignalName
  readonly level: Level
  /** In `unit`. */
  readonly value: number
  /** In `unit`. For `ms`: the mark that was passed. */
  readonly limit: number
  readonly unit: 'bytes' | 'percent' | 'ms' | 'share'
  /** Where the limit comes from. */
  readonly source: string
}

export type SignalMarks = Readonly<Record<Exclude<SignalName, 'health'>, Marks | false>>

/** The level a value asks for, given the level it is at: one that was entered is kept down to its leave mark. */
export function levelFor(value: number, { elevated, critical }: Marks, current: Level): Level {
  if (reaches(value, critical, current === 'critical')) return 'critical'
  if (reaches(value, elevated, current !== 'ok')) return 'elevated'
  return 'ok'
}

function reaches(value: number, mark: Mark | false, inside: boolean): boolean {
  return mark !== false && value >= (inside ? mark[0] : mark[1])
}

/** One window of a bad signal is a hiccup: a rise needs this many samples in a row, however far apart they are. */
const SAMPLES_TO_RISE = 3

export interface Holds {
  /** Milliseconds a higher level must last before it counts. */
  readonly enterAfter: number
  /** Milliseconds a lower level must last before it counts. */
  readonly leaveAfter: number
}

/**
 * A level with hysteresis in time. The level rises when every sample of `enterAfter` asked for more, and to the lowest of what they
 * asked for; it falls when every sample of `leaveAfter` asked for less, and to the highest of those.
 */
export class LevelHysteresis {
  level: Level = 'ok'
  readonly #holds: Holds
  #pending: Level = 'ok'
  #since = 0
  #samples = 0

  constructor(holds: Holds) {
    this.#holds = holds
  }

  /** Takes in what a sample asks for; returns the level. `urgent`: a rise counts at once. */
  update(wanted: Level, now: number, urgent = false): Level {
    if (wanted === this.level) {
      this.#samples = 0
      return this.level
    }
    const rising = isAbove(wanted, this.level)
    if (this.#samples === 0 || rising !== isAbove(this.#pending, this.level)) {
      this.#pending = wanted
      this.#since = now
      this.#samples = 1
    } else {
      this.#samples++
      const other = isAbove(wanted, this.#pending) === rising
      if (!other) this.#pending = wanted
    }
    const held = now - this.#since
    const due = rising
      ? urgent || (held >= this.#holds.enterAfter && this.#samples >= SAMPLES_TO_RISE)
      : held >= this.#holds.leaveAfter
    if (due) {
      this.level = this.#pending
      this.#samples = 0
    }
    return this.level
  }
}
