import { shareOf } from '@spillway/kit'
import { type MemoryGroup, memoryGroups } from './cgroup.js'
import { type Pressure, PressureMeter } from './pressure.js'
import type { System } from './system.js'

/** Memory in use, the limit that binds, and the source of that limit. */
export interface MemoryUse {
  /** Bytes. For a control group: its working set, without the page cache that the kernel can drop. */
  readonly used: number
  /** Bytes. */
  readonly limit: number
  /** `'cgroup:<directory>'`, `'option'`, `'constrained'` or `'ram'`. */
  readonly source: string
}

/** Limits can be changed while the container runs. */
const RESOLVE_EVERY = 60_000

/**
 * The memory limit that will kill this process first, and how near it is. Every control group from the process up to
 * the root counts, and the one that is fullest binds: a parent kills as well as a leaf. Without a limiting group, the
 * process has what Node says it is constrained to, or its share of the machine among `SPILLWAY_WORKERS`.
 */
export class Limits {
  readonly #system: System
  readonly #own: number | 'auto'
  /** The limit of this process without its control groups. */
  #alone: Omit<MemoryUse, 'used'> = { limit: Number.POSITIVE_INFINITY, source: 'ram' }
  #groups: readonly MemoryGroup[] = []
  #meter: PressureMeter
  #resolvedAt = Number.NEGATIVE_INFINITY
  #last: MemoryUse | undefined

  constructor(system: System, own: number | 'auto') {
    this.#system = system
    this.#own = own
    this.#meter = new PressureMeter(system, [])
  }

  /** The smallest of all limits, in bytes: for advice on the heap size. */
  smallest(now: number): number {
    this.#resolve(now)
    return Math.min(this.#alone.limit, ...this.#groups.map((group) => group.limit))
  }

  /** `rss`: bytes of this process, for limits that are its own. */
  read(rss: number, now: number): MemoryUse {
    this.#resolve(now)
    const uses: MemoryUse[] = []
    for (const { directory, limit, workingSet } of this.#groups) {
      const used = workingSet()
      if (used !== undefined) uses.push({ used, limit, source: `cgroup:${directory}` })
    }
    // The kernel's files are not read at one moment: a reading that contradicts itself is not believed.
    if (uses.length < this.#groups.length && this.#last !== undefined) return this.#last
    if (uses.length === 0 || this.#own !== 'auto') uses.push({ used: rss, ...this.#alone })
    this.#last = uses.reduce((fullest, use) =>
      use.used / use.limit > fullest.used / fullest.limit ? use : fullest,
    )
    return this.#last
  }

  pressure(now: number): Pressure {
    this.#resolve(now)
    return this.#meter.read(now)
  }

  #limitAlone(): Omit<MemoryUse, 'used'> {
    if (this.#own !== 'auto') return { limit: this.#own, source: 'option' }
    const ram = this.#system.totalMemory()
    const constrained = this.#system.constrainedMemory()
    // Node reports 0, or a number beyond all memory, when nothing is set.
    if (constrained !== undefined && constrained > 0 && constrained < ram) {
      return { limit: constrained, source: 'constrained' }
    }
    return { limit: shareOf(ram), source: 'ram' }
  }

  #resolve(now: number): void {
    if (now - this.#resolvedAt < RESOLVE_EVERY) return
    this.#resolvedAt = now
    this.#alone = this.#limitAlone()
    const groups = memoryGroups(this.#system).filter((group) => group.limit < this.#system.totalMemory())
    const same = groups.map(place).join() === this.#groups.map(place).join()
    this.#groups = groups
    if (!same || groups.length === 0) this.#meter = new PressureMeter(this.#system, groups)
  }
}

function place({ directory }: MemoryGroup): string {
  return directory
}
