import type { Duration } from '@spillway/kit'

/** What a loader is told, and what it may decide. */
export interface LoadContext {
  /** Aborts at the load timeout, when the last caller has gone, and when the cache is closed by force. */
  readonly signal: AbortSignal
  /** The value that is being replaced, for a conditional refresh: return it to keep it. */
  readonly stale: unknown
  /** No caller waits: the value that is being replaced has been served. */
  readonly background: boolean
  /**
   * Replaces the `ttl` of the call.
   *
   * @throws RangeError `ERR_CACHE_OPTION` when it is not a duration
   */
  setTtl(ttl: Duration): void
  /**
   * Replaces `swr` and `staleIfError` of the call, for this entry. A later caller cannot ask for more than these.
   *
   * @throws RangeError `ERR_CACHE_OPTION` when one is not a duration
   */
  setStale(windows: { readonly swr?: Duration | false; readonly staleIfError?: Duration | false }): void
  /**
   * Replaces the `tags` of the call.
   *
   * @throws TypeError `ERR_CACHE_OPTION` when they are not non-empty strings
   */
  setTags(tags: readonly string[]): void
  /** The value goes to the callers, and is not stored. */
  skip(): void
}

/** Makes the value of a key that the cache does not have. */
export type Loader<T> = (context: LoadContext) => T | Promise<T>
