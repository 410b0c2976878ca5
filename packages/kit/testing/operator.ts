import assert from 'node:assert/strict'
import type { OperatorOptions } from '../src/operator.js'
import { suite } from './check.js'
import { type Framework, type Mounts, type Site, serving } from './frameworks.js'

export interface OperatorSpec {
  /** Paths that are for the operator, each with the methods it answers. */
  readonly paths: Readonly<Record<string, readonly ('GET' | 'POST')[]>>
  /** The code of the refusal. */
  readonly code: string
  /** Makes what one check mounts on one app. */
  setup(options: OperatorOptions<unknown>): Mounts & { close?(): unknown }
}

const TOKEN = 'a-token-of-24-characters'

/** Tests the guard of a package's routes for operators on every framework, over real sockets. */
export function operatorSuite(name: string, spec: OperatorSpec): void {
  const asks = Object.entries(spec.paths).flatMap(([path, methods]) =>
    methods.map((method) => ({ path, method })),
  )

  async function mounted(
    framework: Framework,
    options: OperatorOptions<unknown>,
    work: (ask: (headers: Record<string, string>, expected: number) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const subject = spec.setup(options)
    const site: Site = { routes: { 'GET /other': () => ({}) }, mounts: subject, ownErrorHandler: true }
    try {
      await serving(framework, site, (app) =>
        work(async (headers, expected) => {
          for (const { path, method } of asks) {
            const answer = await app.ask(path, { method, headers })
            if (expected < 400)
              assert.ok(answer.status < 400 || answer.status === 409, `${method} ${path}: ${answer.status}`)
            else {
              assert.equal(answer.status, expected, `${method} ${path}`)
              assert.deepEqual(JSON.parse(answer.text), { problem: spec.code })
            }
            if (expected === 200 && answer.status === 200) {
              assert.equal(answer.headers['x-content-type-options'], 'nosniff')
              assert.equal(answer.headers['x-frame-options'], 'DENY')
              assert.match(
                String(answer.headers['content-security-policy']),
                /default-src 'none'.*frame-ancestors 'none'/,
              )
              assert.match(answer.headers['cache-control'] ?? '', /no-store/)
            }
          }
          assert.equal((await app.ask('/other')).status, 200)
        }),
      )
    } finally {
      await subject.close?.()
    }
  }

  suite(name, [
    {
      title: 'S12 by default this machine is let in, and nobody whom a proxy hands on',
      run: (framework) =>
        mounted(framework, {}, async (ask) => {
          await ask({}, 200)
          await ask({ 'x-forwarded-for': '127.0.0.1' }, 403)
          await ask({ forwarded: 'for=203.0.113.9' }, 403)
          await ask({ host: 'shop.example' }, 403)
        }),
    },
    {
      title: 'S12 requests of another site’s page are refused, POST and GET, on an open route too',
      run: async (framework) => {
        for (const options of [{}, { allow: 'anyone' }, { allow: () => true }] as const) {
          await mounted(framework, options, async (ask) => {
            await ask({ 'sec-fetch-site': 'cross-site', cookie: 'session=admin' }, 403)
            await ask({ origin: 'https://evil.example', cookie: 'session=admin' }, 403)
          })
        }
      },
    },
    {
      title: 'S12 with a token: whoever shows it, from behind a proxy too, and nobody without',
      run: (framework) =>
        mounted(framework, { token: TOKEN }, async (ask) => {
          await ask(
            { authorization: `Bearer ${TOKEN}`, 'x-forwarded-for': '203.0.113.9', host: 'shop.example' },
            200,
          )
          await ask({}, 401)
          await ask({ authorization: `Bearer ${TOKEN}.` }, 401)
        }),
    },
    {
      title: 'S12 `anyone` opens the route',
      run: (framework) =>
        mounted(framework, { allow: 'anyone' }, (ask) =>
          ask({ 'x-forwarded-for': '203.0.113.9', host: 'shop.example' }, 200),
        ),
    },
  ])
}
