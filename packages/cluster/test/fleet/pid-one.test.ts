import { readFileSync } from 'node:fs'
import { eventually, processState } from '@spillway/testkit'
import { expect, it } from 'vitest'
import { installed } from '../installed.js'
import { get, PATIENCE, running, settled } from '../primary.js'

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
