import { type App, eventually, spawnApp, startRedis } from '@spillway/testkit'
import { type Dispatcher, request } from 'undici'
import { describe, expect, it } from 'vitest'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
}

/** Behind a load balancer the operator's routes want it from everybody. */
const OPERATOR_TOKEN = 'the-token-of-these-tests'

/** A running example, spoken to over its socket. */
class Notes implements AsyncDisposable {
  readonly #url: string

  private constructor(
    readonly app: App,
    port: string | undefined,
  ) {
    this.#url = `http://127.0.0.1:${port}`
  }

  static async start(entry: URL, env: Readonly<Record<string, string>> = {}): Promise<Notes> {
    const app = spawnApp(entry, {
      env: {
        PORT: '0',
        REDIS_URL: undefined,
        RATE_LIMIT: '1000',
        SPILLWAY_OPERATOR_TOKEN: OPERATOR_TOKEN,
        ...env,
      },
    })
    const [, port] = await app.waitForLine(/^http:\/\/localhost:(\d+)\/notes$/, { timeout: 30_000 })
    return new Notes(app, port)
  }

  get(path: string): Promise<Answer> {
    return this.#ask(path, 'GET', {})
  }

  post(body: unknown): Promise<Answer> {
    return this.#ask('/notes', 'POST', { 'content-type': 'application/json' }, JSON.stringify(body))
  }

  /** As behind a load balancer: every process is asked by the one name of the service. */
  async #ask(
    path: string,
    method: Dispatcher.HttpMethod,
    headers: Readonly<Record<string, string>>,
    body: string | null = null,
  ): Promise<Answer> {
    const response = await request(this.#url + path, {
      method,
      body,
      headers: { host: 'notes.test', ...headers },
    })
    const text = await response.body.text()
    const isJson = String(response.headers['content-type']).includes('json')
    return { status: response.statusCode, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }

  /** Asks as the operator. */
  async operate(path: string): Promise<Answer> {
    const answer = await this.#ask(path, 'GET', { authorization: `Bearer ${OPERATOR_TOKEN}` })
    expect(answer.status).toBe(200)
    return answer
  }

  async metrics(): Promise<string> {
    return String((await this.operate('/metrics')).body)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]()
  }
}

function cacheStatus({ headers }: Answer): string {
  return String(headers['cache-status'])
}

function remaining({ headers }: Answer): number {
  return Number(/;r=(\d+)/.exec(String(headers.ratelimit))?.[1])
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
}

// Rarely enough to stay within the limit of requests.
const PATIENT = { timeout: 20_000, interval: 500 }

