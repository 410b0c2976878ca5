import { describe, expect, it } from 'vitest'
import { get, patiently, primary, running } from '../primary.js'

const SLOW = { START: '600000' }

describe('K60 a clean stop while a worker is still starting', () => {
  it('K60 of the first generation ends with 0, and nothing is said to be forced', async () => {
    const supervisor = primary({ exec: './slow-start.mjs', startTimeout: '10m' }, { env: SLOW })
    await patiently(async () => expect(supervisor.of('fork')).toHaveLength(2))
    supervisor.app.kill('SIGTERM')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    expect(supervisor.of('close')).toMatchObject([{ forced: 0, lost: 0 }])
    expect(supervisor.survivors()).toEqual([])
  })

  it.each(['reload', 'scale'])('K60 in the middle of a %s likewise', async (call) => {
    const supervisor = await running({ exec: './slow-start.mjs', startTimeout: '10m' })
    await supervisor.call('env', SLOW)
    void supervisor.call(call, ...(call === 'scale' ? [3] : [])).catch(() => {})
    await patiently(async () => expect(supervisor.of('fork')).toHaveLength(3))
    supervisor.app.kill('SIGTERM')
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    expect(supervisor.of('close')).toMatchObject([{ clean: 3, forced: 0, lost: 0 }])
  })

  it('K60 by close() rejects start(), with no worker left', async () => {
    const supervisor = primary({ exec: './slow-start.mjs', startTimeout: '10m' }, { env: SLOW })
    await patiently(async () => expect(supervisor.of('fork')).toHaveLength(2))
    await supervisor.call('close')
    await supervisor.app.exited
    expect(supervisor.app.output('stderr')).toMatch(/ERR_CLUSTER_CLOSED/)
    expect(supervisor.survivors()).toEqual([])
  })
})

describe('K61 a request that outlasts the drain', () => {
  it('K61 is counted in the result of the reload, and in the exit code of a stop', async () => {
    const heartbeat = { interval: 50, deadline: '10s' }
    const supervisor = await running({ workers: 1, drain: { timeout: 300 }, heartbeat })
    const url = await supervisor.url()
    const long = async () => {
      const cut = get(`${url}/slow?wait=40000`).then(
        () => 'answered',
        () => 'cut',
      )
      await patiently(async () => expect((await supervisor.call('stats')).workers[0].load?.active).toBe(1))
      return cut
    }
    const first = long()
    await patiently(async () => expect((await supervisor.call('stats')).workers[0].load?.active).toBe(1))
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 1, forced: 0, lost: 1 })
    expect(await first).toBe('cut')
    const second = long()
    await patiently(async () => expect((await supervisor.call('stats')).workers[0].load?.active).toBe(1))
    supervisor.app.kill('SIGTERM')
    expect(await second).toBe('cut')
    expect(await supervisor.app.exited).toEqual({ code: 1, signal: null })
    expect(supervisor.of('close')).toMatchObject([{ lost: 2 }])
  })
})
