import assert from 'node:assert/strict'
import { withoutLeak } from './census.js'
import { type Check, suite } from './check.js'
import type { Answer } from './client.js'
import {
  type Framework,
  type Mounts,
  type Registration,
  type RunningApp,
  type Site,
  serving,
} from './frameworks.js'
import { withoutUnhandled } from './waiting.js'

export interface ProbeSubject extends Mounts {
  /** Called after the app has been closed. */
  close?(): unknown
}

export interface ProbeSpec {
  /** Where the probe answers. */
  readonly path: string
  /** Makes what one check mounts on one app. */
  setup(healthy: boolean): ProbeSubject | Promise<ProbeSubject>
  /** Status of the answer for `setup(false)`; `false`: never asked for, the probe always answers 200. Default: 503. */
  readonly unhealthy?: number | false
  /** Media type of the answer. JSON is parsed. Default: `'application/json'`. */
  readonly type?: string
}

/** Tests a probe on every framework. See the README beside this file. */
export function probeSuite(name: string, spec: ProbeSpec): void {
  suite(name, probeChecks(spec))
}

export function probeChecks(spec: ProbeSpec): readonly Check[] {
  const { path, unhealthy = 503, type = 'application/json' } = spec
  const routes = { 'GET /other': () => ({ body: 'other' }) }

  async function probed(
    framework: Framework,
    healthy: boolean,
    work: (app: RunningApp) => Promise<void>,
    registration: Registration = 'plain',
  ): Promise<void> {
    const subject = await spec.setup(healthy)
    const site: Site = { routes, mounts: subject, registration, ownErrorHandler: true }
    try {
      await withoutUnhandled(() => serving(framework, site, work))
    } finally {
      await subject.close?.()
    }
  }

  function reports({ status, headers, text }: Answer, expected: number): void {
    assert.equal(status, expected, 'status')
    assert.equal(headers['content-type']?.split(';')[0]?.trim(), type, 'content-type')
    assert.match(headers['cache-control'] ?? '', /\bno-store\b/, 'cache-control')
    assert.equal(headers['set-cookie'], undefined, 'set-cookie')
    assert.notEqual(text, '', 'body')
    if (/\bjson$/.test(type)) {
      const report: unknown = JSON.parse(text)
      assert.ok(typeof report === 'object' && report !== null, 'the JSON is an object')
    }
  }

  const states = unhealthy === false ? [true] : [true, false]
  const checks: Check[] = states.flatMap((healthy) => {
    const expected = healthy ? 200 : Number(unhealthy)
    const state = healthy ? 'healthy' : 'unhealthy'
    return [
      {
        title: `${state}: answers ${expected}, ${type}, never to be stored`,
        run: (framework) =>
          probed(framework, healthy, async (app) => {
            reports(await app.ask(path), expected)
            reports(await app.ask(`${path}?now=1`), expected)
            assert.deepEqual(app.errors, [], 'a probe answers by itself')
          }),
      },
      {
        title: `${state}: answers HEAD with the same status and headers, without a body`,
        run: (framework) =>
          probed(framework, healthy, async (app) => {
            const answer = await app.ask(path, { method: 'HEAD' })
            assert.equal(answer.status, expected)
            assert.equal(answer.headers['content-type']?.split(';')[0]?.trim(), type)
            assert.match(answer.headers['cache-control'] ?? '', /\bno-store\b/)
            assert.equal(answer.body.length, 0)
          }),
      },
      {
        title: `${state}: answers a conditional request in full, never 304`,
        run: (framework) =>
          probed(framework, healthy, async (app) => {
            const first = await app.ask(path)
            reports(await app.ask(path, { headers: { 'if-none-match': '*' } }), expected)
            const { etag } = first.headers
            if (etag !== undefined)
              reports(await app.ask(path, { headers: { 'if-none-match': etag } }), expected)
          }),
      },
    ] satisfies Check[]
  })

  checks.push(
    {
      title: 'leaves every other path alone',
      run: (framework) =>
        probed(framework, true, async (app) => {
          const other = await app.ask('/other')
          assert.equal(other.status, 200)
          assert.equal(other.text, 'other')
          assert.equal((await app.ask(`${path}/deeper`)).status, 404)
          assert.equal((await app.ask('/not/there')).status, 404)
        }),
    },
    {
      title: 'answers many at once',
      run: (framework) =>
        probed(framework, true, async (app) => {
          for (const answer of await Promise.all(Array.from({ length: 20 }, () => app.ask(path))))
            reports(answer, 200)
        }),
    },
    {
      title: 'nothing keeps the process alive after the app is closed',
      run: (framework) =>
        withoutLeak(() =>
          probed(framework, true, async (app) => {
            reports(await app.ask(path), 200)
          }),
        ),
    },
  )
  for (const registration of ['awaited', 'late', 'encapsulated'] as const) {
    checks.push({
      title: `Fastify: answers when registered ${registration}`,
      only: 'fastify5',
      run: (framework) =>
        probed(framework, true, async (app) => reports(await app.ask(path), 200), registration),
    })
  }
  return checks
}
