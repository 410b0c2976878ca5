import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { RejectedError } from '../src/errors.js'
import type { Check } from './check.js'
import { askAndLeave } from './client.js'
import { hasHeaders, lowerCase } from './expect.js'
import type { Framework, RunningApp, Site } from './frameworks.js'
import type { GateSpec } from './gate.js'
import { printedDuring } from './stderr.js'

/** Runs `work` on an app whose gate refuses every request. */
export type Refusing = (
  framework: Framework,
  site: Omit<Site, 'routes' | 'mounts'>,
  work: (app: RunningApp) => Promise<void>,
) => Promise<void>

const LIVE = ['production', 'development'] as const

/** How a refusal looks to the client, to the app's error handler, and to whoever reads the log. */
export function refusalChecks({ refusal, secrets = [] }: GateSpec, refusing: Refusing): readonly Check[] {
  function withoutSecrets(text: string, where: string): void {
    for (const secret of secrets) assert.ok(!text.includes(secret), `${where} tells ${secret}: ${text}`)
    assert.doesNotMatch(text, /\n\s+at /, `${where} has a stack`)
  }

  /** Refused in a form that fits the client. */
  async function refused(app: RunningApp, accept: string, { method = 'GET', names = refusal.headers } = {}) {
    const answer = await app.ask('/', { method, headers: { accept } })
    assert.equal(answer.status, refusal.status, 'status')
    hasHeaders(answer.headers, names)
    withoutSecrets(answer.text, 'the body')
    assert.doesNotMatch(answer.text, /<html|<pre/i)
    return answer
  }

  async function printsNothing(work: () => Promise<unknown>): Promise<void> {
    assert.equal(await printedDuring(work), '', 'printed')
  }

  const checks: Check[] = [
    {
      title:
        'L51 with an error handler of the app, the headers of a refusal are on the response and on the error',
      run: (framework) =>
        refusing(framework, { ownErrorHandler: true }, async (app) => {
          const answer = await refused(app, '*/*')
          assert.deepEqual(JSON.parse(answer.text), { problem: refusal.code })
          const [error] = app.errors
          assert.ok(error instanceof RejectedError, 'a RejectedError')
          const own = lowerCase(error.headers)
          hasHeaders(own, refusal.headers)
          for (const name in own) {
            if (name !== 'connection') assert.equal(answer.headers[name], own[name], `header ${name}`)
          }
        }),
    },
    {
      title: 'L52 a refusal prints as one line, whichever way it is printed',
      run: (framework) =>
        refusing(framework, { ownErrorHandler: true }, async (app) => {
          await app.ask('/')
          const error = app.errors[0] as RejectedError
          const wrapped = new Error('outer', { cause: error })
          wrapped.stack = 'outer'
          for (const [how, text] of Object.entries({
            inspect: inspect(error),
            deeply: inspect(error, { depth: 9, getters: true }),
            nested: inspect({ list: [error] }, { depth: 9 }),
            cause: inspect(wrapped, { depth: 9 }),
            string: String(error),
            stack: String(error.stack),
            json: JSON.stringify(error),
            spread: inspect({ ...error }, { depth: 9, breakLength: Number.POSITIVE_INFINITY }),
            assigned: JSON.stringify(Object.assign({}, error)),
            // What serializers walk: own and inherited enumerable properties.
            walked: JSON.stringify(Object.fromEntries(enumerated(error))),
            cloned: inspect(structuredClone(error), { depth: 9 }),
          })) {
            withoutSecrets(text, how)
          }
          assert.ok(!inspect(error).includes('\n'), 'inspect gives one line')
          assert.ok(inspect(error).includes(refusal.code), 'inspect names the code')
          assert.equal(JSON.parse(JSON.stringify(error)).code, refusal.code)
        }),
    },
    {
      title: 'L52 a client that leaves while it is refused leaves no line',
      run: (framework) =>
        refusing(framework, { env: 'production' }, (app) =>
          printsNothing(async () => {
            await Promise.all(Array.from({ length: 5 }, () => askAndLeave(`${app.origin}/`)))
            await app.idle()
          }),
        ),
    },
  ]
  for (const env of LIVE) {
    checks.push({
      title: `L52 without an error handler of the app, in ${env}: a plain text or a problem document, and nothing is printed`,
      run: (framework) =>
        refusing(framework, { env }, (app) =>
          printsNothing(async () => {
            const express = framework.startsWith('express')
            const plain = await refused(app, 'text/html,application/xhtml+xml,*/*;q=0.8')
            if (framework !== 'fastify5') assert.match(String(plain.headers['content-type']), /^text\/plain/)
            const machine = await refused(app, 'application/json')
            if (express) {
              assert.match(String(machine.headers['content-type']), /^application\/problem\+json/)
              const problem = JSON.parse(machine.text)
              assert.equal(problem.status, refusal.status)
              assert.equal(problem.code, refusal.code)
            }
            assert.equal((await refused(app, '*/*', { method: 'HEAD' })).body.length, 0)
            for (let i = 0; i < 10; i++) await refused(app, '*/*')
          }),
        ),
    })
  }
  checks.push({
    title: 'L52 Fastify: the log of a refusal has neither secrets nor a stack',
    only: 'fastify5',
    run: async (framework) => {
      const lines: string[] = []
      await refusing(framework, { log: (line) => lines.push(line) }, async (app) => {
        await refused(app, '*/*')
      })
      assert.ok(
        lines.some((line) => line.includes(refusal.code)),
        'the refusal is logged',
      )
      for (const line of lines) {
        withoutSecrets(line, 'the log')
        withoutSecrets(JSON.parse(line).err?.stack ?? '', 'the logged stack')
      }
    },
  })
  // HTTP/2 has no header of connections (RFC 9113 section 8.2.2).
  const streamHeaders = refusal.headers.filter((name) => name !== 'connection')
  for (const only of ['fastify5', 'koa2', 'koa3'] as const) {
    for (const ownErrorHandler of [false, true]) {
      checks.push({
        title: `L51 over HTTP/2, ${ownErrorHandler ? 'with' : 'without'} an error handler of the app: status, headers, nothing printed`,
        only,
        run: (framework) =>
          refusing(framework, { env: 'production', http2: true, ownErrorHandler }, (app) =>
            printsNothing(() => refused(app, '*/*', { names: streamHeaders })),
          ),
      })
    }
  }
  return checks
}

function* enumerated(error: object): Generator<[string, unknown]> {
  for (const name in error) yield [name, (error as Record<string, unknown>)[name]]
}
