import type { IncomingMessage } from 'node:http'
import { ADMIT, type Duration, defineOptions, duration, type Verdict } from '@spillway/kit'
import { DrainingError } from '../errors.js'
import { lifecycle } from './lifecycle.js'

/** Options of `drainGate`. */
export interface DrainGateOptions {
  /** What `Retry-After` says. Default: `'1s'`. */
  readonly retryAfter?: Duration
  /**
   * Refuse as soon as draining begins, instead of after the time in which a connection may bring its next request (during
   * which answering is as safe as refusing). Default: `false`.
   */
  readonly strict?: boolean
}

const resolveOptions = defineOptions(
  'cluster',
  'drainGate',
  { retryAfter: duration(), strict: (value) => value === true },
  { retryAfter: 1_000, strict: false },
)

/**
 * May a request go? Not when this process is draining and the request came over a connection that should have ended by
 * now; a client that never lets go would hold the process until it is killed.
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`
 */
export function drainVerdict(
  options: DrainGateOptions = {},
): (request?: Pick<IncomingMessage, 'httpVersionMajor'>) => Verdict {
  const { retryAfter, strict } = resolveOptions(options)
  const life = lifecycle()
  return (request) => {
    const refuses = life.phase === 'refusing' || (strict && life.phase === 'draining')
    if (!refuses) return ADMIT
    const error = new DrainingError(retryAfter, (request?.httpVersionMajor ?? 1) < 2)
    return { headers: error.headers, error }
  }
}
