import {
  type Holds,
  higher,
  type Level,
  LevelHysteresis,
  levelFor,
  type Marks,
  type Reason,
  type SignalMarks,
  type SignalName,
} from '../level.js'
import type { Sample } from '../sampling/sampler.js'

/** Signals of time, not of memory: a new process would not cure them, and a starting one shows them. */
const TIMELY: ReadonlySet<SignalName> = new Set(['delay', 'utilization', 'health'])

/** Signals of the event loop: they do not prove that requests wait. */
export function isAboutLoop({ signal }: Reason): boolean {
  return signal === 'delay' || signal === 'utilization'
}

export function isAboutMemory({ signal }: Reason): boolean {
  return !TIMELY.has(signal)
}

/** LoopBacklog samples into levels, one per signal, each with its marks and its holds. */
export class Signals {
  readonly #marks: SignalMarks
  readonly #holds: Holds
  readonly #levels = new Map<SignalName, LevelHysteresis>()

  constructor(marks: SignalMarks, holds: Holds) {
    this.#marks = marks
    this.#holds = holds
  }

  /** The signals that are not `ok`. `starting`: signals of time are not believed yet. */
  update(sample: Sample, health: Level, starting: boolean): Reason[] {
    const reasons: Reason[] = []
    const readings = readAll(sample)
    for (const signal of Object.keys(readings) as (keyof SignalMarks)[]) {
      const marks = this.#marks[signal]
      if (marks === false || (starting && TIMELY.has(signal))) continue
      const { mark, ...reading } = readings[signal]
      let wanted = levelFor(mark, marks, this.#level(signal).level)
      if (signal === 'pressure') wanted = higher(wanted, kernelEvents(sample, this.#marks.memory))
      const level = this.#settle(signal, wanted, sample.at, signal === 'heap' && willBeFull(sample))
      if (level !== 'ok') reasons.push({ signal, level, ...reading })
    }
    const level = this.#settle('health', health, sample.at)
    if (level !== 'ok') {
      reasons.push({ signal: 'health', level, value: 1, limit: 1, unit: 'share', source: 'option health' })
    }
    return reasons
  }

  #settle(signal: SignalName, wanted: Level, now: number, urgent = false): Level {
    return this.#level(signal).update(wanted, now, urgent)
  }

  #level(signal: SignalName): LevelHysteresis {
    let level = this.#levels.get(signal)
    if (level === undefined) {
      level = new LevelHysteresis(this.#holds)
      this.#levels.set(signal, level)
    }
    return level
  }
}

/** The forecast, by three full collections in a row, is a full heap within seconds. */
function willBeFull({ heapAhead, heapLimit }: Sample): boolean {
  return heapAhead >= heapLimit
}

/** A reading of a signal; `mark` is what its marks are compared with. */
type Reading = Omit<Reason, 'signal' | 'level'> & { readonly mark: number }

function readAll(sample: Sample): Readonly<Record<keyof SignalMarks, Reading>> {
  const { memory, pressure, loop } = sample
  return {
    memory: ofBytes(memory.used, memory.limit, memory.source),
    heap: {
      ...ofBytes(sample.heapLive, sample.heapLimit, 'V8 heap limit'),
      mark: sample.heapAhead / sample.heapLimit,
    },
    external: ofBytes(sample.external, memory.limit, memory.source),
    pressure: plain(pressure.full, 100, 'percent', 'kernel: PSI full avg10, limit events'),
    delay: plain(loop.p99, 0, 'ms', 'event loop delay p99'),
    utilization: plain(loop.utilization, 1, 'share', 'event loop utilization'),
  }
}

function ofBytes(value: number, limit: number, source: string): Reading {
  return { mark: value / limit, value, limit, unit: 'bytes', source }
}

function plain(value: number, limit: number, unit: Reason['unit'], source: string): Reading {
  return { mark: value, value, limit, unit, source }
}

/**
 * A kill is serious. Running into the limit alone is not, since page cache does that all day; together with a high
 * working set it is.
 */
function kernelEvents({ pressure, memory }: Sample, marks: Marks | false): Level {
  if (pressure.killed) return 'critical'
  const full = marks !== false && marks.elevated !== false && memory.used / memory.limit >= marks.elevated[0]
  return full && pressure.limitHits > 0 ? 'elevated' : 'ok'
}
