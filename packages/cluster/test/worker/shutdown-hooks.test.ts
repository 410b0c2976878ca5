import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load, processGroup } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { get, type Primary, patiently, running } from '../primary.js'

interface Scene {
  readonly supervisor: Primary
  readonly url: string
  /** What the app has written down, in order. */
  notes(): string[]
}

async function scene(how: string, options: object = {}): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-words-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'notes')
  writeFileSync(file, '')
  const env = { HOW: how, NOTES: file }
  const heartbeat = { interval: 50, deadline: '10s' }
  const supervisor = await running({ exec: './last-words.cjs', workers: 1, env, heartbeat, ...options })
  const notes = () => readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return { supervisor, url: await supervisor.url(), notes }
}

const ENDS: [how: string, notes: string[]][] = [
  ['bare', ['SIGTERM 15 bare']],
  ['closeAndExit', ['closed well']],
  ['exitAtOnce', ['exit']],
  ['onceInterrupted', ['SIGINT once']],
  ['callbacks', ['callbacks']],
  ['beforeExit', ['beforeExit']],
  ['disconnect', ['disconnect']],
  ['terminus', ['onSignal', 'onShutdown']],
  ['grace', ['grace SIGTERM undefined']],
  ['fastify', ['onClose']],
  ['nest', ['onModuleDestroy', 'beforeApplicationShutdown SIGTERM', 'onApplicationShutdown SIGTERM']],
]

describe.each(ENDS)('K55 what an app does at its end: %s', (how, expected) => {
  it('K55 is done after a reload and after a stop, and no request is lost', async () => {
    const { supervisor, url, notes } = await scene(how)
    const stopping = new AbortController()
    const loads = [true, false].map((keepAlive) =>
      load({ url, durationMs: 60_000, connections: 2, thinkTimeMs: 5, keepAlive, signal: stopping.signal }),
    )
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 1, forced: 0, lost: 0 })
    expect(notes()).toEqual(expected)
    stopping.abort()
    for (const { failures, statuses, requests } of await Promise.all(loads)) {
      expect(failures).toEqual([])
      expect(statuses).toEqual({ 200: requests })
    }
    const slow = get(`${url}/?wait=500`)
    await patiently(async () => expect((await supervisor.call('stats')).workers[0].load?.active).toBe(1))
    supervisor.app.kill('SIGTERM')
    expect(await slow).toBe('ok')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    expect(notes()).toEqual([...expected, ...expected])
    expect(supervisor.of('close')).toMatchObject([{ clean: 2, forced: 0, lost: 0 }])
  })
})

it('K55 goes in the order that the documentation shows', async () => {
  const { supervisor, url, notes } = await scene('order')
  const slow = get(`${url}/?wait=500`)
  await patiently(async () => expect((await supervisor.call('stats')).workers[0].load?.active).toBe(1))
  supervisor.app.kill('SIGTERM')
  expect(await slow).toBe('ok')
  expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  expect(notes()).toEqual(['draining', 'answered', 'signal', 'close', 'disconnect', 'beforeExit', 'exit'])
})

it('K55 gives SIGINT to apps that come from PM2, and nothing at all where that is wanted', async () => {
  const interrupted = await scene('onceInterrupted', { drain: { signal: 'SIGINT' } })
  expect(await interrupted.supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
  expect(interrupted.notes()).toEqual(['SIGINT once'])
  const silent = await scene('bare', { drain: { signal: false } })
  expect(await silent.supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
  expect(silent.notes()).toEqual([])
})

it('K55 waits no longer than it may for a handler that does not come to an end', async () => {
  const { supervisor, notes } = await scene('never', { drain: { cleanUp: 300 } })
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 1, forced: 0 })
  expect(notes()).toEqual(['asked'])
})

it('K55 says by its exit code that a handler has failed', async () => {
  const { supervisor, notes } = await scene('fails')
  supervisor.app.kill('SIGTERM')
  expect(await supervisor.app.exited).toEqual({ code: 1, signal: null })
  expect(notes()).toEqual(['asked'])
  expect(supervisor.app.output('stderr')).toMatch(/a mistake of the app/)
})

it.each(['exitAtOnce', 'onceInterrupted'])(
  'K55 a signal to the whole group does not reach the handlers before the drain: %s',
  async (how) => {
    const { supervisor, url, notes } = await scene(how)
    const slow = get(`${url}/?wait=1000`)
    await patiently(async () => expect((await supervisor.call('stats')).workers[0].load?.active).toBe(1))
    for (const pid of processGroup(supervisor.app.pid)) process.kill(pid, 'SIGINT')
    expect(await slow).toBe('ok')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    expect(notes()).toHaveLength(1)
  },
)
