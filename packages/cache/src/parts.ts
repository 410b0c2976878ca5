import type { Bus } from './bus.js'
import type { Counters } from './counters.js'
import type { Failures } from './failures.js'
import type { Fence } from './fence.js'
import type { FirstTier } from './first-tier.js'
import type { ResolvedCacheOptions } from './options.js'
import type { SecondTier } from './second-tier.js'

/** What a cache is made of. */
export interface Parts {
  readonly options: ResolvedCacheOptions
  readonly fence: Fence
  readonly first: FirstTier
  readonly second: SecondTier | undefined
  readonly bus: Bus
  readonly failures: Failures
  readonly counters: Counters
}
