import assert from 'node:assert/strict'
import { type Check, suite } from './check.js'
import { FRAMEWORKS, FRAMEWORKS_HTTP2, REGISTRATIONS, type Site } from './frameworks.js'
import { answerChecks } from './replay-answers.js'
import { exclusionChecks } from './replay-exclusions.js'
import { type ReplaySpec, replayStand, STORABLE } from './replay-stand.js'

export type { ReplayMode, ReplaySpec, ReplaySubject } from './replay-stand.js'

/** Tests a replay adapter on every framework, over HTTP/1 and, where the framework speaks it, HTTP/2. See the README beside this file. */
export function replaySuite(name: string, spec: ReplaySpec): void {
  suite(name, replayChecks(spec), [...FRAMEWORKS, ...FRAMEWORKS_HTTP2])
}

export function replayChecks(spec: ReplaySpec): readonly Check[] {
  const { optIn, optOut } = spec
  const stand = replayStand(spec)
  const { cached, counting, stored } = stand
  const checks = [...answerChecks(stand), ...exclusionChecks(stand)]

  for (const registration of REGISTRATIONS) {
    checks.push({
      title: `Fastify: caches its scope when registered ${registration}`,
      only: 'fastify5',
      run: async (framework) => {
        const inside = counting(() => ({ headers: STORABLE, body: 'text' }))
        const outside = counting(() => ({ headers: STORABLE, body: 'text' }))
        const site: Site = {
          ...inside.site,
          registration,
          outside: { 'GET /outside': { handler: outside.handler, config: optIn } },
        }
        await cached(framework, site, async (app) => {
          assert.equal((await stored(app, inside.runs)).text, 'text')
          if (registration !== 'encapsulated') return
          for (let run = 1; run <= 2; run++) {
            assert.equal((await app.ask('/outside')).text, 'text')
            await app.idle()
            assert.equal(outside.runs(), run, 'runs outside')
          }
        })
      },
    })
  }

  if (optOut !== undefined) {
    checks.push({
      title: 'Fastify: a route opts out by its config',
      only: 'fastify5',
      run: async (framework) => {
        const { handler, runs } = counting(() => ({ headers: STORABLE, body: 'text' }))
        await cached(framework, { routes: { 'GET /': { handler, config: optOut } } }, async (app) => {
          for (let run = 1; run <= 2; run++) {
            await app.ask('/')
            await app.idle()
            assert.equal(runs(), run)
          }
        })
      },
    })
  }
  return checks
}
