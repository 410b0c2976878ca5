import { CacheClosedError, LoadTimeoutError } from '../errors.js'
import type { HttpLookup } from './http-lookup.js'
import { NotStored } from './response-recorder.js'
import { type StoredResponse, unpackRecord, type Variants } from './stored-response.js'

/**
 * How a look-up ended without a response: it is not for this client; the one who was waited for has none, ask again; what
 * is stored cannot be read; or this request is the one whose handler runs.
 */
export type Nothing = 'refused' | 'lost' | 'unreadable' | 'leading'

/** What a look-up found for a lookup. */
export function recordFor({ credentials }: HttpLookup, value: unknown): StoredResponse | Variants | Nothing {
  if (value === undefined) return 'refused'
  const record = unpackRecord(value)
  if (record === undefined) return 'unreadable'
  if (record.kind !== 'refused') return record
  // What was refused for a client of another kind may be stored for this one.
  return record.credentials === (credentials !== 'none') ? 'refused' : 'lost'
}

/** Failures that the app goes on from as it should, and that are told of elsewhere. */
export function isExpected(error: unknown): boolean {
  return error instanceof NotStored || error instanceof LoadTimeoutError || error instanceof CacheClosedError
}
