import { AllocationProfile, type HeapProfile } from './allocation-profile.js'
import { diffSnapshots } from './diff.js'
import { type Evidence, NO_EVIDENCE } from './leak.js'
import type { LeakKind } from './leak-watch.js'
import type { Sample } from './sampler.js'
import { sitesOf } from './sites.js'
import type { Snapshots } from './snapshot.js'

export interface InvestigationOptions {
  /** Bytes between two samples of the profile; `false`: no profile. */
  readonly profileInterval: number | false
  /** Write a snapshot at the suspicion and one at the verdict, and compare them. */
  readonly snapshots: boolean
}

/** Buffers show in the heap by their wrappers only, so those are looked at more closely. */
const OF_WRAPPERS = 1 / 4
/** A profile is taken anew after this many milliseconds. */
const WINDOW = 600_000

/**
 * Looks for the culprit of one leak, from the suspicion to the verdict: profiles what is allocated meanwhile and stays,
 * and compares a snapshot of each end. Never both at once: V8 has crashed when a snapshot was taken while sampling.
 */
export class Investigation {
  readonly #kind: LeakKind
  readonly #snapshots: Snapshots
  readonly #options: InvestigationOptions
  readonly #files: string[] = []
  readonly #notes: string[] = []
  readonly #stopping = new AbortController()
  readonly #opening: Promise<string | undefined>
  #profile: AllocationProfile | undefined
  /** When the current profile began, and what the one before it held at its end. */
  #profileAt = 0
  #earlier: HeapProfile | undefined

  constructor(kind: LeakKind, snapshots: Snapshots, options: InvestigationOptions, sample: Sample) {
    this.#kind = kind
    this.#snapshots = snapshots
    this.#options = options
    this.#opening = this.#snapshot('suspicion', sample).finally(() => this.resume(sample.at))
  }

  /** Ends a profile that has grown old and begins another: what the profiler remembers grows with what stays. */
  tick(now: number): void {
    if (this.#profile === undefined || now - this.#profileAt < WINDOW) return
    this.pause()
    this.resume(now)
  }

  /** No profile for now: a snapshot is to be taken. */
  pause(): void {
    const profile = this.#profile?.stop()
    this.#profile = undefined
    if (profile !== undefined) this.#earlier = profile
  }

  resume(now: number): void {
    const { profileInterval } = this.#options
    if (profileInterval === false || this.#kind === 'native' || this.#stopping.signal.aborted) return
    const part = this.#kind === 'external' ? OF_WRAPPERS : 1
    this.#profile ??= new AllocationProfile(profileInterval * part)
    this.#profileAt = now
  }

  /** `collect`: a full collection, so that what is dead does not look alive. `growth`: bytes of the whole leak. */
  async conclude(collect: () => void, growth: number, sample: Sample): Promise<Evidence> {
    const before = await this.#opening
    if (this.#stopping.signal.aborted) return NO_EVIDENCE
    collect()
    const profile = this.#bestProfile(sample.at)
    const after = before === undefined ? undefined : await this.#snapshot('verdict', sample)
    const diff =
      before === undefined || after === undefined
        ? undefined
        : await diffSnapshots(before, after, { signal: this.#stopping.signal })
    if (profile !== undefined) await this.#keep(profile)
    const sites = profile === undefined ? [] : await sitesOf(profile, this.#kind, growth)
    return { sites, diff, files: this.#files, notes: this.#notes }
  }

  /** It was no leak, or the monitor is closed. */
  abandon(): void {
    this.#stopping.abort()
    this.#profile?.stop()
    this.#profile = undefined
  }

  /** A profile that has only begun knows less than the one before it. */
  #bestProfile(now: number): HeapProfile | undefined {
    const earlier = this.#earlier
    const young = now - this.#profileAt < WINDOW / 4
    this.pause()
    return young ? (earlier ?? this.#earlier) : this.#earlier
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
