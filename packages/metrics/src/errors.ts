import { brand, RejectedError } from '@spillway/kit'

export { RejectedError }

/** The `guard` of the metrics routes said no: 403, through the app's error handler. */
export class MetricsForbiddenError extends RejectedError {
  constructor() {
    super('These metrics are not for everyone.', { code: 'ERR_METRICS_FORBIDDEN', status: 403 })
  }
}

brand(MetricsForbiddenError, 'MetricsForbiddenError')
