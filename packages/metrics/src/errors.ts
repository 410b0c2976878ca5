import { brand, RejectedError } from '@spillway/kit'

export { RejectedError }

/** The request may not see the metrics: 403, or 401 where a token would let it. Through the app's error handler. */
export class MetricsForbiddenError extends RejectedError {
  constructor(challenge?: string) {
    super('These metrics are not for everyone.', {
      code: 'ERR_METRICS_FORBIDDEN',
      status: challenge === undefined ? 403 : 401,
      headers: challenge === undefined ? undefined : { 'WWW-Authenticate': challenge },
    })
  }
}

brand(MetricsForbiddenError, 'MetricsForbiddenError')

/**
 * The primary that collects the figures of all workers does not answer: 503. A worker does not answer for itself alone
 * instead, since its counters are smaller, which Prometheus reads as a restart.
 */
export class MetricsUnavailableError extends RejectedError {
  constructor() {
    super('The metrics cannot be collected at the moment.', {
      code: 'ERR_METRICS_UNAVAILABLE',
      status: 503,
      headers: { 'Retry-After': '1' },
    })
  }
}

brand(MetricsUnavailableError, 'MetricsUnavailableError')
