import { load } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import { get, patiently, primary, running, settled } from './primary.js'

describe('start', () => {
  it('resolves when all workers are ready, and they share the port', async () => {
    const supervisor = await running({ workers: 2 })
    const url = await supervisor.url()
    const pids = await Promise.all(Array.from({ length: 8 }, () => get(`${url}/pid`)))
    expect(new Set(pids).size).toBe(2)
    expect(await get(`${url}/env?name=SPILLWAY_WORKERS`)).toBe('2')
  })

  it('K1 fails with the error of the worker, a bounded number of forks and a non-zero exit', async () => {
    const supervisor = primary({ workers: 2 }, { env: { FAIL_AT_BOOT: 'no database here' } })
    const { code } = await supervisor.app.exited
    expect(code).toBe(1)
    expect(supervisor.app.output('stderr')).toMatch(
      /ERR_CLUSTER_START: Worker \d+ failed: Error: no database here/,
    )
    expect(supervisor.of('fork').length).toBe(2)
    expect(supervisor.survivors()).toEqual([])
  })

  it('K1 fails when a worker is not ready in time: listening is not enough with waitForReady', async () => {
    const supervisor = primary({ exec: './entry.cjs', workers: 1, waitForReady: true, startTimeout: '1s' })
    expect(await supervisor.app.exited).toEqual({ code: 1, signal: null })
    expect(supervisor.app.output('stderr')).toMatch(
      /ERR_CLUSTER_START_TIMEOUT: Worker \d+ was not ready in time/,
    )
    expect(supervisor.survivors()).toEqual([])
  })

  it('K20 reports the real port of port 0 once', async () => {
    const supervisor = await running({ workers: 3 })
    expect(supervisor.of('listening')).toHaveLength(1)
    expect(supervisor.of('listening')[0]?.port).toBeGreaterThan(0)
  })
})

describe('reload', () => {
  it('K3 loses nothing of a load over fresh connections', async () => {
    const supervisor = await running()
    const url = await supervisor.url()
    const stop = new AbortController()
    const loading = load({ url, keepAlive: false, connections: 4, durationMs: 60_000, signal: stop.signal })
    const result = await supervisor.call('reload')
    stop.abort()
    expect(result).toMatchObject({ ok: true, replaced: 2, forced: 0 })
    const { failures, requests } = await loading
    expect(failures).toEqual([])
    expect(requests).toBeGreaterThan(0)
  })
})

describe('signals', () => {
  it.each(['SIGHUP', 'SIGUSR2'] as const)('%s replaces all workers, and nothing else', async (signal) => {
    const supervisor = await running()
    supervisor.app.kill(signal)
    expect(await supervisor.until('reload')).toMatchObject({ ok: true, replaced: 2, forced: 0 })
    expect(supervisor.app.alive()).toBe(true)
    expect((await supervisor.call('stats')).ready).toBe(2)
  })
})

describe('crashes', () => {
  it('replaces a worker that was killed from outside, and records it (K26)', async () => {
    const supervisor = await running()
    const url = await supervisor.url()
    const pid = Number(await get(`${url}/pid`))
    process.kill(pid, 'SIGKILL')
    expect(await supervisor.until('exit')).toMatchObject({ pid, signal: 'SIGKILL', cause: 'killed' })
    await settled(supervisor, 2)
    expect((await supervisor.call('stats')).restarts).toEqual({ killed: 1 })
  })
})

describe('stop', () => {
  it('drains on SIGTERM and exits with 0', async () => {
    const supervisor = await running()
    const url = await supervisor.url()
    const slow = get(`${url}/slow?wait=500`)
    await patiently(async () => (await supervisor.call('stats')).workers.length === 2)
    await get(url)
    supervisor.app.kill('SIGTERM')
    expect(await slow).toBe('slow')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    expect(supervisor.survivors()).toEqual([])
  })

  it('K31 says 503 on readiness for the delay, and serves all the while', async () => {
    const supervisor = await running({ drain: { delay: 3_000 } })
    const url = await supervisor.url()
    const readiness = async () => (await fetch(`${url}/readyz`, { headers: { connection: 'close' } })).status
    expect(await readiness()).toBe(200)
    supervisor.app.kill('SIGTERM')
    await patiently(async () => (await readiness()) === 503)
    expect(await get(url)).toBe('ok')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  })
})
