import {
  type Duration,
  defineOptions,
  duration,
  func,
  OPERATOR_CHECKS,
  OPERATOR_HEADERS,
  OperatorGuard,
  type OperatorOptions,
  type OperatorRequest,
  optional,
  orFalse,
  refuse,
} from '@spillway/kit'
import { MetricsForbiddenError } from '../errors.js'
import { path } from '../options.js'
import type { Scrapable } from '../series/exposition.js'
import { dashboardFile } from './dashboard.js'

/** Options of the routes. `Request` is the framework's request. */
export interface MetricsRouteOptions<Request> extends OperatorOptions<Request> {
  /** Path of the scrape. Default `'/metrics'`. */
  readonly path?: string
  /** Path of the live dashboard; `false`: there is none. Default `false`. */
  readonly dashboard?: string | false
  /** How long one gathering answers every request; `false`: each request gathers again. Default `'1s'`. */
  readonly freshFor?: Duration | false
  /** The name of the route a finished request took. Default: the pattern that the router matched. */
  readonly route?: (request: Request) => string | undefined
  /** Requests that are not to be recorded. Default: none. */
  readonly skip?: (request: Request) => boolean
}

/** An answer of the routes, independent of the framework. */
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
    freshFor: orFalse(duration({ max: 60_000 })),
    ...OPERATOR_CHECKS,
    route: optional(func()),
    skip: optional(func()),
  },
  { path: '/metrics', dashboard: false, freshFor: 1_000 },
)

/** The routes of the package: the scrape, the dashboard's files, and the dashboard's data. */
export class MetricsEndpoint<Request> {
  /** Every path that is answered. */
  readonly paths: readonly string[]
  readonly #answers = new Map<string, () => Answer | Promise<Answer>>()
  readonly #guard: OperatorGuard<Request>

  /** @throws TypeError | RangeError `ERR_METRICS_OPTION` */
  constructor(metrics: Scrapable, options: MetricsRouteOptions<Request>) {
    const { path, dashboard, freshFor } = resolve(options)
    if (dashboard !== false && (path === dashboard || path.startsWith(`${dashboard}/`))) {
      refuse(
        RangeError,
        { owner: 'metrics', code: 'ERR_METRICS_OPTION', name: 'dashboard' },
        `another path than 'path' and those above it`,
        dashboard,
      )
    }
    this.#guard = new OperatorGuard(options, { owner: 'metrics', code: 'ERR_METRICS_OPTION' })
    const recent = { maxAge: freshFor === false ? 0 : freshFor }
    this.#answers.set(path, async () => {
      const { contentType, body } = await metrics.expose(recent)
      return answer(contentType, body)
    })
    if (dashboard !== false) {
      this.#answers.set(dashboard, () => page('dashboard.html', dashboard))
      this.#answers.set(`${dashboard}/dashboard.js`, () => page('dashboard.js', dashboard))
      this.#answers.set(`${dashboard}/dashboard.css`, () => page('dashboard.css', dashboard))
      this.#answers.set(`${dashboard}/data`, async () => {
        return answer('application/json; charset=utf-8', JSON.stringify(await metrics.gather(recent)))
      })
    }
    this.paths = [...this.#answers.keys()]
  }

  /** Whether a request is for one of these routes. */
  owns(method: string, path: string): boolean {
    return (method === 'GET' || method === 'HEAD') && this.#answers.has(path)
  }

  /**
   * @param raw the request as `node:http` knows it
   * @throws MetricsForbiddenError when the request may not see them
   * @throws MetricsUnavailableError when they cannot be collected
   */
  async answer(path: string, request: Request, raw: OperatorRequest): Promise<Answer> {
    const refusal = await this.#guard.refusal(request, raw)
    if (refusal !== undefined) throw new MetricsForbiddenError(refusal.challenge)
    return await this.#answers.get(path)!()
  }
}

function page(name: Parameters<typeof dashboardFile>[0], mountedAt: string): Answer {
  const { type, text } = dashboardFile(name, mountedAt)
  return answer(type, text)
}

function answer(contentType: string, body: string): Answer {
  return { headers: { ...OPERATOR_HEADERS, 'Content-Type': contentType }, body }
}
