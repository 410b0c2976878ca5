import {
  boolean,
  type Duration,
  duration,
  integer,
  nested,
  number,
  orFalse,
  type Size,
  size,
} from '@spillway/kit'

export interface LeakOptions {
  /** Growth below this is no leak. Set it above what your caches may still fill with. Default: 16 MB. */
  readonly minGrowth?: Size
  /** Requests that must have been served since the warm-up; not asked of a process that counts none. Default: 20,000. */
  readonly minRequests?: number
  /** What happens before counts as start-up: modules, compiled code, pools; and no less is watched after it. Default: 1 minute. */
  readonly warmup?: Duration
  /** How sure the trend must be, 0.5 to 1. Default: 0.99. */
  readonly confidence?: number
  /**
   * On suspicion, run full garbage collections to see what is really alive, instead of waiting for V8's own, which may be
   * many minutes apart. Default: true.
   */
  readonly forceCollections?: boolean
  /** Share of the time that those collections may take, 0 to 0.1; what is not used is saved up for two minutes. Default: 0.005. */
  readonly collectionBudget?: number
  /** A collection that is expected to stop the process longer than this is left out. Default: 100 ms. */
  readonly maxPause?: Duration
  /** On suspicion, sample allocations to name the code that makes what stays. Default: true. */
  readonly profile?: boolean
  /**
   * Bytes between two samples of that profile, on average. A sample costs some 8 microseconds. For external memory, of
   * which only the small wrappers are seen, it is a quarter, and down to 1/32 in a process that allocates so little that
   * this makes less than 1,200 samples a second. Default: 128 KB.
   */
  readonly profileInterval?: Size
}

export const LEAK_DEFAULTS = Object.freeze({
  minGrowth: 16 * 1024 ** 2,
  minRequests: 20_000,
  warmup: 60_000,
  confidence: 0.99,
  forceCollections: true,
  collectionBudget: 0.005,
  maxPause: 100,
  profile: true,
  profileInterval: 128 * 1024,
} satisfies LeakOptions)

const policy = nested(
  {
    minGrowth: size({ min: 1024 }),
    minRequests: integer({ min: 0 }),
    warmup: duration(),
    confidence: number({ min: 0.5, max: 1 }),
    forceCollections: boolean,
    collectionBudget: number({ min: 0, max: 0.1 }),
    maxPause: duration(),
    profile: boolean,
    profileInterval: size({ min: 1024 }),
  },
  LEAK_DEFAULTS,
)
export const leakOptions = orFalse(policy)
export type LeakPolicy = ReturnType<typeof policy>
