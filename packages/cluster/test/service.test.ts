import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

/** A program in the place of systemd-notify that writes down what it is told: tests run where there is no systemd. */
function systemd(folder: string): { env: Record<string, string>; heard: () => string } {
  const path = join(folder, 'notify')
  const script = '#!/bin/sh\nprintf "%s\\n" "$@" >> "$NOTIFY_SOCKET"\n'
  writeFileSync(join(folder, 'systemd-notify'), script, { mode: 0o755 })
  writeFileSync(path, '')
  const PATH = `${folder}${delimiter}${process.env.PATH}`
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