/** What all three examples do alike. */
export function describeNotes(name: string, entry: URL): void {
  describe(`the ${name} example`, () => {
    it('answers from the cache until a write, and never with what was there before', async () => {
      await using notes = await Notes.start(entry)
      expect(await notes.get('/notes')).toMatchObject({ status: 200, body: [] })
      const hit = await notes.get('/notes')
      expect([cacheStatus(hit), hit.body]).toEqual([expect.stringContaining('hit'), []])
      expect(await notes.post({ text: 'lisbon' })).toMatchObject({ status: 201, body: { text: 'lisbon' } })
      const fresh = await notes.get('/notes')
      expect([cacheStatus(fresh), fresh.body]).toEqual([expect.not.stringContaining('hit'), ['lisbon']])
    })

    it('refuses what is no note', async () => {
      await using notes = await Notes.start(entry)
      for (const body of [{}, { text: '' }, { text: 'x'.repeat(101) }, { text: { a: 1 } }, 'text'])
        expect((await notes.post(body)).status).toBe(400)
      expect((await notes.post({ text: 'x', more: 'x'.repeat(5000) })).status).toBe(413)
      expect((await notes.get('/notes')).body).toEqual([])
    })

    it('compares the notes in a thread, and finds the two most alike', async () => {
      await using notes = await Notes.start(entry)
      expect((await notes.get('/alike')).body).toBeNull()
      for (const text of ['lisbon', 'berlin', 'lisboa', 'madrid']) await notes.post({ text })
      expect((await notes.get('/alike')).body).toEqual({ a: 'lisbon', b: 'lisboa', edits: 1 })
      expect(cacheStatus(await notes.get('/alike'))).toContain('hit')
      expect(await notes.metrics()).toMatch(/^spillway_offload_\S*threads\S* [1-9]/m)
    })

    it('limits a client, and tells it when to come back, but never the probes', async () => {
      await using notes = await Notes.start(entry, { RATE_LIMIT: '3' })
      const answers = []
      for (let i = 0; i < 4; i++) answers.push(await notes.get('/notes'))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429])
      expect(Number(answers[3]?.headers['retry-after'])).toBeGreaterThan(0)
      expect(answers[3]?.headers.ratelimit).toMatch(/;r=0/)
      for (const path of ['/healthz', '/readyz']) expect((await notes.get(path)).status).toBe(200)
      expect((await notes.get('/metrics')).status).toBe(401)
      expect(await notes.metrics()).toContain('spillway_')
    })

    it('sheds load when memory is short, and says so to the load balancer', async () => {
      await using notes = await Notes.start(entry, { MEMORY_LIMIT: '24mb' })
      await eventually(async () => expect((await notes.get('/notes')).status).toBe(503), { timeout: 20_000 })
      const refused = await notes.get('/notes')
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      expect((await notes.get('/healthz')).status).toBe(200)
      expect(await notes.get('/readyz')).toMatchObject({
        status: 503,
        body: { checks: { memory: 'failed' } },
      })
    })

    it('counts what it does, by route and by package', async () => {
      await using notes = await Notes.start(entry)
      await notes.get('/notes')
      await notes.get('/notes')
      const text = await notes.metrics()
      expect(text).toMatch(/^\w+\{[^}]*route="\/notes"[^}]*\} 2$/m)
      for (const kind of ['cache', 'limiter', 'memory', 'offload'])
        expect(text).toMatch(new RegExp(`^spillway_sources\\{kind="${kind}"\\} 1$`, 'm'))
      expect((await notes.operate('/dashboard')).headers['content-type']).toContain('text/html')
    })

    it('finishes what it has begun when it is told to stop, and exits with 0', async () => {
      await using notes = await Notes.start(entry)
      // Long notes make the comparison long enough to be caught in the act.
      for (let i = 0; i < 200; i++)
        await notes.post({ text: String(i).padEnd(100, 'abcdefghijk'.slice(i % 7)) })
      let slow = notes.get('/alike')
      // The figures are those of up to a second ago: a comparison that is over before they show it is asked for anew.
      await eventually(
        async () => {
          const running = /^spillway_offload_\S*running\S* 1$/m.test(await notes.metrics())
          if (running && !(await isSettled(slow))) return true
          if (await isSettled(slow)) {
            await notes.post({ text: 'one more' })
            slow = notes.get('/alike')
          }
          return false
        },
        { timeout: 30_000, interval: 50 },
      )
      notes.app.kill('SIGTERM')
      expect((await slow).status).toBe(200)
      expect(await notes.app.exited).toEqual({ code: 0, signal: null })
      expect(notes.app.output('stderr')).toBe('')
    })

    it('shares cache and limit with other processes by Redis, and goes on without it', async () => {
      await using redis = await startRedis()
      const env = { REDIS_URL: redis.url(), RATE_LIMIT: '100' }
      await using one = await Notes.start(entry, env)
      await using two = await Notes.start(entry, env)
      for (let i = 0; i < 50; i++) await one.get('/notes')
      // Its first request; by itself it would have 99 left.
      expect(remaining(await two.get('/alike'))).toBeLessThan(95)
      await one.post({ text: 'lisbon' })
      await one.get('/notes')
      // Each process has its own notes; so what the other one has can only come from the shared cache.
      await eventually(async () => {
        const answer = await two.get('/notes')
        expect([cacheStatus(answer), answer.body]).toEqual([expect.stringContaining('hit'), ['lisbon']])
      }, PATIENT)
      await two.post({ text: 'porto' })
      await eventually(async () => expect(cacheStatus(await one.get('/notes'))).not.toContain('hit'), PATIENT)
      await redis.kill()
      await eventually(async () => expect((await two.get('/notes')).status).toBe(200), PATIENT)
      expect((await one.get('/healthz')).status).toBe(200)
      for (const { app } of [one, two]) {
        app.kill('SIGTERM')
        expect(await app.exited).toEqual({ code: 0, signal: null })
      }
    })
  })
}
