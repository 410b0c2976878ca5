import { channels } from '../channels.js'

/** What the response cache was doing when it failed. */
export type Work = 'capture' | 'lookup' | 'refresh' | 'invalidate'

const warned = new Set<Work>()

/**
 * Tells of a failure of the response cache itself: the app goes on without it, and must not do so in silence. Each is
 * published; the first of a kind in this process is a warning, too.
 */
export function reportFault(cache: string, where: Work, error: unknown): void {
  channels.fault.publish(() => ({ cache, where, error }))
  if (warned.has(where)) return
  warned.add(where)
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: typeof error }
  process.emitWarning(
    `The response cache "${cache}" failed (${where}): ${name}: ${message.slice(0, 200)}. Responses are sent without it.`,
    { type: 'SpillwayWarning', code: 'SPILLWAY_CACHE_FAULT' },
  )
}
