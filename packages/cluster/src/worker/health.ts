import { type Duration, defineOptions, duration, having, orFalse, sleep, string } from '@spillway/kit'
import { isReady, lifecycle } from './lifecycle.js'

/** Something the service cannot work without. It fails by throwing or rejecting, or by `false`. */
export type HealthCheck = () => unknown

/** Options of the health routes. */
export interface HealthOptions {
  /** Path of liveness: does this process answer? `false`: no such route. Default: `'/healthz'`. */
  readonly live?: string | false
  /** Path of readiness: should it get traffic? `false`: no such route. Default: `'/readyz'`. */
  readonly ready?: string | false
  /** Asked for readiness, all at once. Default: none. */
  readonly checks?: Readonly<Record<string, HealthCheck>>
  /** A check that has not answered by then has failed. Default: `'1s'`. */
  readonly timeout?: Duration
}

/** Status and JSON body of a health route. */
export interface HealthAnswer {
  readonly status: 200 | 503
  readonly body: {
    readonly status: 'ok' | 'starting' | 'draining' | 'failing'
    readonly pid: number
    /** Seconds. */
    readonly uptime: number
    readonly checks?: Readonly<Record<string, 'ok' | 'failed' | 'timeout'>>
  }
}

/** Never from a cache. */
export const HEALTH_HEADERS = Object.freeze({ 'Cache-Control': 'no-store' })

const resolveOptions = defineOptions(
  'cluster',
  'health',
  {
    live: orFalse(string({ pattern: /^\//, like: 'a path that begins with "/"' })),
    ready: orFalse(string({ pattern: /^\//, like: 'a path that begins with "/"' })),
    checks: having<Record<string, HealthCheck>>('an object of functions'),
    timeout: duration({ min: 1 }),
  },
  { live: '/healthz', ready: '/readyz', checks: {}, timeout: 1_000 },
)

/** The answers of the health routes, for any framework. @throws TypeError | RangeError `ERR_CLUSTER_OPTION` */
export class Health {
  readonly live: string | false
  readonly ready: string | false
  readonly #checks: Readonly<Record<string, HealthCheck>>
  readonly #timeout: number

  constructor(options: HealthOptions = {}) {
    const { live, ready, checks, timeout } = resolveOptions(options)
    this.live = live
    this.ready = ready
    this.#checks = checks
    this.#timeout = timeout
  }

  /** The answer for a path, or `undefined` when it is no health route. */
  at(path: string): HealthAnswer | Promise<HealthAnswer> | undefined {
    if (path === this.live) return answer('ok', 200)
    if (path === this.ready) return this.#readiness()
    return undefined
  }

  async #readiness(): Promise<HealthAnswer> {
    const life = lifecycle()
    if (!isReady(life)) return answer(life.phase === 'starting' ? 'starting' : 'draining', 503)
    const names = Object.keys(this.#checks)
    if (names.length === 0) return answer('ok', 200)
    const results = await Promise.all(names.map((name) => this.#run(this.#checks[name]!)))
    const checks = Object.fromEntries(names.map((name, i) => [name, results[i]!]))
    return results.every((result) => result === 'ok')
      ? answer('ok', 200, checks)
      : answer('failing', 503, checks)
  }

  async #run(check: HealthCheck): Promise<'ok' | 'failed' | 'timeout'> {
    const limit = new AbortController()
    const asked = Promise.resolve()
      .then(check)
      .then(
        (value) => (value === false ? 'failed' : 'ok') as 'ok' | 'failed',
        () => 'failed' as const,
      )
    const late = sleep(this.#timeout, { signal: limit.signal }).then(
      () => 'timeout' as const,
      () => 'timeout' as const,
    )
    const result = await Promise.race([asked, late])
    limit.abort()
    return result
  }
}

/** Readiness of an app that is being closed. */
export const CLOSING = answer('draining', 503)

function answer(
  status: HealthAnswer['body']['status'],
  code: 200 | 503,
  checks?: HealthAnswer['body']['checks'],
): HealthAnswer {
  const body = { status, pid: process.pid, uptime: Math.round(process.uptime()) }
  return { status: code, body: checks === undefined ? body : { ...body, checks } }
}
