import { channel } from '@spillway/kit'

/** What happened, for machines. Messages hold the cache's name and no keys. */
export const channels = {
  hit: channel<{ cache: string; tier: 'l1' | 'l2'; stale: boolean }>('spillway:cache:hit'),
  miss: channel<{ cache: string }>('spillway:cache:miss'),
  load: channel<{ cache: string; milliseconds: number; ok: boolean; background: boolean }>(
    'spillway:cache:load',
  ),
  stale: channel<{ cache: string; reason: 'revalidate' | 'error' | 'slow' | 'lease' }>(
    'spillway:cache:stale',
  ),
  lease: channel<{ cache: string; event: 'acquired' | 'busy' | 'lost' | 'voided' }>('spillway:cache:lease'),
  invalidate: channel<{ cache: string; what: 'key' | 'tag' | 'all'; count: number; queued: boolean }>(
    'spillway:cache:invalidate',
  ),
  breaker: channel<{ cache: string; open: boolean }>('spillway:cache:breaker'),
  gap: channel<{ cache: string; healed: boolean }>('spillway:cache:gap'),
  reject: channel<{
    cache: string
    reason: 'corrupt' | 'uncacheable' | 'oversize' | 'store'
    error: unknown
  }>('spillway:cache:reject'),
  fault: channel<{ cache: string; where: string; error: unknown }>('spillway:cache:fault'),
} as const
