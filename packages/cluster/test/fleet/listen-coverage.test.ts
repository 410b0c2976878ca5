import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, load } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Primary, patiently, running, settled } from '../primary.js'

interface House {
  readonly supervisor: Primary
  readonly first: number
  readonly second: number
}

async function house(env: Record<string, string> = {}, options: object = {}): Promise<House> {
  const [first, second] = [await freePort(), await freePort()]
  const doors = { FIRST: String(first), SECOND: String(second), ...env }
  const supervisor = await running({ exec: './doors.mjs', ...options }, { env: doors })
  await supervisor.until('listening', ({ port }) => port === second)
  return { supervisor, first, second }
}

/** The second listener of workers that are forked from now on opens when the returned function is called. */
async function closeGate(supervisor: Primary): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'doors-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const gate = join(folder, 'gate')
  await supervisor.call('env', { GATE: gate })
  return () => writeFileSync(gate, '')
}

/** The state of a new worker that certainly listens to its first port. */
async function stateAtFirstPort(supervisor: Primary, isNew: (worker: any) => boolean): Promise<string> {
  return patiently(async () => {
    const { workers } = await supervisor.call('stats')
    const { pid, state } = workers.find(isNew) ?? {}
    if (!supervisor.app.lines.some(({ text }) => text === `${pid} listens first`)) throw new Error('not yet')
    return state
  })
}

describe.each(['plain', 'serve'])('K54 an app with two listeners, %s', (how) => {
  it('K54 loses no request at either in a reload, however late a replacement opens the second', async () => {
    const { supervisor, first, second } = await house({ WITH: how }, { settleTimeout: '60s' })
    await settled(supervisor, 2)
    const stopping = new AbortController()
    const loads = [first, second].map((port) =>
      load({
        url: `http://127.0.0.1:${port}`,
        durationMs: 60_000,
        connections: 2,
        thinkTimeMs: 5,
        keepAlive: false,
        signal: stopping.signal,
      }),
    )
    const open = await closeGate(supervisor)
    const reload = supervisor.call('reload')
    expect(await stateAtFirstPort(supervisor, ({ generation }) => generation === 2)).toBe('starting')
    open()
    expect(await reload).toMatchObject({ ok: true, replaced: 2, forced: 0 })
    stopping.abort()
    for (const { failures, statuses, requests } of await Promise.all(loads)) {
      expect(failures).toEqual([])
      expect(statuses).toEqual({ 200: requests })
    }
    expect(supervisor.of('missing')).toEqual([])
  })

  it('K54 counts a replacement after a crash as ready when it listens wherever the others do', async () => {
    const { supervisor } = await house({ WITH: how }, { settleTimeout: '60s' })
    await settled(supervisor, 2)
    const open = await closeGate(supervisor)
    const before = supervisor.of('ready').map(({ pid }) => pid as number)
    process.kill(before[0]!, 'SIGKILL')
    await supervisor.until('exit')
    expect(await stateAtFirstPort(supervisor, ({ pid }) => !before.includes(pid))).toBe('starting')
    open()
    await settled(supervisor, 2)
  })
})

it('K54 a new version that gave up a port comes up all the same, and the port is named, once', async () => {
  const { supervisor, second } = await house({ LATER: '100' }, { settleTimeout: 500 })
  await settled(supervisor, 2)
  await supervisor.call('env', { SECOND: '' })
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2, forced: 0 })
  expect(supervisor.of('missing')).toMatchObject([{ addresses: [`127.0.0.1:${second}`] }])
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2, forced: 0 })
  expect(supervisor.of('missing')).toHaveLength(1)
})

it('K54 a new version that has moved to another port comes up, and the port of before is named', async () => {
  const { supervisor, first } = await house({ LATER: '100' }, { settleTimeout: 500 })
  await settled(supervisor, 2)
  const moved = await freePort()
  await supervisor.call('env', { FIRST: String(moved) })
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2, forced: 0 })
  expect(supervisor.of('missing')).toMatchObject([{ addresses: [`127.0.0.1:${first}`] }])
})

it('K54 an app that says itself that it is ready is not waited for any longer', async () => {
  const options = { waitForReady: true, settleTimeout: '60s' }
  const { supervisor } = await house({ WITH: 'ready' }, options)
  await supervisor.call('env', { SECOND: '' })
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2 })
  expect(supervisor.of('missing')).toEqual([])
})

it('K54 at the end of the start-up time a replacement that serves is taken, not killed', async () => {
  const { supervisor } = await house({ LATER: '100' }, { settleTimeout: '60s', startTimeout: '4s' })
  await settled(supervisor, 2)
  await supervisor.call('env', { SECOND: '' })
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2, forced: 0 })
  expect(supervisor.of('missing')).toHaveLength(1)
})
