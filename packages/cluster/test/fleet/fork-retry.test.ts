import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isAlive } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import { get, type Primary, patiently, primary, running, settled } from '../primary.js'

const FAILING_FORK = fileURLToPath(new URL('../fixtures/failing-fork.cjs', import.meta.url))
const EAGER = { restarts: { backoff: 20, maxBackoff: 200 } }

/** A supervisor whose forks fail as long as `FAIL_FORK` in its environment names an error. */
function fragile(options: object = {}): Promise<Primary> {
  return running({ ...EAGER, execArgv: [], ...options }, { execArgv: ['--require', FAILING_FORK] })
}

/** Kills one of two workers, and gives the pid of the other. */
async function killOne(supervisor: Primary): Promise<number> {
  const [killed, left] = supervisor.of('ready').map(({ pid }) => pid as number)
  process.kill(killed!, 'SIGKILL')
  await supervisor.until('exit', ({ pid }) => pid === killed)
  return left!
}

/** Sets the number of descriptors that a running process may have open. */
function limitDescriptors(pid: number, most: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${most}:`])
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

describe('K53 a supervisor that cannot fork', () => {
  it('K53 for want of descriptors (EMFILE, a real limit) lives, serves on and becomes whole again by itself', async () => {
    const supervisor = await running(EAGER)
    const url = await supervisor.url()
    limitDescriptors(supervisor.app.pid, descriptorsOf(supervisor.app.pid))
    const left = await killOne(supervisor)
    await patiently(async () => expect(supervisor.of('forkFailed').length).toBeGreaterThan(2))
    expect(supervisor.of('forkFailed')[0]).toMatchObject({ code: 'EMFILE' })
    expect(isAlive(left)).toBe(true)
    limitDescriptors(supervisor.app.pid, 1_024)
    await settled(supervisor, 2)
    expect(await get(url)).toBe('ok')
    supervisor.app.kill('SIGTERM')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  })

  it.each(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM', 'ENOSPC', 'EPIPE'])(
    'K53 with %s lives, serves on, tries again with back-off and becomes whole again by itself',
    async (code) => {
      const supervisor = await fragile()
      const url = await supervisor.url()
      await supervisor.call('env', { FAIL_FORK: code })
      await killOne(supervisor)
      await patiently(async () => expect(supervisor.of('forkFailed').length).toBeGreaterThan(3))
      for (const failed of supervisor.of('forkFailed')) expect(failed).toMatchObject({ code })
      const waits = supervisor.of('forkFailed').map(({ retryIn }) => retryIn as number)
      expect(waits[2]).toBeGreaterThan(waits[0]!)
      expect(await get(url)).toBe('ok')
      expect(await supervisor.call('stats')).toMatchObject({
        ready: 1,
        degraded: false,
        restarts: { killed: 1 },
      })
      await supervisor.call('env', { FAIL_FORK: '' })
      await settled(supervisor, 2)
      expect(await get(url)).toBe('ok')
      supervisor.app.kill('SIGTERM')
      expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    },
  )

  it('K53 goes on with a reload when the resource is there again', async () => {
    const supervisor = await fragile()
    await supervisor.call('env', { FAIL_FORK: 'EAGAIN' })
    const reload = supervisor.call('reload')
    await patiently(async () => expect(supervisor.of('forkFailed').length).toBeGreaterThan(2))
    expect(supervisor.of('exit')).toEqual([])
    await supervisor.call('env', { FAIL_FORK: '' })
    expect(await reload).toMatchObject({ ok: true, replaced: 2, forced: 0 })
  })

  it('K53 refuses a reload for which the resource does not come back, and the old version serves on', async () => {
    const supervisor = await fragile({
      startTimeout: 10_000,
      restarts: { backoff: 2_000, maxBackoff: 4_000 },
    })
    const url = await supervisor.url()
    await supervisor.call('env', { FAIL_FORK: 'EMFILE' })
    const refused = await supervisor.call('reload')
    expect(refused).toMatchObject({ ok: false, replaced: 0 })
    expect(refused.error).toMatch(/EMFILE/)
    expect(supervisor.of('forkFailed').length).toBeLessThan(20)
    await supervisor.call('env', { FAIL_FORK: '' })
    expect(await get(url)).toBe('ok')
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2 })
  })

  it('K53 refuses a reload at once when trying again is no use (ENOENT: a directory that is gone)', async () => {
    const supervisor = await fragile()
    await supervisor.call('env', { FAIL_FORK: 'ENOENT' })
    expect(await supervisor.call('reload')).toMatchObject({ ok: false, replaced: 0 })
    await settled(supervisor, 2)
    expect(supervisor.of('exit')).toEqual([])
  })

  it('K53 starts late when the first fork fails and the next ones do not', async () => {
    const supervisor = primary(
      { ...EAGER, execArgv: [] },
      { execArgv: ['--require', FAILING_FORK], env: { FAIL_FORK: 'EAGAIN' } },
    )
    await supervisor.until('forkFailed')
    await supervisor.call('env', { FAIL_FORK: '' })
    await supervisor.until('started')
    await settled(supervisor, 2)
  })

  it('K53 can be stopped meanwhile, with 0', async () => {
    const supervisor = await fragile()
    await supervisor.call('env', { FAIL_FORK: 'EAGAIN' })
    await killOne(supervisor)
    await supervisor.until('forkFailed')
    supervisor.app.kill('SIGTERM')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    expect(supervisor.survivors()).toEqual([])
  })
})
