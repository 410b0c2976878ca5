import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { grafanaBoard } from '@spillway/metrics'
import { type App, eventually, load, spawnApp } from '@spillway/testkit'
import { Agent, request } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'

const MAIN = new URL('../dist/main.js', import.meta.url)
const BERLIN = 2950159

const apps: App[] = []
afterEach(() => Promise.all(apps.splice(0).map((app) => app[Symbol.asyncDispose]())))

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): App {
  const own = {
    PORT: '0',
    WORKERS: '2',
    REDIS_URL: undefined,
    DATABASE_URL: undefined,
    MEMCACHED_SERVERS: undefined,
  }
  const app = spawnApp(MAIN, { args, env: { ...own, ...env } })
  apps.push(app)
  return app
}

async function start(args: readonly string[], env?: Readonly<Record<string, string>>) {
  const app = run(args, env)
  const [, origin] = await app.waitForLine(/^Spillway cities: (https?:\S+)/, { timeout: 150_000 })
  return { app, origin: origin! }
}

async function ask(url: string, init: Parameters<typeof request>[1] = {}) {
  const { statusCode, headers, body } = await request(url, init)
  const text = await body.text()
  const json = String(headers['content-type']).startsWith('application/json') ? JSON.parse(text) : undefined
  return { status: statusCode, headers, text, json }
}

const checkIn = (origin: string, id: number, who: unknown) =>
  ask(`${origin}/cities/${id}/checkins`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ who }),
  })

/** Every documented route gives the documented answer. */
async function tour(origin: string): Promise<void> {
  expect(Object.keys((await ask(`${origin}/`)).json)).toContain('GET /metrics')

  const search = await ask(`${origin}/cities?q=ber&limit=3`)
  expect(search.status).toBe(200)
  expect(search.json).toHaveLength(3)
  expect(search.json[0]).toMatchObject({ id: BERLIN, name: 'Berlin', country: 'DE' })
  expect(search.headers).toMatchObject({ 'x-content-type-options': 'nosniff', ratelimit: expect.any(String) })

  expect((await ask(`${origin}/cities/${BERLIN}`)).json).toMatchObject({
    name: 'Berlin',
    checkIns: 0,
    lastCheckIn: null,
  })
  const nearest = await ask(`${origin}/cities/${BERLIN}/nearest?limit=4`)
  const distances = nearest.json.map(({ km }: { km: number }) => km)
  expect(distances).toHaveLength(4)
  expect(distances).toEqual(distances.toSorted((a: number, b: number) => a - b))
  expect(distances[3]).toBeLessThan(10)

  // Two workers answer; whichever is asked, it has seen the write.
  for (const [i, who] of ['Ada', 'Grace', "O'Hara \\ \u{1f30d}"].entries()) {
    const written = await checkIn(origin, BERLIN, who)
    expect(written.status).toBe(201)
    expect(written.json.checkIns).toBe(i + 1)
    for (let n = 0; n < 4; n++) expect((await ask(`${origin}/cities/${BERLIN}`)).json.checkIns).toBe(i + 1)
  }

  const report = await ask(`${origin}/report?country=IS&groups=3`)
  expect(report.json).toHaveLength(3)
  expect(report.json[0].population).toBeGreaterThan(100_000)

  expect((await ask(`${origin}/healthz`)).json).toMatchObject({ status: 'ok' })
  expect((await ask(`${origin}/readyz`)).json).toMatchObject({ checks: { database: 'ok', memory: 'ok' } })
  const metrics = await ask(`${origin}/metrics`)
  expect(metrics.text).toMatch(
    /^http_request_duration_seconds_count\{[^}]*route="\/cities\/:id"[^}]*\} \d+$/m,
  )
  expect(metrics.text.match(/^spillway_process_uptime_seconds\{/gm)).toHaveLength(2)
  const asked = JSON.stringify(grafanaBoard()).match(/\b(?:http|spillway)_[a-z0-9_]+/g) ?? []
  for (const name of new Set(asked)) expect(metrics.text).toMatch(new RegExp(`^${name}[{ ]`, 'm'))
  expect((await ask(`${origin}/dashboard`)).text).toContain('dashboard.js')

  for (const [path, status, code] of [
    ['/cities?q=x', 400, 'ERR_CITIES_INPUT'],
    ['/cities?q=ber&limit=1000', 400, 'ERR_CITIES_INPUT'],
    ['/cities/1', 404, 'ERR_CITIES_NOT_FOUND'],
    ['/cities/berlin', 400, 'ERR_CITIES_INPUT'],
    ['/report?country=1', 400, 'ERR_CITIES_INPUT'],
    ['/nothing', 404, 'HTTP_404'],
  ] as const) {
    const answer = await ask(origin + path)
    expect([path, answer.status, answer.json.code]).toEqual([path, status, code])
  }
  expect((await checkIn(origin, BERLIN, '')).status).toBe(400)
  expect((await checkIn(origin, 1, 'Ada')).status).toBe(404)
}

