import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, processState } from '@spillway/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { get, PATIENCE, running, settled } from './primary.js'

const FAILING_ACCEPT = fileURLToPath(new URL('./fixtures/failing-accept.cjs', import.meta.url))

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

it('K53 a sticky supervisor that cannot accept clients lives, and accepts them when it can again', async () => {
  const supervisor = await running(
    { exec: './sticky.mjs', execArgv: [], sticky: { port: 0, host: '127.0.0.1' } },
    { execArgv: ['--require', FAILING_ACCEPT] },
  )
  const url = await supervisor.url()
  for (const code of ['ENFILE', 'ENOMEM', 'ECONNABORTED']) {
    await supervisor.call('env', { FAIL_ACCEPT: code })
    for (let i = 0; i < 3; i++) await expect(get(url)).rejects.toThrow()
  }
  await supervisor.call('env', { FAIL_ACCEPT: '' })
  expect(await get(url)).toMatch(/^[12] \d+$/)
  expect(supervisor.of('exit')).toEqual([])
})

function folder(prefix: string): string {
  const path = mkdtempSync(join(tmpdir(), prefix))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function installed(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((each) => existsSync(join(each, program)))
}

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

it('K39 as PID 1 gets its signals, and takes note of the end of every worker', async ({ skip }) => {
  const able = process.getuid?.() === 0 && installed('unshare')
  skip(!able, 'needs root and unshare, for a PID namespace of its own')
  const supervisor = await running({}, { fixture: 'pid-one.mjs' })
  const url = await supervisor.url()
  const { pid } = await supervisor.until('init')
  const children = () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  const zombies = () => children().filter((child) => processState(Number(child)) === 'Z')
  expect(await get(`${url}/env?name=SPILLWAY_SUPERVISOR`)).toBe('1')
  await get(`${url}/exit?code=3`)
  await supervisor.until('exit')
  await settled(supervisor, 2)
  supervisor.app.kill('SIGHUP')
  expect(await supervisor.until('reload')).toMatchObject({ ok: true, replaced: 2, forced: 0 })
  await eventually(() => children().length === 2 && zombies().length === 0, { timeout: PATIENCE })
  supervisor.app.kill('SIGTERM')
  expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
})
