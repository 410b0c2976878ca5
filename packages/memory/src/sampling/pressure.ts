import type { MemoryGroup } from './cgroup.js'
import type { System } from './system.js'

/** Memory pressure as the kernel reports it. */
export interface Pressure {
  /** Percent of the time in which every task waited for memory (PSI `full avg10`); 0 when unknown or over. */
  readonly full: number
  /** How often the group ran into its limit in the last seconds. Harmless while the kernel only drops page cache. */
  readonly limitHits: number
  /** Whether the kernel killed a process of the group in the last seconds. */
  readonly killed: boolean
}

/** The kernel settles its stall counters every two seconds: when they have not moved for longer, the stall is over. */
const QUIET_AFTER = 3_000
/** Hits and kills are remembered this long. */
const RECENT = 5_000

/**
 * Pressure stall information (Linux, Documentation/accounting/psi.rst) of the tightest group that has it, else of
 * the machine, and the group's own limit events. `avg10` decays for half a minute after the stall; the running `total`
 * tells that it is over, so that recovery is seen when it happens.
 */
export class PressureMeter {
  readonly #system: Pick<System, 'readFile'>
  readonly #groups: readonly MemoryGroup[]
  readonly #files: readonly string[]
  #total = -1
  #movedAt = Number.NEGATIVE_INFINITY
  #hits: number | undefined
  #kills: number | undefined
  #recentHits: { at: number; count: number }[] = []
  #killedAt = Number.NEGATIVE_INFINITY

  constructor(system: Pick<System, 'readFile'>, groups: readonly MemoryGroup[]) {
    this.#system = system
    this.#groups = groups.filter((group) => Number.isFinite(group.limit))
    this.#files = [
      ...groups.filter((group) => group.version === 2).map((group) => `${group.directory}/memory.pressure`),
      '/proc/pressure/memory',
    ]
  }

  read(now: number): Pressure {
    this.#countEvents(now)
    return {
      full: this.#stalled(now),
      limitHits: this.#recentHits.reduce((sum, { count }) => sum + count, 0),
      killed: now - this.#killedAt < RECENT,
    }
  }

  #stalled(now: number): number {
    for (const file of this.#files) {
      const stall = parsePressure(this.#system.readFile(file))
      if (stall === undefined) continue
      if (stall.total !== this.#total) this.#movedAt = now
      this.#total = stall.total
      return now - this.#movedAt > QUIET_AFTER ? 0 : stall.avg10
    }
    return 0
  }

  #countEvents(now: number): void {
    let hits = 0
    let kills = 0
    for (const group of this.#groups) {
      hits += group.limitHits() ?? 0
      kills += group.kills()
    }
    if (this.#hits !== undefined && hits > this.#hits) {
      this.#recentHits.push({ at: now, count: hits - this.#hits })
    }
    if (this.#kills !== undefined && kills > this.#kills) this.#killedAt = now
    this.#hits = hits
    this.#kills = kills
    this.#recentHits = this.#recentHits.filter(({ at }) => now - at < RECENT)
  }
}

/** The `full` line: `full avg10=0.00 avg60=0.00 avg300=0.00 total=0`. */
export function parsePressure(text = ''): { avg10: number; total: number } | undefined {
  const match = /^full avg10=(\d+(?:\.\d+)?) .*total=(\d+)/m.exec(text)
  return match === null ? undefined : { avg10: Number(match[1]), total: Number(match[2]) }
}
