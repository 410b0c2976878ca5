import { randomUUID } from 'node:crypto'
import { Bus } from '../coherence/bus.js'
import { Failures } from '../coherence/failures.js'
import { Fence } from '../coherence/fence.js'
import type { ResolvedCacheOptions } from '../options.js'
import type { Shards } from '../store.js'
import { Counters } from './counters.js'
import { FirstTier } from './l1.js'
import { Guard, type GuardOptions } from './guarded-tier.js'
import { SecondTier } from './l2.js'

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

/** Milliseconds that an entry is used without a look at a store that has no bus. */
const TTL_WITHOUT_BUS = 5_000

export function assemble(options: ResolvedCacheOptions, replay: GuardOptions['replay']): Parts {
  const bus = new Bus(randomUUID())
  const fence = new Fence()
  const opened = options.store?.open(options.name)
  const second =
    opened && secondTier('tiers' in opened ? opened : { tiers: [opened], of: () => 0 }, options, replay)
  const hasBus = second?.hasBus === true
  const ownTtl = second === undefined || hasBus ? Number.POSITIVE_INFINITY : TTL_WITHOUT_BUS
  const { l1 } = options
  const first = l1 && {
    maxBytes: l1.maxBytes,
    maxEntryBytes: l1.maxEntryBytes,
    ttl: l1.ttl === undefined ? ownTtl : l1.ttl === false ? Number.POSITIVE_INFINITY : l1.ttl,
    early: options.earlyRefresh !== false,
    informed: () => !hasBus || bus.healthy,
  }
  return {
    options,
    bus,
    fence,
    first: new FirstTier(first),
    second,
    failures: new Failures(fence),
    counters: new Counters(),
  }
}

function secondTier(
  shards: Shards,
  options: ResolvedCacheOptions,
  replay: GuardOptions['replay'],
): SecondTier {
  const { name: cache, storeTimeout: timeout, maxPending, maxQueuedInvalidations } = options
  const guards = shards.tiers.map(
    (tier) => new Guard({ cache, tier, timeout, maxPending, maxQueuedInvalidations, replay }),
  )
  return new SecondTier(guards, (key) => shards.of(key), options)
}
