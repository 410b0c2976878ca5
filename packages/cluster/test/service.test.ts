import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { eventually } from '@spillway/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { get, PATIENCE, running } from './primary.js'

it('K35 gives all connections of an address to one worker, and to its replacement after a reload', async () => {
  const supervisor = await running({
    exec: './sticky.mjs',
    workers: 3,
    sticky: { port: 0, host: '127.0.0.1' },
  })
  const url = await supervisor.url()
  const ask = async () => new Set(await Promise.all(Array.from({ length: 6 }, () => get(url))))
  const before = await ask()
  expect(before.size).toBe(1)
  expect(await supervisor.call('reload')).toMatchObject({ ok: true })
  const after = await ask()
  expect(after.size).toBe(1)
  const [[slot, pid], [slotAfter, pidAfter]] = [[...before][0]!.split(' '), [...after][0]!.split(' ')]
  expect(slotAfter).toBe(slot)
  expect(pidAfter).not.toBe(pid)
})

/** What systemd would hear: from the real systemd-notify where it and socat are there, else from a stand-in for both. */
function systemd(folder: string): { env: Record<string, string>; heard: () => string } {
  const path = join(folder, 'notify')
  const search = (process.env.PATH ?? '').split(delimiter)
  if (['systemd-notify', 'socat'].every((name) => search.some((each) => existsSync(join(each, name))))) {
    let heard = ''
    // Node cannot receive datagrams on a unix socket either.
    const receiver = spawn('socat', ['-u', `UNIX-RECV:${path}`, '-'], { stdio: ['ignore', 'pipe', 'ignore'] })
    onTestFinished(() => void receiver.kill('SIGKILL'))
    receiver.stdout.on('data', (data) => {
      heard += data
    })
    return { env: { NOTIFY_SOCKET: path }, heard: () => heard }
  }
  const script = join(folder, 'systemd-notify')
  writeFileSync(script, '#!/bin/sh\nprintf "%s\\n" "$@" >> "$NOTIFY_SOCKET"\n', { mode: 0o755 })
  writeFileSync(path, '')
  const PATH = [folder, ...search].join(delimiter)
  return { env: { NOTIFY_SOCKET: path, PATH }, heard: () => readFileSync(path, 'utf8') }
}

it('K38 tells systemd READY, RELOADING, STOPPING and that it lives', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-notify-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const { env, heard } = systemd(folder)
  const supervisor = await running(
    { workers: 1 },
    { env: { ...env, WATCHDOG_USEC: '400000', WATCHDOG_PID: undefined } },
  )
  const hears = (text: string) => eventually(() => heard().includes(text), { timeout: PATIENCE, what: text })
  await hears('READY=1')
  await hears('WATCHDOG=1')
  await supervisor.call('reload')
  await hears('RELOADING=1')
  supervisor.app.kill('SIGTERM')
  expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  await hears('STOPPING=1')
  expect(heard().indexOf('READY=1')).toBeLessThan(heard().indexOf('RELOADING=1'))
})
