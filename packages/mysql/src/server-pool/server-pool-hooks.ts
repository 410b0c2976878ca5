import type { Holder } from '../errors.js'

/** What the pool of one server reports to the pool of all servers. */
export interface ServerPoolHooks<Pool> {
  leak(pool: Pool, holder: Holder): void
  warning(pool: Pool, message: string): void
  /** The server refused a write because it is read-only. */
  readOnly(pool: Pool): void
  /** The last connection to the server broke: the server may have been started again. */
  lost(pool: Pool): void
  /** The server could not be reached, or was reached again. */
  reachable(pool: Pool, yes: boolean): void
}
