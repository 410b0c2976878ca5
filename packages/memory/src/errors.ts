import { brand, RejectedError } from '@spillway/kit'
import type { Reason } from './level.js'

/** The request was refused because the process is overloaded. Status 503 with `Retry-After`. */
export class OverloadedError extends RejectedError {
  constructor(retryAfter: string, reasons: readonly Reason[]) {
    super('The service is overloaded, please try again shortly', {
      code: 'ERR_MEMORY_OVERLOADED',
      status: 503,
      headers: { 'Retry-After': retryAfter },
      details: { reasons },
    })
  }

  /** The signals that are over their marks, with their figures. Not for the client: `message` does not hold them. */
  get reasons(): readonly Reason[] {
    return this.details.reasons as readonly Reason[]
  }
}
brand(OverloadedError, 'OverloadedError')

/** Why a snapshot was not taken. */
export type SnapshotRefusal = 'busy' | 'cooldown' | 'disk' | 'disabled' | 'heap' | 'memory'

/** A snapshot was refused: it would have hurt the process it was meant to examine. Status 409 on the report route. */
export class SnapshotRefusedError extends RejectedError {
  constructor(reason: SnapshotRefusal, message: string) {
    super(message, { code: 'ERR_MEMORY_SNAPSHOT_REFUSED', status: 409, details: { reason } })
  }

  get reason(): SnapshotRefusal {
    return this.details.reason as SnapshotRefusal
  }
}
brand(SnapshotRefusedError, 'SnapshotRefusedError')

/** The caller may not see the memory report. Status 403, or 401 where a token would let it. */
export class ReportForbiddenError extends RejectedError {
  constructor(challenge?: string) {
    super('The memory report is not for you', {
      code: 'ERR_MEMORY_REPORT_FORBIDDEN',
      status: challenge === undefined ? 403 : 401,
      headers: challenge === undefined ? undefined : { 'WWW-Authenticate': challenge },
    })
  }
}
brand(ReportForbiddenError, 'ReportForbiddenError')
