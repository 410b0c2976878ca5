import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** How a request ended. */
export interface FinishedRequest {
  readonly method: string
  /** The route's pattern, such as `/cities/:id`; never the path, of which there is no end. */
  readonly route: string
  readonly status: number
}

/** What a route is called when the app has matched none. */
export const UNMATCHED = '(unmatched)'
/** A client that went away before its answer; nginx logs the same number. */
export const CLIENT_CLOSED_REQUEST = 499

const OTHER = '(other)'
const MAX_ROUTES = 1_000

/** Counts the requests of one process and how long they took. Names as in the Prometheus guide: base units, `_total`. */
export class RequestRecorder {
  readonly #duration: Histogram<'method' | 'route' | 'status'>
  readonly #inFlight: Gauge
  readonly #started: Counter
  readonly #routes = new Set<string>()

  constructor(registry: Registry, buckets: readonly number[]) {
    this.#duration = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'From the first look at a request until its response was sent',
      labelNames: ['method', 'route', 'status'],
      buckets: [...buckets],
      registers: [registry],
    })
    this.#inFlight = new Gauge({
      name: 'http_requests_in_flight',
      help: 'Requests that are being answered',
      registers: [registry],
    })
    this.#started = new Counter({
      name: 'http_requests_started_total',
      help: 'Requests that have arrived',
      registers: [registry],
    })
  }

  /** A request has come. Call what it returns once, when the request is over. */
  begin(): (end: FinishedRequest) => void {
    const start = performance.now()
    this.#started.inc()
    this.#inFlight.inc()
    return ({ method, route, status }) => {
      this.#inFlight.dec()
      this.#duration
        .labels(method, this.#bounded(route), String(status))
        .observe((performance.now() - start) / 1_000)
    }
  }

  /** A handful of routes is the norm; a naming function that returns paths must not fill the memory. */
  #bounded(route: string): string {
    if (this.#routes.has(route)) return route
    if (this.#routes.size >= MAX_ROUTES) return OTHER
    this.#routes.add(route)
    return route
  }
}
