import { defineOptions, func, optional, orFalse } from '@spillway/kit'
import { dashboardFile } from './dashboard.js'
import { MetricsForbiddenError } from './errors.js'
import type { Gathered } from './messages.js'
import type { Exposition } from './metrics.js'
import { path } from './options.js'

/** What can be scraped: a process's `Metrics`, or the primary's `ClusterMetrics`. */
export interface Scrapable {
  expose(): Promise<Exposition>
  gather(): Promise<Gathered>
}

/** `Request`: what the framework hands to its handlers. */
export interface MetricsRouteOptions<Request> {
  /** Where Prometheus scrapes. Default `'/metrics'`. */
  readonly path?: string
  /** Where the live dashboard is; `false` (the default): nowhere. */
  readonly dashboard?: string | false
  /** Who may see them; others get a {@link MetricsForbiddenError} (403). Default: everyone. */
  readonly guard?: (request: Request) => boolean | Promise<boolean>
  /** The name of the route a finished request took. Default: the pattern that the router matched. */
  readonly route?: (request: Request) => string | undefined
  /** Requests that are not to be recorded. Default: none. */
  readonly skip?: (request: Request) => boolean
}

/** What the routes answer with, whatever the framework. */
export interface Answer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const resolve = defineOptions(
  'metrics',
  'metrics',
  {
    path,
    dashboard: orFalse(path),
    guard: optional(func()),
    route: optional(func()),
    skip: optional(func()),
  },
  { path: '/metrics', dashboard: false },
)

/** The routes of the package: the scrape, the dashboard's files, and the dashboard's data. */
export class MetricsEndpoint<Request> {
  /** Every path that is answered. */
  readonly paths: readonly string[]
  readonly #answers = new Map<string, () => Answer | Promise<Answer>>()

  /** @throws TypeError | RangeError `ERR_METRICS_OPTION` */
  constructor(
    metrics: Scrapable,
    readonly options: MetricsRouteOptions<Request>,
  ) {
    const { path, dashboard } = resolve(options)
    this.#answers.set(path, async () => {
      const { contentType, body } = await metrics.expose()
      return answer(contentType, body)
    })
    if (dashboard !== false) {
      this.#answers.set(dashboard, () => dashboardFile('dashboard.html', dashboard))
      this.#answers.set(`${dashboard}/dashboard.js`, () => dashboardFile('dashboard.js', dashboard))
      this.#answers.set(`${dashboard}/dashboard.css`, () => dashboardFile('dashboard.css', dashboard))
      this.#answers.set(`${dashboard}/data`, async () => {
        const gathered = await metrics.gather()
        return answer('application/json; charset=utf-8', JSON.stringify({ at: Date.now(), ...gathered }))
      })
    }
    this.paths = [...this.#answers.keys()]
  }

  /** Whether this request is for one of ours. */
  owns(method: string, path: string): boolean {
    return (method === 'GET' || method === 'HEAD') && this.#answers.has(path)
  }

  /** @throws MetricsForbiddenError when the guard says no */
  async answer(path: string, request: Request): Promise<Answer> {
    if (this.options.guard !== undefined && (await this.options.guard(request)) !== true) {
      throw new MetricsForbiddenError()
    }
    return await this.#answers.get(path)!()
  }
}

export function answer(contentType: string, body: string): Answer {
  return { headers: { 'Content-Type': contentType, 'Cache-Control': 'no-store' }, body }
}
