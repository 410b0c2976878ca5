import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnApp } from '@spillway/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { get, PATIENCE, type Primary, patiently, running } from '../primary.js'

/** More than all buffers on the way hold. */
const LINES = 5_000

/** Every worker has printed all that, and answered. */
async function noise(supervisor: Primary): Promise<void> {
  const url = await supervisor.url()
  const answers = await Promise.all([1, 2, 3, 4].map(() => get(`${url}/noise?wait=${LINES}`)))
  expect(answers).toEqual(['noisy', 'noisy', 'noisy', 'noisy'])
}

it('K34 a full disk costs the lines, not the service', async () => {
  const supervisor = await running({ logs: { file: '/dev/full' } })
  await noise(supervisor)
  await patiently(async () => (await supervisor.call('stats')).logs.dropped >= 4 * LINES)
  expect((await supervisor.call('stats')).logs.error).toBe('ENOSPC')
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
  supervisor.app.kill('SIGTERM')
  expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  expect(supervisor.of('exit').every(({ cause }) => cause === undefined)).toBe(true)
})

it('K34 a log reader that stalls blocks neither the workers nor the end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-fifo-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'fifo')
  execFileSync('mkfifo', [file])
  const reader = spawnApp(new URL('../fixtures/stalled-reader.mjs', import.meta.url), { args: [file] })
  onTestFinished(() => reader[Symbol.asyncDispose]())
  await reader.waitForLine(/open/, { timeout: PATIENCE })
  const supervisor = await running({ logs: { file, buffer: '64kb' } })
  await noise(supervisor)
  await patiently(async () => (await supervisor.call('stats')).logs.dropped > 0)
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
  supervisor.app.kill('SIGTERM')
  expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
})

it('K34 the command line serves and ends as told when its own output is not read', async () => {
  const cli = fileURLToPath(new URL('../../bin/spillway.js', import.meta.url))
  const app = fileURLToPath(new URL('../fixtures/app.mjs', import.meta.url))
  const folder = mkdtempSync(join(tmpdir(), 'spillway-unread-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const unread = spawnApp(new URL('../fixtures/unread.mjs', import.meta.url), {
    args: [cli, 'start', app, '-i', '1'],
    env: { SPILLWAY_HOME: folder },
  })
  onTestFinished(() => unread[Symbol.asyncDispose]())
  const [, port] = await unread.waitForLine(/listening on 127\.0\.0\.1:(\d+)/, { timeout: PATIENCE })
  expect(await get(`http://127.0.0.1:${port}/noise?wait=${LINES}`)).toBe('noisy')
  expect(await get(`http://127.0.0.1:${port}`)).toBe('ok')
  unread.kill('SIGTERM')
  expect(await unread.exited).toEqual({ code: 0, signal: null })
})
