import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'undici'

export interface LoadOptions {
  /** Where to. One of `requests` and `durationMs` is needed, so that it ends. */
  readonly url: string | URL
  /** How many clients, each with a connection of its own and one request at a time. Default: 10. */
  readonly connections?: number
  /** Send so many requests. */
  readonly requests?: number
  /** Begin no request after so many milliseconds. */
  readonly durationMs?: number
  /**
   * Begin so many requests a second, all clients together, on a fixed schedule. Latency then counts from the time a
   * request was due, so that a stall shows in all the requests it held up. Default: as fast as answers come.
   */
  readonly rps?: number
  /** Reuse connections. `false` opens one for each request. Default: true. */
  readonly keepAlive?: boolean
  /** Pause of each client between its requests, in milliseconds. Default: 0. */
  readonly thinkTimeMs?: number
  /** Default: `GET`. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** The path of the n-th request (from 0). Default: that of `url`. */
  readonly path?: (n: number) => string
  /** How long one request may take, with its body. Default: 10000. */
  readonly timeoutMs?: number
  /** Begins no more requests when it aborts; those under way are finished and counted. */
  readonly signal?: AbortSignal
}

/** A request without a complete response. */
export interface Failure {
  /** The number of the request, from 0. */
  readonly n: number
  /** Milliseconds after the load began, when it was sent. */
  readonly sentAt: number
  /** Milliseconds until it failed. */
  readonly after: number
  /** `ECONNREFUSED`, `ECONNRESET`, `UND_ERR_SOCKET` (closed by the server), `TIMEOUT` ... */
  readonly code: string
  readonly message: string
  /** The status, when it failed in the middle of the body. */
  readonly status?: number
  /** Whether the connection had served a request before: an idle one may be closed by the server at any time. */
  readonly reused: boolean
}

export interface LoadSummary {
  /** All that were sent: the sum of all `statuses` and all `errors`. */
  readonly requests: number
  /** Complete responses with a status below 400. */
  readonly ok: number
  /** Complete responses by status. */
  readonly statuses: Readonly<Record<number, number>>
  /** Requests without a complete response, by code. */
  readonly errors: Readonly<Record<string, number>>
  readonly failed: number
  /** What happened to each of the failed ones (the first 10,000). */
  readonly failures: readonly Failure[]
  /** Connections opened. */
  readonly connections: number
  /** Of the complete responses, in milliseconds; 0 when there are none. */
  readonly latency: {
    readonly p50: number
    readonly p99: number
    readonly max: number
    readonly mean: number
  }
  readonly durationMs: number
  /** Complete responses a second. */
  readonly rps: number
}

const MOST_FAILURES = 10_000
// A server that refuses would otherwise be asked as fast as this machine can.
const PAUSE_AFTER_FAILURE = 10

/**
 * Sends a bounded load over HTTP/1.1 and counts what happens to every request. Nothing is retried.
 *
 * @throws RangeError without a bound
 */
export async function load(options: LoadOptions): Promise<LoadSummary> {
  const { connections = 10, requests = Infinity, durationMs = Infinity, rps } = options
  if (requests === Infinity && durationMs === Infinity)
    throw new RangeError('load needs requests or durationMs')
  const tally = new Tally()
  const begin = performance.now()
  let next = 0

  async function client(): Promise<void> {
    const connection = new Connection(options)
    while (next < requests && !options.signal?.aborted) {
      const n = next++
      const due = rps === undefined ? performance.now() - begin : (n * 1000) / rps
      if (due >= durationMs) break
      if (!(await pause(begin + due - performance.now(), options.signal))) break
      const sent = performance.now()
      const outcome = await connection.request(n)
      const end = performance.now()
      if ('code' in outcome) {
        tally.fail({ n, sentAt: sent - begin, after: end - sent, ...outcome })
        await pause(PAUSE_AFTER_FAILURE, options.signal)
      } else tally.complete(outcome.status, end - (rps === undefined ? sent : begin + due))
      await pause(options.thinkTimeMs ?? 0, options.signal)
    }
    tally.connections += connection.opened
    await connection.close()
  }

  await Promise.all(Array.from({ length: connections }, client))
  return tally.summary(performance.now() - begin)
}

type Outcome = { readonly status: number } | Pick<Failure, 'code' | 'message' | 'status' | 'reused'>

/** One client: a connection that is opened again when it was lost. */
class Connection {
  opened = 0
  readonly #client: Client
  readonly #options: LoadOptions
  readonly #path: string
  #served = 0

  constructor(options: LoadOptions) {
    const { origin, pathname, search } = new URL(options.url)
    this.#options = options
    this.#path = pathname + search
    this.#client = new Client(origin, {
      pipelining: 1,
      keepAliveTimeout: 60_000,
      keepAliveMaxTimeout: 600_000,
    })
    this.#client.on('connect', () => this.opened++)
    this.#client.on('disconnect', () => {
      this.#served = 0
    })
  }

  async request(n: number): Promise<Outcome> {
    const { method = 'GET', headers = {}, body, keepAlive = true, timeoutMs = 10_000, path } = this.#options
    const timeout = AbortSignal.timeout(timeoutMs)
    // Taken before: a lost connection counts from zero again.
    const reused = this.#served > 0
    let status: number | undefined
    try {
      const response = await this.#client.request({
        path: path?.(n) ?? this.#path,
        method: method as 'GET',
        headers: { ...headers },
        body: body ?? null,
        reset: !keepAlive,
        signal: timeout,
      })
      status = response.statusCode
      // Read to the end without keeping it: a cut body is a failure.
      for await (const _ of response.body);
      this.#served++
      return { status }
    } catch (error) {
      const { code, name, message } = error as NodeJS.ErrnoException
      const failure = {
        code: timeout.aborted ? 'TIMEOUT' : (code ?? name),
        message,
        reused,
      }
      return status === undefined ? failure : { ...failure, status }
    }
  }

  close(): Promise<void> {
    return this.#client.destroy()
  }
}

class Tally {
  connections = 0
  readonly #statuses: Record<number, number> = {}
  readonly #errors: Record<string, number> = {}
  readonly #failures: Failure[] = []
  readonly #latencies: number[] = []
  #ok = 0
  #failed = 0

  complete(status: number, latency: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
    this.#latencies.push(latency)
    if (status < 400) this.#ok++
  }

  fail(failure: Failure): void {
    this.#failed++
    this.#errors[failure.code] = (this.#errors[failure.code] ?? 0) + 1
    if (this.#failures.length < MOST_FAILURES) this.#failures.push(failure)
  }

  summary(durationMs: number): LoadSummary {
    const sorted = this.#latencies.sort((a, b) => a - b)
    const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
    const sum = sorted.reduce((total, each) => total + each, 0)
    return {
      requests: sorted.length + this.#failed,
      ok: this.#ok,
      statuses: this.#statuses,
      errors: this.#errors,
      failed: this.#failed,
      failures: this.#failures,
      connections: this.connections,
      latency: {
        p50: at(0.5),
        p99: at(0.99),
        max: at(1),
        mean: sorted.length === 0 ? 0 : sum / sorted.length,
      },
      durationMs,
      rps: sorted.length / (durationMs / 1000),
    }
  }
}

/** Tells whether the time has passed, rather than the signal come. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<boolean> {
  if (milliseconds <= 0) return true
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal })
    return true
  } catch {
    return false
  }
}
