import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, isAlive } from '@spillway/testkit'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fromSupervisor, fromWorker, remoteError } from '../../src/ipc/messages.js'
import { get, PATIENCE, running, settled } from '../primary.js'

const TYPES = [
  'serving',
  'ready',
  'failed',
  'load',
  'replace',
  'drained',
  'handover',
  'drain',
  'bye',
  'tls',
  'connection',
]
const FIELDS = [
  'index',
  'port',
  'own',
  'error',
  'reason',
  'lost',
  'listener',
  'delay',
  'timeout',
  'rss',
  'utilization',
  '__proto__',
]

/** As JSON gives them: `__proto__` as a field of its own. */
const lookalike = fc
  .tuple(
    fc.constantFrom(...TYPES),
    fc.array(fc.tuple(fc.constantFrom(...FIELDS), fc.jsonValue()), { maxLength: 6 }),
  )
  .map(([type, fields]) => {
    const text = fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    return JSON.parse(`{${[`"spillway":"cluster","type":"${type}"`, ...text].join()}}`)
  })

describe('S8 a message that looks like ours', () => {
  it('S8 comes in with its declared fields, in bounds, or not at all', () => {
    fc.assert(
      fc.property(lookalike, (raw) => {
        for (const message of [fromWorker(raw), fromSupervisor(raw)]) {
          if (message === undefined) continue
          expect(Object.getPrototypeOf(message)).toBe(Object.prototype)
          expect(JSON.stringify(message).length).toBeLessThan(30_000)
          const { index = 0, port = 0, lost = 0, delay = 0, timeout = 0 } = message as Record<string, any>
          expect(Number.isInteger(index) && index >= 0 && index < 64).toBe(true)
          for (const each of [port, lost, delay, timeout])
            expect(each >= 0 && Number.isFinite(each)).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    [
      'a negative load',
      {
        type: 'load',
        utilization: -1,
        lag: 0,
        cpu: 0,
        rss: 1,
        heapUsed: 1,
        requests: 1,
        active: 1,
        connections: 1,
      },
    ],
    [
      'more than a whole loop',
      {
        type: 'load',
        utilization: 1e9,
        lag: 0,
        cpu: 0,
        rss: 1,
        heapUsed: 1,
        requests: 1,
        active: 1,
        connections: 1,
      },
    ],
    ['a port that is none', { type: 'ready', index: 0, port: 70_000 }],
    ['a place in a list of four thousand million', { type: 'ready', index: 2 ** 32 - 2, port: 80 }],
    ['fewer than no requests lost', { type: 'drained', lost: -5 }],
    ['half a request lost', { type: 'drained', lost: 0.5 }],
    ['a place of megabytes', { type: 'handover', listener: 'x'.repeat(1e6) }],
    ['an error that is none', { type: 'failed', error: { name: 5 } }],
  ])('S8 is refused: %s', (_what, message) => {
    expect(fromWorker({ spillway: 'cluster', ...message })).toBeUndefined()
  })

  it('S8 has texts that a log can bear, whatever was thrown', () => {
    const error = Object.assign(new Error('m'.repeat(1e6)), { stack: 's'.repeat(1e6), name: 'n'.repeat(1e6) })
    const message = fromWorker({ spillway: 'cluster', type: 'failed', error: remoteError(error) })
    expect(JSON.stringify(message).length).toBeLessThan(25_000)
    for (const thrown of [
      undefined,
      null,
      Object.create(null),
      Symbol('x'),
      Object.assign(new Error('x'), { name: 7 }),
    ]) {
      const sent = JSON.parse(JSON.stringify(remoteError(thrown)))
      expect(fromWorker({ spillway: 'cluster', type: 'failed', error: sent })).toBeDefined()
    }
  })

  it.each(['reload', 'stop', 'rollback', 'scale', 'crash', '__proto__\n', '\u001b[2J', 'x'.repeat(1e5)])(
    'S8 gives no reason that belongs to the supervisor, or that a terminal would obey: %j',
    (reason) => {
      expect(fromWorker({ spillway: 'cluster', type: 'replace', reason })).toMatchObject({
        reason: 'request',
      })
    },
  )
})

/** Sends messages from a worker, the last one again when it is about to stop. */
function liar(messages: readonly unknown[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-liar-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'messages.json')
  writeFileSync(
    file,
    `[${messages.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join()}]`,
  )
  return file
}

const INNER = { cmd: 'NODE_CLUSTER' }
const LIES: [what: string, messages: unknown[]][] = [
  [
    'types and fields that make no sense',
    TYPES.flatMap((type) => [
      { spillway: 'cluster', type },
      { spillway: 'cluster', type, index: 2 ** 32, port: -1, lost: -1, error: [], reason: {}, listener: 4 },
    ]),
  ],
  [
    'huge lists and texts',
    [
      {
        spillway: 'cluster',
        type: 'failed',
        error: { name: 'x'.repeat(1e6), message: Array(1e4).fill('x') },
      },
      Array(1e4).fill({ spillway: 'cluster' }),
    ],
  ],
  [
    'a hand-over without a handle, drained twice, ready at the wrong time',
    [
      { spillway: 'cluster', type: 'handover', listener: '127.0.0.1:80' },
      { spillway: 'cluster', type: 'drained', lost: 1e15 },
      { spillway: 'cluster', type: 'drained', lost: 0 },
      { spillway: 'cluster', type: 'ready', index: 2 ** 32 - 2, port: 80 },
      { spillway: 'cluster', type: 'ready', index: 63, port: 80 },
    ],
  ],
  [
    'names of the prototype',
    [
      '{"spillway":"cluster","type":"__proto__"}',
      '{"spillway":"cluster","type":"constructor"}',
      '{"spillway":"cluster","type":"load","__proto__":{"rss":1}}',
    ],
  ],
  [
    "node:cluster's own messages, with nonsense",
    [
      { ...INNER, act: 'listening', address: 5, port: {}, addressType: [] },
      { ...INNER, act: 'listening' },
      { ...INNER, act: 'queryServer', address: { a: 1 }, port: 'eighty', addressType: 4, index: 0 },
      { ...INNER, act: 'queryServer', address: null, port: 1e9, addressType: 4, index: 0 },
      { ...INNER, act: 'close', key: 'no such key' },
      { ...INNER, act: 'no such act' },
      { ...INNER, ack: 1e9, accepted: false },
    ],
  ],
]

it.each(LIES)(
  'S8 whatever a worker sends, the supervisor lives, answers and counts truly: %s',
  async (_what, messages) => {
    const supervisor = await running({ exec: './liar.mjs', env: { LIES: liar(messages) } })
    const url = await supervisor.url()
    await get(`${url}/lie`)
    await eventually(async () => expect(await get(`${url}/said`)).toBe('all'), { timeout: PATIENCE })
    expect(isAlive(supervisor.app.pid)).toBe(true)
    await settled(supervisor, 2)
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0, lost: 0 })
    expect(await supervisor.call('stats')).toMatchObject({ ready: 2, drains: { lost: 0, forced: 0 } })
    supervisor.app.kill('SIGTERM')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  },
)

it('S8 of many reasons that one worker gives, the first counts', async () => {
  const reasons = Array.from({ length: 200 }, (_, i) => ({
    spillway: 'cluster',
    type: 'replace',
    reason: `reason ${i}`,
  }))
  const supervisor = await running({ exec: './liar.mjs', workers: 1, env: { LIES: liar(reasons) } })
  await get(`${await supervisor.url()}/lie`)
  await supervisor.until('exit')
  await settled(supervisor, 1)
  expect(Object.keys((await supervisor.call('stats')).restarts)).toEqual(['reason 0'])
})

it('S8 what a worker writes to the pipe of its watchdog is bounded, too', async () => {
  const supervisor = await running({
    exec: './liar.mjs',
    workers: 1,
    watchdog: false,
    env: { LIES: liar([]) },
  })
  const url = await supervisor.url()
  expect(await get(`${url}/pipe`)).toMatch(/EPIPE|ECONNRESET/)
  expect(await get(`${url}/said`)).toBe('nothing')
})
