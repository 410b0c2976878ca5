import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { eventually } from '@spillway/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { folder } from '../folder.js'
import { installed } from '../installed.js'
import { PATIENCE, running } from '../primary.js'

/** A program in the place of systemd-notify that writes down what it is told: tests run where there is no systemd. */
function systemd(folder: string): { env: Record<string, string>; heard: () => string } {
  const path = join(folder, 'notify')
  const script = '#!/bin/sh\nprintf "%s\\n" "$@" >> "$NOTIFY_SOCKET"\n'
  writeFileSync(join(folder, 'systemd-notify'), script, { mode: 0o755 })
  writeFileSync(path, '')
  const PATH = `${folder}${delimiter}${process.env.PATH}`
  return { env: { NOTIFY_SOCKET: path, PATH }, heard: () => readFileSync(path, 'utf8') }
}

/** Node has no datagrams over unix sockets, systemd has nothing else. */
const LISTENER = `
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
while True: print(listener.recv(4096).decode(), flush=True)
`

/** Everything that comes to a unix datagram socket. */
async function datagrams(path: string): Promise<() => string> {
  const listener = spawn('python3', ['-c', LISTENER, path])
  onTestFinished(() => void listener.kill())
  let heard = ''
  listener.stdout.on('data', (data) => {
    heard += data
  })
  await eventually(() => existsSync(path), { timeout: PATIENCE })
  return () => heard
}

it('K38 speaks to a real socket through the real systemd-notify', async ({ skip }) => {
  skip(!installed('systemd-notify') || !installed('python3'), 'needs systemd-notify and python3')
  const path = join(folder('spillway-notify-'), 'notify')
  const heard = await datagrams(path)
  const hears = (text: RegExp) => eventually(() => expect(heard()).toMatch(text), { timeout: PATIENCE })
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000', WATCHDOG_PID: undefined }
  const supervisor = await running({ workers: 1 }, { env })
  await hears(/READY=1\nSTATUS=1 workers ready/)
  await hears(/WATCHDOG=1/)
  await supervisor.call('reload')
  await hears(/RELOADING=1\nMONOTONIC_USEC=\d+/)
  supervisor.app.kill('SIGTERM')
  expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  await hears(/STOPPING=1/)
})

it('K38 tells systemd READY, RELOADING, STOPPING and that it lives', async () => {
  const { env, heard } = systemd(folder('spillway-notify-'))
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
