/**
 * What the cache did with a request, as the `Cache-Status` field says it (RFC 9211): `spillway; hit; ttl=12`,
 * `spillway; fwd=uri-miss`. Whether a response will be stored is not known yet when its head is sent, so `stored` is never
 * said; why it will not be stored is often known, and stands in `detail`.
 */
export type CacheStatus =
  | { readonly hit: true; readonly ttl: number; readonly detail?: string | undefined }
  | {
      readonly hit?: false
      /** Why the handler ran. */
      readonly fwd: 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'stale' | 'request'
      /** The request waited for another's handler. */
      readonly collapsed?: boolean
      readonly detail?: string | undefined
    }

function cacheStatusField(name: string, status: CacheStatus): string {
  const detail = status.detail === undefined ? '' : `; detail=${status.detail}`
  if (status.hit) return `${name}; hit; ttl=${Math.floor(status.ttl / 1000)}${detail}`
  const collapsed = status.collapsed ? '; collapsed' : ''
  return `${name}; fwd=${status.fwd}${collapsed}${detail}`
}

/** Adds our word to those of caches nearer to the origin, which stand first (RFC 9211 section 2). */
export function withCacheStatus(
  before: string | undefined,
  name: string | false,
  status: CacheStatus,
): string | undefined {
  if (name === false) return before
  const own = cacheStatusField(name, status)
  return before === undefined ? own : `${before}, ${own}`
}