async function interrupted(app: App): Promise<void> {
  app.kill('SIGINT')
  expect(await app.exited).toEqual({ code: 0, signal: null })
}

describe.each(['express', 'fastify', 'koa'])('the story app on %s', (framework) => {
  it('answers every route without any server, and stops with Ctrl-C', async () => {
    const { app, origin } = await start(['--framework', framework, '--embedded'])
    expect(app.output()).toContain('none found; demo engine, 135233 cities')
    await tour(origin)
    await interrupted(app)
  })

  it('answers every route over MariaDB and Redis', async () => {
    const { app, origin } = await start(['--framework', framework])
    expect(app.output()).toMatch(/a private primary and replica, 135233 cities/)
    await tour(origin)
    const cached = await ask(`${origin}/cities/${BERLIN}`)
    expect(cached.headers['cache-status']).toContain('hit')
    await interrupted(app)
  })
})

describe('the story app', () => {
  it('goes on when a worker is killed under load, and has it replaced', async () => {
    const { app, origin } = await start(['--embedded'], { RATE_LIMIT: '1000000' })
    const pids = async () => {
      const found = new Set<number>()
      // Over connections of their own: one that is kept stays with its worker.
      for (let i = 0; i < 8; i++) found.add((await ask(`${origin}/healthz`, { reset: true })).json.pid)
      return found
    }
    await eventually(async () => (await pids()).size === 2, { what: 'two workers' })
    const [victim] = await pids()
    const asked = load({ url: `${origin}/cities?q=ber`, connections: 8, requests: 2_000 })
    process.kill(victim!, 'SIGKILL')
    const { ok, failed, requests } = await asked
    // Only what the dead one held at that moment is lost: at most one request per connection.
    expect(failed).toBeLessThanOrEqual(8)
    expect(ok).toBe(requests - failed)
    await eventually(async () => (await pids()).size === 2 && !(await pids()).has(victim!), {
      what: 'its replacement',
    })
    await interrupted(app)
  })

  it('keeps one rate limit over all workers', async () => {
    const { origin } = await start(['--embedded'], { RATE_LIMIT: '5' })
    const statuses: number[] = []
    for (let i = 0; i < 8; i++) statuses.push((await ask(`${origin}/cities?q=ber`)).status)
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429])
    const refused = await ask(`${origin}/cities?q=ber`)
    expect(refused.json.code).toBe('ERR_LIMITER_LIMITED')
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect((await ask(`${origin}/healthz`)).status).toBe(200)
  })

  it('serves HTTPS when the environment names a certificate', async () => {
    const file = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
    const { origin } = await start(['--embedded'], { TLS_KEY: file('key.pem'), TLS_CERT: file('cert.pem') })
    expect(origin).toMatch(/^https:/)
    const dispatcher = new Agent({ connect: { ca: readFileSync(file('cert.pem')) } })
    expect((await ask(`${origin}/healthz`, { dispatcher })).status).toBe(200)
    await dispatcher.close()
  })

  it('plays the load, with no failed request in the roll-out', async () => {
    const { app } = await start(['--embedded', '--load'])
    await app.waitForLine(/^a new version is rolled out/, { timeout: 150_000 })
    const [line] = await app.waitForLine(/^ {2}searches .*$/, {
      timeout: 150_000,
      since: app.lines.findIndex(({ text }) => text.startsWith('a new version')),
    })
    expect(line).toMatch(/ms: \d+ x 200$/)
    expect(app.output()).toMatch(/greedy +\d+ \/s/)
    await interrupted(app)
  })
})

describe('a start that cannot succeed', () => {
  const oneLine = async (app: App): Promise<string> => {
    expect(await app.exited).toEqual({ code: 1, signal: null })
    expect(app.output()).not.toMatch(/^\s+at /m)
    return app.output('stderr')
  }

  it.each<[Record<string, string>, string]>([
    [{ WORKERS: 'many' }, 'WORKERS must be a whole number from 1 to 64, not "many".'],
    [{ FRAMEWORK: 'hapi' }, 'FRAMEWORK must be express, fastify, koa, not "hapi".'],
    [{ REDIS_URL: 'localhost' }, 'REDIS_URL must be a URL that begins with redis:// or rediss://.'],
    [{ TLS_KEY: '/nowhere/key.pem' }, 'TLS_KEY and TLS_CERT go together.'],
  ])('says what is wrong with %j in one line', async (env, message) => {
    expect(await oneLine(run([], env))).toBe(message)
  })

  it('says that the port is taken, in one line', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const app = run(['--embedded', '--port', String(port)])
    const text = await oneLine(app)
    server.close()
    expect(text.split('\n')).toHaveLength(1)
    expect(text).toContain(String(port))
  })
})
