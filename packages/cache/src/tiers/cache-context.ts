import { randomUUID } from 'node:crypto'
import { Bus } from '../coherence/bus.js'
import { Failures } from '../coherence/failures.js'
import { Fence } from '../coherence/fence.js'
import type { ResolvedCacheOptions } from '../options.js'
import type { Shards } from '../store.js'
import { Counters } from './counters.js'
import { GuardedTier, type GuardedTierOptions } from './guarded-tier.js'
import { L1 } from './l1.js'
import { L2 } from './l2.js'

/** Context object: the components of one cache, which its facade and its loads share. */
export interface CacheContext {
  readonly options: ResolvedCacheOptions
  readonly fence: Fence
  readonly l1: L1
  readonly l2: L2 | undefined
  readonly bus: Bus
  readonly failures: Failures
  readonly counters: Counters
}

/** Milliseconds that an entry is used without a look at a store that has no bus. */
const TTL_WITHOUT_BUS = 5_000

export function createContext(
  options: ResolvedCacheOptions,
  replay: GuardedTierOptions['replay'],
): CacheContext {
  const bus = new Bus(randomUUID())
  const fence = new Fence()
  const opened = options.store?.open(options.name)
  const l2 = opened && openL2('tiers' in opened ? opened : { tiers: [opened], of: () => 0 }, options, replay)
  const hasBus = l2?.hasBus === true
  const ownTtl = l2 === undefined || hasBus ? Number.POSITIVE_INFINITY : TTL_WITHOUT_BUS
  const given = options.l1
  const l1 = given && {
    maxBytes: given.maxBytes,
    maxEntryBytes: given.maxEntryBytes,
    ttl: given.ttl === undefined ? ownTtl : given.ttl === false ? Number.POSITIVE_INFINITY : given.ttl,
    early: options.earlyRefresh !== false,
    bus: hasBus ? bus : undefined,
  }
  return {
    options,
    bus,
    fence,
    l1: new L1(l1),
    l2,
    failures: new Failures(fence),
    counters: new Counters(),
  }
}

function openL2(shards: Shards, options: ResolvedCacheOptions, replay: GuardedTierOptions['replay']): L2 {
  const { name: cache, storeTimeout: timeout, maxPending, maxQueuedInvalidations } = options
  const guards = shards.tiers.map(
    (tier) => new GuardedTier({ cache, tier, timeout, maxPending, maxQueuedInvalidations, replay }),
  )
  return new L2(guards, (key) => shards.of(key), options)
}
