import { channel } from '@spillway/kit'
import type { SnapshotWriter } from '../heap/snapshot-writer.js'
import type { Sample } from '../sampling/sampler.js'
import type { LeakKind } from './growth-test.js'
import { Investigation, type InvestigationOptions } from './investigation.js'
import { ADVICE, type Evidence, type Leak, NO_EVIDENCE, timeToLimit } from './leak.js'
import type { LeakChange, LeakDetector } from './leak-detector.js'

const leaks = channel<{ kind: LeakKind; state: string; confidence: number; bytesPerHour: number }>(
  'spillway:memory:leak',
)

const KINDS: readonly LeakKind[] = ['heap', 'external', 'native']

/** Registry of open investigations: one for each suspected kind of memory, ended by the verdict; and their evidence. */
export class LeakInvestigations {
  readonly #detector: LeakDetector
  readonly #snapshots: SnapshotWriter
  readonly #options: InvestigationOptions
  readonly #found: (leak: Leak) => void
  readonly #open = new Map<LeakKind, Investigation>()
  readonly #evidence = new Map<LeakKind, Evidence>()

  /** `found`: called with each confirmed leak when its investigation has ended. */
  constructor(
    detector: LeakDetector,
    snapshots: SnapshotWriter,
    options: InvestigationOptions,
    found: (leak: Leak) => void,
  ) {
    this.#detector = detector
    this.#snapshots = snapshots
    this.#options = options
    this.#found = found
  }

  update(changes: readonly LeakChange[], sample: Sample): void {
    for (const { kind, finding } of changes) {
      const { state, confidence, bytesPerHour } = finding
      leaks.publish(() => ({ kind, state, confidence, bytesPerHour }))
      if (state === 'suspected') this.#begin(kind, sample)
      else this.#conclude(kind, sample)
    }
    for (const kind of KINDS) {
      if (this.#detector.finding(kind) === undefined) this.#drop(kind)
      else this.#open.get(kind)?.tick(sample)
    }
  }

  /** Runs `work` while all profiles are paused: V8 has crashed when a snapshot was taken while it sampled. */
  async withProfilesPaused<T>(sample: Sample, work: () => Promise<T>): Promise<T> {
    for (const investigation of this.#open.values()) investigation.pause(sample)
    try {
      return await work()
    } finally {
      for (const investigation of this.#open.values()) investigation.resume(sample)
    }
  }

  /** Leaks that are suspected or confirmed at the moment. */
  leaks(sample: Sample): Leak[] {
    return KINDS.map((kind) => this.#leak(kind, sample)).filter((leak) => leak !== undefined)
  }

  close(): void {
    for (const kind of KINDS) this.#drop(kind)
  }

  #begin(kind: LeakKind, sample: Sample): void {
    this.#drop(kind)
    this.#open.set(kind, new Investigation(kind, this.#snapshots, this.#options, sample))
  }

  #conclude(kind: LeakKind, sample: Sample): void {
    const investigation = this.#open.get(kind)
    const growth = this.#detector.finding(kind)?.growth ?? 0
    const concluding =
      investigation?.conclude(() => this.#detector.settle(sample), growth, sample) ??
      Promise.resolve(NO_EVIDENCE)
    concluding
      .catch((error: unknown): Evidence => ({ ...NO_EVIDENCE, notes: [String(error)] }))
      .then((evidence) => {
        if (this.#open.get(kind) !== investigation) return // dropped meanwhile
        this.#open.delete(kind)
        this.#evidence.set(kind, evidence)
        const leak = this.#leak(kind, sample)
        if (leak !== undefined) this.#found(leak)
      })
  }

  #leak(kind: LeakKind, sample: Sample): Leak | undefined {
    const finding = this.#detector.finding(kind)
    if (finding === undefined) return undefined
    const { memory, heapLimit, heapLive } = sample
    const room = memory.limit - memory.used
    return {
      kind,
      ...finding,
      timeToLimit: timeToLimit(
        kind === 'heap' ? Math.min(room, heapLimit - heapLive) : room,
        finding.bytesPerHour,
      ),
      advice: ADVICE[kind],
      ...(this.#evidence.get(kind) ?? NO_EVIDENCE),
    }
  }

  #drop(kind: LeakKind): void {
    this.#open.get(kind)?.abandon()
    this.#open.delete(kind)
    this.#evidence.delete(kind)
  }
}
