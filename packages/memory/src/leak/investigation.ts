import { AllocationProfile, type HeapProfile } from '../heap/allocation-profile.js'
import { diffSnapshots } from '../heap/diff.js'
import type { SnapshotWriter } from '../heap/snapshot-writer.js'
import type { Sample } from '../sampling/sampler.js'
import { sitesOf } from './allocation-sites.js'
import type { LeakKind } from './growth-test.js'
import { type Evidence, NO_EVIDENCE } from './leak.js'

export interface InvestigationOptions {
  /** Bytes between two samples of the profile; `false`: no profile. */
  readonly profileInterval: number | false
  /** Write a snapshot at the suspicion and one at the verdict, and compare them. */
  readonly snapshots: boolean
}

/**
 * Buffers show in the heap by their wrappers only, so those are looked at more closely: so closely that the samples take
 * one percent of a CPU, at some 8 microseconds each.
 */
const SAMPLES_PER_SECOND = 1_200
/** Bytes between two samples then, as shares of those for objects. */
const CLOSEST = 1 / 32
const WIDEST = 1 / 4
/** A profile that has come to take so many times more samples than it should is begun anew. */
const TOO_MANY = 2
/** A profile is taken anew after this many milliseconds. */
const WINDOW = 600_000

/**
 * Investigation of one leak, from the suspicion to the verdict: an allocation profile of what is allocated meanwhile and
 * stays alive, and the diff of two snapshots. Never both at once: V8 has crashed when a snapshot was taken while sampling.
 */
export class Investigation {
  readonly #kind: LeakKind
  readonly #snapshots: SnapshotWriter
  readonly #options: InvestigationOptions
  readonly #files: string[] = []
  readonly #notes: string[] = []
  readonly #stopping = new AbortController()
  readonly #opening: Promise<string | undefined>
  #profile: AllocationProfile | undefined
  /** When the current profile began, and how closely it looks. */
  #profileAt = 0
  #interval = 0
  /** What the one before it held at its end, and for how many milliseconds it had run. */
  #earlier: { readonly profile: HeapProfile; readonly ran: number } | undefined

  constructor(kind: LeakKind, snapshots: SnapshotWriter, options: InvestigationOptions, sample: Sample) {
    this.#kind = kind
    this.#snapshots = snapshots
    this.#options = options
    this.#opening = this.#snapshot('suspicion', sample).finally(() => this.resume(sample))
  }

  /** Ends a profile that has grown old or dear and begins another: what the profiler remembers grows with what stays. */
  tick(sample: Sample): void {
    if (this.#profile === undefined) return
    const dear = this.#wanted(sample) > this.#interval * TOO_MANY
    if (!dear && sample.at - this.#profileAt < WINDOW) return
    this.pause(sample)
    this.resume(sample)
  }

  /** Ends the profile until `resume`, so that a snapshot can be taken. */
  pause({ at }: Sample): void {
    const profile = this.#profile?.stop()
    this.#profile = undefined
    if (profile !== undefined) this.#earlier = { profile, ran: at - this.#profileAt }
  }

  resume(sample: Sample): void {
    const { profileInterval } = this.#options
    if (profileInterval === false || this.#kind === 'native' || this.#stopping.signal.aborted) return
    if (this.#profile !== undefined) return
    this.#interval = this.#wanted(sample)
    this.#profile = new AllocationProfile(this.#interval)
    this.#profileAt = sample.at
  }

  /** `collect`: a full collection, so that what is dead does not look alive. `growth`: bytes of the whole leak. */
  async conclude(collect: () => void, growth: number, sample: Sample): Promise<Evidence> {
    const before = await this.#opening
    if (this.#stopping.signal.aborted) return NO_EVIDENCE
    collect()
    const profile = this.#bestProfile(sample)
    const after = before === undefined ? undefined : await this.#snapshot('verdict', sample)
    const diff =
      before === undefined || after === undefined
        ? undefined
        : await diffSnapshots(before, after, { signal: this.#stopping.signal })
    if (profile !== undefined) await this.#keep(profile)
    const sites = profile === undefined ? [] : await sitesOf(profile, this.#kind, growth)
    return { sites, diff, files: this.#files, notes: this.#notes }
  }

  /** Ends everything without a result: there was no leak, or the monitor is closed. */
  abandon(): void {
    this.#stopping.abort()
    this.#profile?.stop()
    this.#profile = undefined
  }

  /** Bytes between two samples. */
  #wanted({ allocationRate }: Sample): number {
    const interval = this.#options.profileInterval || 0
    if (this.#kind !== 'external') return interval
    return Math.min(interval * WIDEST, Math.max(interval * CLOSEST, allocationRate / SAMPLES_PER_SECOND))
  }

  /** The last profile, or the one before it when the last one has run too short. */
  #bestProfile(sample: Sample): HeapProfile | undefined {
    const earlier = this.#earlier
    this.pause(sample)
    const last = this.#earlier
    if (earlier === undefined || last === undefined) return last?.profile
    return last.ran < WINDOW / 4 && last.ran < earlier.ran ? earlier.profile : last.profile
  }

  async #snapshot(reason: string, sample: Sample): Promise<string | undefined> {
    if (!this.#options.snapshots || this.#kind !== 'heap') return undefined
    try {
      const file = await this.#snapshots.write(reason, sample)
      this.#files.push(file)
      return file
    } catch (error) {
      this.#notes.push(
        `No snapshot at the ${reason}: ${error instanceof Error ? error.message : String(error)}`,
      )
      return undefined
    }
  }

  async #keep(profile: HeapProfile): Promise<void> {
    try {
      this.#files.push(await this.#snapshots.keepProfile(profile))
    } catch (error) {
      this.#notes.push(`The profile was not kept: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}
