import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { DroppedCounter } from '../series/dropped-counter.js'
import { labelText } from '../series/label.js'

/** How a request ended. */
export interface FinishedRequest {
  readonly method: string
  /** The route's pattern, such as `/cities/:id`; never the path, of which there is no end. */
  readonly route: string
  readonly status: number
}

/** Name of the route of a request that matched none. */
export const UNMATCHED = '(unmatched)'
/** Status of a request whose client went away before the answer; nginx logs the same number. */
export const CLIENT_CLOSED_REQUEST = 499

const OTHER = '(other)'
const MAX_ROUTES = 1_000
const MAX_SERIES = 5_000
/** Methods with a label of their own. A client may send every method that Node's parser knows, to every route. */
const USUAL = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'])
const NAME = 'http_request_duration_seconds'

type Observer = Histogram.Internal<'method' | 'route' | 'status'>

/** Counts the requests of one process and how long they took. Names as in the Prometheus guide: base units, `_total`. */
export class RequestRecorder {
  readonly #duration: Histogram<'method' | 'route' | 'status'>
  readonly #inFlight: Gauge
  readonly #started: Counter
  readonly #dropped: DroppedCounter
  /** By route, then by method and status. */
  readonly #routes = new Map<string, Map<string, Observer>>()
  #series = 0

  constructor(registry: Registry, buckets: readonly number[], dropped: DroppedCounter) {
    this.#dropped = dropped
    this.#duration = new Histogram({
      name: NAME,
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

  /** Counts a request that has arrived. Call the returned function once, when the request is over. */
  begin(): (end: FinishedRequest) => void {
    const start = performance.now()
    this.#started.inc()
    this.#inFlight.inc()
    return ({ method, route, status }) => {
      this.#inFlight.dec()
      this.#observer(method, route, status).observe((performance.now() - start) / 1_000)
    }
  }

  #observer(method: string, route: string, status: number): Observer {
    const outcome = `${method} ${status}`
    return this.#routes.get(route)?.get(outcome) ?? this.#open(method, route, outcome, status)
  }

  /** Opens a series. An app has a handful of routes; a naming function that returns paths must not fill the memory. */
  #open(method: string, name: string, outcome: string, status: number): Observer {
    const route = labelText(name)
    if (route !== name) return this.#observer(method, route, status)
    if (method !== OTHER && !USUAL.has(method)) return this.#observer(OTHER, route, status)
    const outcomes = this.#routes.get(route)
    const isFull = outcomes === undefined && this.#routes.size >= MAX_ROUTES
    if (route !== OTHER && (isFull || this.#series >= MAX_SERIES)) {
      this.#dropped.note(NAME)
      return this.#observer(method, OTHER, status)
    }
    const observer = this.#duration.labels(method, route, String(status))
    if (outcomes === undefined) this.#routes.set(route, new Map([[outcome, observer]]))
    else outcomes.set(outcome, observer)
    this.#series++
    return observer
  }
}
